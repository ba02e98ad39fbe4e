"""A mini ImageNet: pictures of the mini world's actors, objects and places, laid out as ILSVRC 2012.

No picture shows an actor in a colour that the world's training clips hold out: a backbone that learned from
them has not seen it either.
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from retake.data.mini_release import MiniPlan
from retake.miniworld import Clip, World, boxes, render, write_jpeg
from retake.miniworld.lexicon import ACTORS, COLOURS, OBJECTS, PLACES

SPLITS = ("train", "val")
OPTIONS = {"size_px": [72, 72], "marks": 0.3, "colours": 2}  # colours: how many each kind of actor has
FOLDER = "ILSVRC/Data/CLS-LOC"
Subject = dict[str, str]


def classes(world: World, colours: int) -> dict[str, tuple[str, Subject]]:
    """wnid -> (name, what its pictures show). Every colour serves about as many kinds of actor."""
    found: list[tuple[str, Subject]] = []
    names = list(COLOURS)
    for n, kind in enumerate(ACTORS):
        turned = [names[(n * colours + i) % len(names)] for i in range(len(names))]
        allowed = [colour for colour in turned if world.seen(kind, colour)]
        found += [(f"{colour} {kind}", {"actor": kind, "colour": colour}) for colour in allowed[:colours]]
    found += [(", ".join(words), {"object": kind}) for kind, words in OBJECTS.items()]
    found += [(place, {"place": place}) for place in PLACES]
    return {f"n9{number:07d}": one for number, one in enumerate(found, start=1)}


def annotate(world: World, root: Path, plan: MiniPlan) -> pd.DataFrame:
    """Write the list of classes, the boxes and lists of both splits; returns each picture's class."""
    known = classes(world, plan.options["colours"])
    mapping = "".join(f"{wnid} {name}\n" for wnid, (name, _) in known.items())
    (root / "LOC_synset_mapping.txt").write_text(mapping)
    lists = root / "ILSVRC/ImageSets/CLS-LOC"
    lists.mkdir(parents=True)
    truth = []
    for split, name in (("train", "train_cls"), ("val", "val")):
        solution, listed = ["ImageId,PredictionString"], []
        pictures = (one for one in _pictures(world, plan) if one[0] == split)
        for number, (_, wnid, video_id, clip) in enumerate(pictures, start=1):
            solution.append(f"{video_id},{wnid} {' '.join(map(str, _box(clip)))} ")
            listed.append(f"{wnid}/{video_id} {number}" if split == "train" else f"{video_id} {number}")
            words = known[wnid][0].replace(",", "").split()
            truth.append((video_id, "class", "one_frame", known[wnid][0], words))
        (root / f"LOC_{split}_solution.csv").write_text("\n".join(solution) + "\n")
        (lists / f"{name}.txt").write_text("\n".join(listed) + "\n")
    return pd.DataFrame(truth, columns=["video_id", "fact", "kind", "value", "words"])


def media(world: World, root: Path, plan: MiniPlan, shard: str) -> list[tuple[Path, str]]:
    """Write the pictures of a shard under `root`; returns (path, video_id) of each."""
    written = []
    for split, wnid, video_id, clip in _pictures(world, plan):
        if plan.in_shard(video_id, shard):
            folder = root / FOLDER / split
            path = (folder / wnid if split == "train" else folder) / f"{video_id}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_jpeg(render(clip)[0], path)
            written.append((path, video_id))
    return written


def _pictures(world: World, plan: MiniPlan) -> Iterator[tuple[str, str, str, Clip]]:
    """(split, wnid, video_id, picture): classes in turn, so that each split holds about as many of each."""
    known = list(classes(world, plan.options["colours"]).items())
    for split in SPLITS:
        for index in range(plan.splits[split]):
            wnid, (_, subject) = known[index % len(known)]
            number = index // len(known) + 1 if split == "train" else index + 1
            name = f"{wnid}_{number}" if split == "train" else f"ILSVRC2012_val_{number:08d}"
            yield split, wnid, name, world.picture(split, index, plan.release, subject)


def _box(clip: Clip) -> tuple[int, int, int, int]:
    """Pixels of what the picture is about; a place fills it."""
    (found,) = boxes(clip)
    x0, y0, x1, y1 = found.get("actor0") or found.get("object") or (0.0, 0.0, 1.0, 1.0)
    width, height = clip.width_px, clip.height_px
    return round(x0 * width), round(y0 * height), round(x1 * width), round(y1 * height)
