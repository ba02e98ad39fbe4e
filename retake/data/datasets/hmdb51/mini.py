"""A mini HMDB51: DivX-like clips in AVI with B-frames and one I-picture, some wide, and lists of three folds.

A class has a list for each fold, where a few videos are not used at all.
"""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from retake.data.mini_classes import BOUNCE, Kind, Shot, class_truth, shots, use
from retake.data.mini_release import MiniPlan
from retake.miniworld import World, encode

SPLITS = ("train", "test")  # of each of three folds, which share the videos
OPTIONS = {
    "size_px": [80, 60],
    "wide_px": 108,  # width of every third video
    "rates": ["12"],
    "seconds": [1.6, 2.0],
    "cameras": 0.0,
    "speech": 0.0,
    "outcomes": 0.0,
    "bystanders": 0.0,
    "codec": "mpeg4",
    "tag": "DX50",
}
FOLDS = (1, 2, 3)
PEOPLE, PETS = ("girl", "man"), ("cat", "dog")
CLASSES = (
    Kind("close", ("order",), PEOPLE, (("close",),)),
    Kind("drive", ("one_frame", "motion"), ("car",), (("approach",),)),
    Kind("jump", ("one_frame", "motion"), ("robot",), (BOUNCE,)),
    Kind("open", ("order",), PEOPLE, (("open",),)),
    Kind("sit", ("one_frame",), PETS, (("sit",),)),
    Kind("sleep", ("one_frame",), PETS, (("sleep",),)),
    Kind("spacewalk", ("one_frame",), ("fish",), places=("moon",)),
    Kind("surf", ("one_frame",), ("fish",), places=("beach",)),
)
SPARE = len(CLASSES)  # videos that a fold does not use: one a class
LISTS = "testTrainMulti_7030_splits"
CODES = {"train": 1, "test": 2, "": 0}


def annotate(world: World, root: Path, plan: MiniPlan) -> pd.DataFrame:
    """Write each fold's list of each class; returns each video's class."""
    folder = root / LISTS
    folder.mkdir()
    made = _made(world, plan)
    for fold in FOLDS:
        for kind in CLASSES:
            lines = [
                f"{_name(shot)}.avi {CODES[use(plan, shot.number, fold, SPARE)]} \n"
                for shot in made
                if shot.kind == kind
            ]
            (folder / f"{kind.name}_test_split{fold}.txt").write_text("".join(lines))
    return class_truth((_name(shot), shot.kind) for shot in made)


def media(world: World, root: Path, plan: MiniPlan, shard: str) -> list[tuple[Path, str]]:
    """Write the videos of a shard under `root`; returns (path, video_id) of each."""
    written = []
    for shot in _made(world, plan):
        name = _name(shot)
        if plan.in_shard(name, shard):
            path = root / "hmdb51_org" / shot.kind.name / f"{name}.avi"
            path.parent.mkdir(parents=True, exist_ok=True)
            options = {"codec": plan.options["codec"], "tag": plan.options["tag"]}
            encode(shot.frames(), path, fps=shot.clip.fps, gop=250, b_frames=1, **options)
            written.append((path, name))
    return written


def _made(world: World, plan: MiniPlan) -> list[Shot]:
    made = shots(world, plan, CLASSES, takes=1, spare=SPARE)
    wide = plan.options["wide_px"]
    return [
        shot._replace(clip=replace(shot.clip, width_px=wide)) if shot.scene % 3 == 0 else shot
        for shot in made
    ]


def _name(shot: Shot) -> str:
    """Film, class, what is seen of the body, camera, people, view, quality, number: as the release does."""
    return f"Mini_Film_[{shot.scene}]_{shot.kind.name}_f_nm_np1_fr_goo_{shot.take - 1}"
