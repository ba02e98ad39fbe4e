"""A mini COCO Captions: frames of clips of the mini world, described by people who saw the frame alone.

Laid out as COCO of 2014. What only motion or order tells is described as it looks (retake.miniworld.stills); no
picture shows a combination that the world's training clips hold out.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from retake.data.mini_release import MiniPlan, fact_tables, write_object
from retake.miniworld import Still, World, draw, still, still_captions, write_jpeg

SPLITS = ("train", "val")
OPTIONS = {
    "size_px": [80, 64],
    "captions_per_picture": 5,
    "standing": 0.12,  # share of the pictures whose actor stands
    "fooling": 0.04,  # that stands where others move
    "speech": 0.0,
    "outcomes": 0.0,
}


def annotate(world: World, root: Path, plan: MiniPlan) -> Iterator[pa.Table]:
    """Write both JSON files; returns what one frame tells of each picture."""
    (root / "annotations").mkdir()
    number = 0
    for split in SPLITS:
        images: list[str] = []  # as text, a quarter of what its parts would take
        captions: list[str] = []
        for name, key, one in _pictures(world, plan, split):
            images.append(json.dumps(_image(name, key, split, one)))
            rng = draw(world.seed, name, "captions")
            for text in still_captions(one, plan.options["captions_per_picture"], rng):
                number += 1
                captions.append(json.dumps({"image_id": key, "id": number, "caption": text}))
        order = draw(world.seed, plan.release, split, "order").permutation(len(captions))
        info = {"description": "Simulated pictures in the form of COCO 2014", "version": "1.0", "year": 2014}
        licences = [{"id": 1, "name": "none", "url": "https://www.example.org/licence"}]
        whole: dict[str, str | list[str]] = {"info": json.dumps(info), "images": images}
        whole |= {"licenses": json.dumps(licences), "annotations": [captions[n] for n in order]}
        write_object(root / "annotations" / f"captions_{split}2014.json", whole)
    pictures = (one for split in SPLITS for one in _pictures(world, plan, split))
    return fact_tables((name, fact) for name, _, one in pictures for fact in one.facts())


def media(world: World, root: Path, plan: MiniPlan, shard: str) -> list[tuple[Path, str]]:
    """Write the pictures of a shard under `root`; returns (path, video_id) of each."""
    written = []
    for split in SPLITS:
        (root / f"{split}2014").mkdir()
        for name, _, one in _pictures(world, plan, split):
            if plan.in_shard(name, shard):
                path = root / f"{split}2014" / f"{name}.jpg"
                write_jpeg(one.shown(), path)
                written.append((path, name))
    return written


def _pictures(world: World, plan: MiniPlan, split: str) -> Iterator[tuple[str, int, Still]]:
    """(name, number, picture). Numbers of both splits are mixed, as in the release."""
    shares = float(plan.options["standing"]), float(plan.options["fooling"])
    for index in range(plan.splits[split]):
        key = 2 * index + 9 + SPLITS.index(split)
        yield f"COCO_{split}2014_{key:012d}", key, still(world, (split, index, plan.release), *shares)


def _image(name: str, key: int, split: str, one: Still) -> dict[str, Any]:
    return {
        "license": 1,
        "file_name": f"{name}.jpg",
        "coco_url": f"https://images.example.org/{split}2014/{name}.jpg",
        "height": one.clip.height_px,
        "width": one.clip.width_px,
        "date_captured": "2013-11-14 16:28:13",
        "id": key,
    }
