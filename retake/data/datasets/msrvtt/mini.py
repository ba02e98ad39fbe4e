"""A mini MSR-VTT: H.264 in MP4 with B-frames and sound, and the two JSON files of the 2016 release.

Videos are numbered as in the release: train from video0, val from video6513, test from video7010.
"""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa

from retake.data.mini_release import MiniPlan, truth_tables, write_object
from retake.miniworld import Clip, World, captions, draw, encode, render, tone
from retake.miniworld.lexicon import SPEECH

SPLITS = ("train", "val", "test")
OPTIONS = {
    "size_px": [96, 72],
    "rates": ["10", "12000/1001", "12", "8"],
    "captions_per_video": 8,  # of each video
    "codec": "h264",
    "b_frames": 2,
}
FIRST = {"train": 0, "val": 6513, "test": 7010}  # number of a split's first video
NAMES = {"train": "train", "val": "validate", "test": "test"}
FILES = {"train_val_videodatainfo.json": ("train", "val"), "test_videodatainfo.json": ("test",)}
FOLDERS = {"train": "TrainValVideo", "val": "TrainValVideo", "test": "TestVideo"}
as_text = partial(json.dumps, ensure_ascii=False)
CATEGORY = {"girl": 1, "man": 1, "robot": 12, "car": 9}  # people, science, vehicles; others are animals
ANIMALS = 13


def annotate(world: World, root: Path, plan: MiniPlan) -> Iterator[pa.Table]:
    """Write both JSON files under `root`; returns what is true of each video."""
    numbers = count()
    for name, splits in FILES.items():
        info = {
            "contributor": "retake.miniworld",
            "data_created": "2016-04-14 14:30:20",
            "version": "1.0",
            "description": "Simulated clips in the form of the MSR-VTT challenge",
            "year": "2016",
        }
        videos = (
            as_text(_video(world, split, video_id, clip)) for split, video_id, clip in _clips(world, plan, splits)
        )
        sentences = _sentences(world, plan, splits, numbers)
        write_object(root / name, {"info": as_text(info), "videos": videos, "sentences": sentences})
    return truth_tables((video_id, clip) for _, video_id, clip in _clips(world, plan))


def media(world: World, root: Path, plan: MiniPlan, shard: str) -> list[tuple[Path, str]]:
    """Write the videos of a shard under `root`; returns (path, video_id) of each."""
    written = []
    for folder in dict.fromkeys(FOLDERS.values()):
        (root / folder).mkdir()
    for split, video_id, clip in _clips(world, plan):
        if plan.in_shard(video_id, shard):
            path = root / FOLDERS[split] / f"{video_id}.mp4"
            sound = tone(SPEECH[clip.speech][0], clip.duration_s) if clip.speech else None
            options = {"codec": plan.options["codec"], "b_frames": plan.options["b_frames"]}
            encode(render(clip), path, fps=clip.fps, sound=sound, **options)
            written.append((path, video_id))
    return written


def _sentences(world: World, plan: MiniPlan, splits: Sequence[str], numbers: Iterator[int]) -> Iterator[str]:
    for _, video_id, clip in _clips(world, plan, splits):
        for text in captions(
            clip, plan.options["captions_per_video"], draw(world.seed, clip.name, "captions")
        ):
            yield as_text({"caption": text, "video_id": video_id, "sen_id": next(numbers)})


def _clips(world: World, plan: MiniPlan, splits: Sequence[str] = SPLITS) -> Iterator[tuple[str, str, Clip]]:
    """(split, video_id, clip) in the order of the numbers."""
    for split in splits:
        size = plan.splits[split]
        if split != "test" and size > FIRST[SPLITS[SPLITS.index(split) + 1]] - FIRST[split]:
            raise ValueError(f"{plan.release}: splits: {split}: {size}; the release numbers fewer videos so")
        for index in range(size):
            yield split, f"video{FIRST[split] + index}", world.clip(split, index, plan.release)


def _video(world: World, split: str, video_id: str, clip: Clip) -> dict[str, Any]:
    rng = draw(world.seed, clip.name, "video")
    start = round(float(rng.random()) * 200, 2)
    letters = "".join(chr(97 + n) for n in rng.integers(26, size=11))
    return {
        "category": CATEGORY.get(clip.actors[0].kind, ANIMALS),
        "url": f"https://www.example.org/watch?v={letters}",
        "video_id": video_id,
        "start time": start,
        "end time": round(start + clip.duration_s, 2),
        "split": NAMES[split],
        "id": int(video_id.removeprefix("video")),
    }
