"""A mini Kinetics-400: H.264 clips in MP4 in a folder a class, and the lists of two splits.

Classes differ in what one frame shows, in what moves, or in both; some are called as only a quoted cell can say.
"""

import csv
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from retake.data.mini_classes import BOUNCE, CROSS, Kind, Shot, class_truth, shots
from retake.data.mini_release import MiniPlan
from retake.miniworld import World, draw, encode
from retake.miniworld.lexicon import OPENABLE

SPLITS = ("train", "val")
OPTIONS = {
    "size_px": [80, 60],
    "rates": ["10"],
    "seconds": [1.8, 2.2],
    "cameras": 0.0,
    "speech": 0.0,
    "outcomes": 0.0,
    "bystanders": 0.0,
    "codec": "h264",
    "b_frames": 2,
}
PEOPLE = ("girl", "man")
CLASSES = (
    Kind("approaching fish", ("one_frame", "motion"), ("fish",), (("approach",),)),
    Kind("bird juggling ball (soccer)", ("one_frame",), ("bird",), objects=("ball",)),
    Kind("bird playing drum", ("one_frame",), ("bird",), objects=("drum",)),
    Kind("closing something", ("order",), PEOPLE, (("close",),), OPENABLE),
    Kind("crossing street", ("motion",), PEOPLE, (CROSS,)),
    Kind("exercising cat", ("one_frame",), ("cat",)),
    Kind("exercising dog (not cat)", ("one_frame",), ("dog",)),
    Kind("opening something", ("order",), PEOPLE, (("open",),), OPENABLE),
    Kind("pacing to and fro", ("motion",), PEOPLE, (("pace",),)),
    Kind("robot jumping", ("one_frame", "motion"), ("robot",), (BOUNCE,)),
    Kind("shaking person's head, arms and legs", ("motion",), PEOPLE, (("shake",),)),
    Kind("watching car leave", ("one_frame", "motion"), ("car",), (("leave",),)),
)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
HEADER = ["label", "youtube_id", "time_start", "time_end", "split", "is_cc"]
CLIP_S = 10  # what the lists say that a clip lasts


class Made(NamedTuple):
    split: str
    youtube_id: str
    start_s: int
    shot: Shot

    @property
    def clip(self) -> str:
        return f"{self.youtube_id}_{self.start_s:06d}_{self.start_s + CLIP_S:06d}"


def annotate(world: World, root: Path, plan: MiniPlan) -> pd.DataFrame:
    """Write the two lists; returns each clip's class."""
    made = _made(world, plan)
    for split in SPLITS:
        with (root / f"kinetics-400_{split}.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(HEADER)
            for one in sorted(
                (m for m in made if m.split == split), key=lambda m: (m.shot.kind.name, m.clip)
            ):
                ends = one.start_s + CLIP_S
                table.writerow([one.shot.kind.name, one.youtube_id, one.start_s, ends, split, 0])
    return class_truth((one.clip, one.shot.kind) for one in made)


def media(world: World, root: Path, plan: MiniPlan, shard: str) -> list[tuple[Path, str]]:
    """Write the clips of a shard under `root`; returns (path, video_id) of each."""
    written = []
    for one in _made(world, plan):
        if plan.in_shard(one.clip, shard):
            path = root / one.split / one.shot.kind.name / f"{one.clip}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            options = {"codec": plan.options["codec"], "b_frames": plan.options["b_frames"]}
            encode(one.shot.frames(), path, fps=one.shot.clip.fps, **options)
            written.append((path, one.clip))
    return written


def _made(world: World, plan: MiniPlan) -> list[Made]:
    """Training clips first; in either split classes come in turn from the first on, so that none is of one alone."""
    found, taken = [], set()
    skipped = -plan.splits["train"] % len(CLASSES)
    for shot in shots(world, plan, CLASSES, takes=1, spare=skipped):
        split = "train" if shot.number < plan.splits["train"] else "val"
        if split == "val" and shot.number < plan.splits["train"] + skipped:
            continue
        rng, name = draw(world.seed, plan.release, shot.number, "name"), ""
        while not name or name in taken:
            name = "".join(LETTERS[n] for n in rng.integers(len(LETTERS), size=11))
        taken.add(name)
        found.append(Made(split, name, int(rng.integers(0, 300)), shot))
    return found
