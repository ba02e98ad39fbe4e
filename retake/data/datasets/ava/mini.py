"""A mini AVA: a minute of two or three actors in one picture, H.264 in MP4, boxes and acts at each second from 1 on.

Of the twelve evaluated classes four are told by one frame, four by motion, and four only by what happened, or will,
some 5, 15 or 30 seconds away; the truth says which and when. As in the release, class numbers have gaps, tables name
classes that are not evaluated, some seconds are excluded and some show nobody. Also written: the boxes that a
detector might have found, with scores. Some actors it missed, some boxes hold nobody. The test's films are short, their
later seconds are excluded, and no table names who does what in them.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from retake.data.mini_release import MiniPlan, fact_tables
from retake.miniworld import Fact, World, draw, encode
from retake.miniworld.ensemble import ACTS, STORIES, Ensemble, actor_boxes, ensemble, render_ensemble

SPLITS = ("train", "val", "test")
OPTIONS = {
    "size_px": [96, 72],
    "rates": ["5"],
    "length_s": 60,
    "keyframes": 59,  # of a video at most, the first of them at second 1
    "test_s": 15,  # of a film of the test: it is cut off there
    "codec": "h264",
    "b_frames": 2,
    "jitter": 0.01,  # of the edges of detected boxes, in shares of the picture
    "missed": 0.06,  # share of the actors that have no detected box
    "mistaken": 0.1,  # detected boxes of nobody, for each second
}
CLASSES = {  # what is done or meant -> number, name, type; in the order of the list
    "bounce": (1, "bounce", "MOVEMENT"),
    "stand": (2, "stand", "MOVEMENT"),
    "pace": (3, "walk/pace", "MOVEMENT"),
    "drift": (4, "drift", "MOVEMENT"),
    "shake": (5, "shake", "MOVEMENT"),
    "sit": (6, "sit", "MOVEMENT"),
    "sleep": (7, "lie/sleep", "MOVEMENT"),
    "swim": (8, "swim", "MOVEMENT"),
    "drop": (9, "drop (an object)", "OBJECT_MANIPULATION"),
    "hold": (11, "hold (an object)", "OBJECT_MANIPULATION"),
    "speak": (12, "speak", "PERSON_INTERACTION"),
    "answer": (13, "answer (a person)", "PERSON_INTERACTION"),
    "listen": (14, "listen to (a person)", "PERSON_INTERACTION"),
    "mourn": (15, "mourn (an object)", "PERSON_INTERACTION"),
    "dance": (16, "dance", "MOVEMENT"),
    "wait": (18, "wait for (a turn)", "PERSON_INTERACTION"),
}
KIND_OF = {**ACTS, **{name: story.kind for name, story in STORIES.items()}}  # of those that are evaluated
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"


class Film(NamedTuple):
    split: str
    video_id: str
    scene: Ensemble
    keyframes: int

    def seconds(self) -> range:
        """Of its keyframes."""
        return range(1, 1 + min(self.keyframes, self.scene.seconds - 1))

    def boxes(self, second: int) -> dict[int, tuple[float, float, float, float]]:
        return actor_boxes(self.scene, round(second * self.scene.fps))


def annotate(world: World, root: Path, plan: MiniPlan) -> Iterator[pa.Table]:
    """Write the lists, tables and detected boxes; returns in which seconds of each video a class is there."""
    evaluated = [name for name in CLASSES if name in KIND_OF]
    items = [f'item {{\n  name: "{CLASSES[n][1]}"\n  id: {CLASSES[n][0]}\n}}\n' for n in evaluated]
    labels = [
        f'label {{\n  name: "{name}"\n  label_id: {number}\n  label_type: PERSON_{kind.removeprefix("PERSON_")}\n}}\n'
        for number, name, kind in CLASSES.values()
    ]
    _write(root / "ava_action_list_v2.1_for_activitynet_2018.pbtxt", items)
    _write(root / "ava_action_list_v2.1.pbtxt", labels)
    films = list(_films(world, plan))
    seconds = sorted({second for film in films for second in film.seconds()})
    _write(root / "ava_included_timestamps_v2.1.txt", [f"{second:04d}\n" for second in seconds])
    for split in SPLITS:
        mine = sorted((film for film in films if film.split == split), key=lambda film: film.video_id)
        if split == "test":
            _write(root / "ava_file_names_test_v2.1.txt", [f"{film.video_id}.mp4\n" for film in mine])
        else:
            _write(root / f"ava_{split}_v2.1.csv", [line for film in mine for line in _rows(film)])
        _write(
            root / f"ava_{split}_excluded_timestamps_v2.1.csv",
            [line for film in mine for line in _excluded(world, film, seconds)],
        )
        _write(
            root / f"ava_{split}_predicted_boxes.csv",
            [line for film in mine for line in _detected(world, film, plan)],
        )
    return fact_tables(told for film in films for told in _truth(film, evaluated))


def media(world: World, root: Path, plan: MiniPlan, shard: str) -> list[tuple[Path, str]]:
    """Write the videos of a shard under `root`; returns (path, video_id) of each."""
    written = []
    folder = root / "trainval"
    folder.mkdir(exist_ok=True)
    for film in _films(world, plan):
        if plan.in_shard(film.video_id, shard):
            path = folder / f"{film.video_id}.mp4"
            options = {"codec": plan.options["codec"], "b_frames": plan.options["b_frames"]}
            shown = math.floor(plan.options["test_s"] * film.scene.fps) if film.split == "test" else None
            frames = render_ensemble(film.scene, None if shown is None else range(shown))
            encode(frames, path, fps=film.scene.fps, **options)
            written.append((path, film.video_id))
    return written


def _films(world: World, plan: MiniPlan) -> Iterator[Film]:
    taken: set[str] = set()
    for split in SPLITS:
        for index in range(plan.splits[split]):
            rng = draw(world.seed, plan.release, split, index, "film")
            video = ""
            while not video or video in taken:
                video = "".join(LETTERS[n] for n in rng.integers(len(LETTERS), size=11))
            taken.add(video)
            scene = ensemble(world, split, index, plan.release, seconds=plan.options["length_s"])
            keyframes = plan.options["test_s"] - 1 if split == "test" else plan.options["keyframes"]
            yield Film(split, video, scene, keyframes)


def _rows(film: Film) -> Iterator[str]:
    """A row a class of a box."""
    for second in film.seconds():
        for actor, box in film.boxes(second).items():
            place = f"{film.video_id},{second:04d},{_written(box)}"
            yield from (f"{place},{CLASSES[name][0]},{actor}\n" for name in film.scene.does(actor, second))


def _excluded(world: World, film: Film, seconds: list[int]) -> Iterator[str]:
    """One second of each video, and of a shorter one those behind its end."""
    one = draw(world.seed, film.video_id, "excluded").integers(1, film.seconds().stop)
    behind = [s for s in seconds if s >= film.seconds().stop] if film.split == "test" else []
    yield from (f"{film.video_id},{second:04d}\n" for second in (one, *behind))


def _detected(world: World, film: Film, plan: MiniPlan) -> Iterator[str]:
    rng, options = draw(world.seed, film.video_id, "detected"), plan.options
    for second in film.seconds():
        found = []
        for box in film.boxes(second).values():
            moved = np.clip(np.array(box) + options["jitter"] * rng.standard_normal(4), 0.0, 1.0)
            score = 1 - 0.12 * rng.random() ** 2  # one in twelve below 0.9
            if rng.random() >= options["missed"]:
                found.append((moved, score))
        if rng.random() < options["mistaken"]:
            corner = rng.random(2) * 0.7
            found.append((np.concatenate([corner, corner + 0.1 + 0.2 * rng.random(2)]), rng.random() ** 0.5))
        yield from (f"{film.video_id},{second:04d},{_written(box)},,{score:.4f}\n" for box, score in found)


def _truth(film: Film, evaluated: list[str]) -> Iterator[tuple[str, Fact, float, float]]:
    """The stretches of seconds in which somebody does what a class is; the value is the class's label."""
    scene, length = film.scene, film.scene.seconds
    if film.split == "test":
        length = min(length, film.keyframes + 1)
    actors = range(len(scene.actors))
    for label, key in enumerate(evaluated):
        name = CLASSES[key][1]
        fact = Fact(f"class {name}", KIND_OF[key], str(label), tuple(re.findall(r"[a-z]+", name)))
        there = [any(key in scene.does(actor, s) for actor in actors) for s in range(length)]
        edges = [s for s, now in enumerate(there) if now != (s > 0 and there[s - 1])]
        edges += [length] * (len(edges) % 2)
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            yield film.video_id, fact, float(start), float(end)


def _written(box: tuple[float, ...] | np.ndarray) -> str:
    return ",".join(f"{edge:.3f}" for edge in box)


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(lines), encoding="utf-8")
