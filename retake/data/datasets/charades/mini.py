"""A mini Charades: H.264 in MP4, in each video one actor who does several things one after the other.

An interval says what the actor does, another, at the same time, with which object: some classes are told by
one frame, some by motion or order alone. As in the release, intervals come in no order, the last may end after
the video, and now and then a video has none.
"""

import csv
import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from retake.data.mini_release import FACT, MiniPlan
from retake.miniworld import Clip, World, draw, encode, render
from retake.miniworld.language import with_article

SPLITS = ("train", "test")
OPTIONS = {
    "size_px": [80, 60],
    "rates": ["12"],
    "seconds": [1.2, 1.6],  # of each thing that is done
    "scenes": 3,  # things that are done in a video
    "cameras": 0.0,
    "speech": 0.0,
    "outcomes": 0.0,
    "bystanders": 0.0,
    "codec": "h264",
    "b_frames": 2,
}
DONE = {  # class -> kind of evidence, the world's actions that are it, how it is called
    "c000": ("one_frame", ("hold",), "Holding something up"),
    "c001": ("one_frame", ("sit",), "Sitting on something"),
    "c002": ("one_frame", ("sleep",), "Lying asleep"),
    "c003": ("order", ("open",), "Opening something"),
    "c004": ("order", ("close",), "Closing something"),
    "c005": ("motion", ("left", "right"), "Walking past something"),
    "c006": ("motion", ("pace",), "Pacing to and fro"),
    "c007": ("motion", ("shake",), "Shaking all over"),
}
WITH = {"c008": "box", "c009": "book", "c010": "umbrella", "c011": "door"}
OFTEN = (0.4, 0.3, 0.2, 0.1)  # how often each object comes
NO_ACTION = 30  # every 30th video of a split has no interval
BEYOND = 3  # in every third the last intervals end after the video
HEADER = "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length".split(",")
FILES = {"train": "Charades_v1_train.csv", "test": "Charades_v1_test.csv"}
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Film(NamedTuple):
    split: str
    video_id: str
    clips: list[Clip]
    intervals: list[tuple[str, Fraction, Fraction]]  # class, start, end in seconds

    def length_s(self) -> Fraction:
        return sum((clip.num_frames / clip.fps for clip in self.clips), Fraction(0))


def annotate(world: World, root: Path, plan: MiniPlan) -> pd.DataFrame:
    """Write the list of classes and both tables; returns which classes each video has."""
    titles = {name: title for name, (_, _, title) in DONE.items()}
    titles |= {name: f"With {with_article(thing)} at hand" for name, thing in WITH.items()}
    lines = "".join(f"{name} {title}\n" for name, title in titles.items())
    (root / "Charades_v1_classes.txt").write_text(lines)
    films, truth = list(_films(world, plan)), []
    for split, name in FILES.items():
        with (root / name).open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(HEADER)
            table.writerows(_row(world, film, titles) for film in films if film.split == split)
    for film in films:
        for name in sorted({one[0] for one in film.intervals}):
            kind = DONE[name][0] if name in DONE else "one_frame"
            truth.append((film.video_id, f"class {name}", kind, name, titles[name].lower().split()))
    return pd.DataFrame(truth, columns=FACT)


def media(world: World, root: Path, plan: MiniPlan, shard: str) -> list[tuple[Path, str]]:
    """Write the videos of a shard under `root`; returns (path, video_id) of each."""
    written = []
    folder = root / "Charades_v1_480"
    folder.mkdir(exist_ok=True)
    for film in _films(world, plan):
        if plan.in_shard(film.video_id, shard):
            path = folder / f"{film.video_id}.mp4"
            options = {"codec": plan.options["codec"], "b_frames": plan.options["b_frames"]}
            encode(np.concatenate([render(c) for c in film.clips]), path, fps=film.clips[0].fps, **options)
            written.append((path, film.video_id))
    return written


def _films(world: World, plan: MiniPlan) -> Iterator[Film]:
    taken: set[str] = set()
    for split in SPLITS:
        for index in range(plan.splits[split]):
            rng = draw(world.seed, plan.release, split, index, "film")
            video = ""
            while not video or video in taken:
                video = "".join(LETTERS[n] for n in rng.integers(len(LETTERS), size=5))
            taken.add(video)
            yield Film(split, video, *_scenes(world, plan, (split, index), rng))


def _scenes(
    world: World, plan: MiniPlan, place: tuple[str, int], rng: np.random.Generator
) -> tuple[list[Clip], list[tuple[str, Fraction, Fraction]]]:
    """What is done, one after the other, by the same actor at the same place, and the intervals of it."""
    (split, index), count = place, plan.options["scenes"]
    first = world.clip(f"{split} films", index, plan.release)
    if index % NO_ACTION == NO_ACTION - 1:  # the actor stands there
        return [replace(first, action="", object="", num_frames=count * first.num_frames)], []
    clips, intervals, begins = [], [], Fraction(0)
    chosen = [list(DONE)[n] for n in rng.permutation(len(DONE))[:count]]
    for number, name in enumerate(chosen):
        drawn = world.clip(f"{split} films", index * count + number, f"{plan.release} scenes")
        thing = str(rng.choice(list(WITH), p=OFTEN))
        action = str(rng.choice(DONE[name][1]))
        clips.append(replace(first, action=action, object=WITH[thing], num_frames=drawn.num_frames))
        ends = begins + clips[-1].num_frames / first.fps
        late = Fraction(1, 2) if number == count - 1 and index % BEYOND == 0 else 0
        intervals += [(thing, begins, ends + late), (name, begins, ends + late)]
        begins = ends
    return clips, [intervals[n] for n in rng.permutation(len(intervals))]


def _row(world: World, film: Film, titles: dict[str, str]) -> list[str]:
    rng = draw(world.seed, film.video_id, "row")
    said = [titles[name].lower() for name, _, _ in film.intervals]
    subject = "".join(LETTERS[n] for n in rng.integers(len(LETTERS), size=4))
    things = ";".join(sorted({clip.object for clip in film.clips if clip.object}))
    script = f"A person is seen, {', '.join(said) or 'doing nothing'}."
    told = f'Somebody says "{film.clips[0].place}".;{script}'
    actions = ";".join(f"{name} {_seconds(start)} {_seconds(end)}" for name, start, end in film.intervals)
    quality = [str(n) for n in rng.integers(3, 8, size=2)]
    row = [film.video_id, subject, film.clips[0].place.capitalize(), *quality, "Yes", script, things, told]
    return [*row, actions, _seconds(film.length_s())]


def _seconds(time: Fraction) -> str:
    """Two digits, cut off: a frame that is shown from `time` on is shown after what is written."""
    return f"{math.floor(time * 100) / 100:.2f}"
