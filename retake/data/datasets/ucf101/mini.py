"""A mini UCF101: MPEG-4 clips in AVI in a folder a class, groups of two clips, and the lists of three folds.

As in the release, some clips have a group of 12 pictures without B-frames at an odd rate, the others B-frames
and one I-picture.
"""

from pathlib import Path

import pandas as pd

from retake.data.mini_classes import BOUNCE, CROSS, Kind, Shot, class_truth, shots, use
from retake.data.mini_release import MiniPlan
from retake.miniworld import World, encode

SPLITS = ("train", "test")  # of each of three folds, which share the videos
OPTIONS = {
    "size_px": [80, 60],
    "rates": ["12", "12000/1001"],
    "seconds": [1.6, 2.0],
    "cameras": 0.0,
    "speech": 0.0,
    "outcomes": 0.0,
    "bystanders": 0.0,
    "codec": "mpeg4",
    "tag": "XVID",
}
FOLDS = (1, 2, 3)
TAKES = 2
PEOPLE = ("girl", "man")
CLASSES = (
    Kind("BirdDrumming", ("one_frame",), ("bird",), objects=("drum",)),
    Kind("BirdJuggling", ("one_frame",), ("bird",), objects=("ball",)),
    Kind("CarLeaving", ("one_frame", "motion"), ("car",), (("leave",),)),
    Kind("CatExercising", ("one_frame",), ("cat",)),
    Kind("Crossing", ("motion",), PEOPLE, (CROSS,)),
    Kind("DogExercising", ("one_frame",), ("dog",)),
    Kind("FishApproaching", ("one_frame", "motion"), ("fish",), (("approach",),)),
    Kind("Pacing", ("motion",), PEOPLE, (("pace",),)),
    Kind("RobotJumping", ("one_frame", "motion"), ("robot",), (BOUNCE,)),
    Kind("Shaking", ("motion",), PEOPLE, (("shake",),)),
)
LISTS = "ucfTrainTestlist"


def annotate(world: World, root: Path, plan: MiniPlan) -> pd.DataFrame:
    """Write the list of classes and each fold's lists; returns each video's class."""
    folder = root / LISTS
    folder.mkdir()
    number_of = {kind.name: number for number, kind in enumerate(CLASSES, start=1)}
    _write(folder / "classInd.txt", [f"{number} {name}" for name, number in number_of.items()])
    made = sorted(shots(world, plan, CLASSES, takes=TAKES), key=_path)
    for fold in FOLDS:
        for split in SPLITS:
            chosen = [shot for shot in made if use(plan, shot.number, fold) == split]
            lines = [f"{_path(s)} {number_of[s.kind.name]}" if split == "train" else _path(s) for s in chosen]
            _write(folder / f"{split}list{fold:02d}.txt", lines)
    return class_truth((Path(_path(shot)).stem, shot.kind) for shot in made)


def media(world: World, root: Path, plan: MiniPlan, shard: str) -> list[tuple[Path, str]]:
    """Write the videos of a shard under `root`; returns (path, video_id) of each."""
    written = []
    for shot in shots(world, plan, CLASSES, takes=TAKES):
        path = root / "UCF-101" / _path(shot)
        if plan.in_shard(path.stem, shard):
            path.parent.mkdir(parents=True, exist_ok=True)
            gop, b_frames = (12, 0) if shot.clip.fps.denominator > 1 else (250, 2)
            options = {"codec": plan.options["codec"], "tag": plan.options["tag"]}
            encode(shot.frames(), path, fps=shot.clip.fps, gop=gop, b_frames=b_frames, **options)
            written.append((path, path.stem))
    return written


def _path(shot: Shot) -> str:
    name = shot.kind.name
    return f"{name}/v_{name}_g{shot.scene:02d}_c{shot.take:02d}.avi"


def _write(path: Path, lines: list[str]) -> None:
    """The release's lines end as in DOS."""
    path.write_text("".join(f"{line}\r\n" for line in lines), newline="")
