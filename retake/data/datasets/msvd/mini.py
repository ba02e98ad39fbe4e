"""A mini MSVD: H.264 clips in AVI at odd rates, and the corpus' CSV with rows in other languages, too.

Clips are numbered as in the release's mapping: train from vid1, val from vid1201, test from vid1301.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from retake.data.mini_release import MiniPlan, truth_tables
from retake.miniworld import Clip, World, captions, draw, encode, render

SPLITS = ("train", "val", "test")
OPTIONS = {
    "size_px": [80, 64],
    "rates": ["119/12", "10", "359/36", "12"],
    "captions_per_video": 8,  # in English, of each clip
    "codec": "h264",
}
FIRST = {"train": 1, "val": 1201, "test": 1301}  # vid number of a split's first clip
COLUMNS = ["VideoID", "Start", "End", "WorkerID", "Source", "AnnotationTime", "Language", "Description"]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
FOREIGN = [
    ("German", "Jemand macht etwas, das man „lustig“ nennt."),
    ("French", "Quelqu'un fait quelque chose, là-bas."),
    ("Spanish", "Alguien está haciendo algo."),
    ("Hindi", "कोई कुछ कर रहा है"),
]


def annotate(world: World, root: Path, plan: MiniPlan) -> Iterator[pa.Table]:
    """Write the corpus and the mapping under `root`; returns what is true of each clip."""
    mapping: list[str] = []
    with (root / "MSR Video Description Corpus.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for video_id, number, clip in _clips(world, plan):
            rows.writerows(_rows(world, plan, video_id, clip))
            mapping.append(f"{video_id} vid{number}\n")
    (root / "youtube_mapping.txt").write_text("".join(mapping), encoding="utf-8")
    return truth_tables((video_id, clip) for video_id, _, clip in _clips(world, plan))


def media(world: World, root: Path, plan: MiniPlan, shard: str) -> list[tuple[Path, str]]:
    """Write the clips of a shard under `root`; returns (path, video_id) of each."""
    (root / "YouTubeClips").mkdir()
    written = []
    for video_id, _, clip in _clips(world, plan):
        if plan.in_shard(video_id, shard):
            path = root / "YouTubeClips" / f"{video_id}.avi"
            encode(render(clip), path, codec=plan.options["codec"], fps=clip.fps)
            written.append((path, video_id))
    return written


def _clips(world: World, plan: MiniPlan) -> Iterator[tuple[str, int, Clip]]:
    """(clip's id, vid number, clip); an id is eleven letters and the seconds in the film it was cut from."""
    for split, count in plan.splits.items():
        if split != "test" and count > FIRST[SPLITS[SPLITS.index(split) + 1]] - FIRST[split]:
            raise ValueError(f"{plan.release}: splits: {split}: {count}; the release numbers fewer clips so")
        for index in range(count):
            rng = draw(world.seed, plan.release, split, index, "id")
            name = "".join(LETTERS[n] for n in rng.integers(len(LETTERS), size=11))
            start, clip = int(rng.integers(200)), world.clip(split, index, plan.release)
            yield f"{name}_{start}_{start + round(clip.duration_s)}", FIRST[split] + index, clip


def _rows(world: World, plan: MiniPlan, video_id: str, clip: Clip) -> list[list[str | int]]:
    """The clip's rows of the corpus: English ones, clean or not, and now and then one in another language."""
    rng = draw(world.seed, clip.name, "rows")
    found = []
    for text in captions(clip, plan.options["captions_per_video"], rng):
        if rng.random() < 0.5:
            found.append(("clean", "English", text[0].upper() + text[1:] + "."))
        else:
            found.append(("unverified", "English", text))
    if rng.random() < 0.3:
        language, text = FOREIGN[int(rng.integers(len(FOREIGN)))]
        found.insert(int(rng.integers(len(found))), ("unverified", language, text))
    name, start, end = video_id.rsplit("_", 2)
    workers, took_s = rng.integers(10**5, 10**6, size=len(found)), rng.integers(10, 200, size=len(found))
    return [
        [name, int(start), int(end), int(workers[n]), source, int(took_s[n]), language, text]
        for n, (source, language, text) in enumerate(found)
    ]
