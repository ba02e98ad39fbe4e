"""A mini HowTo100M: H.264 in MP4, each video one task done in three or four scenes, and recognised speech about it.

One actor of one colour does one thing with one object at one place; camera, phase, mark and bystander change from
scene to scene. Some videos begin or end with the place alone. Less than half of what is said is about what is shown
meanwhile: the shares in OPTIONS are those of the paper's human study of the release.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from retake.data.mini_release import MiniPlan, fact_tables
from retake.miniworld import Actor, Clip, Narration, World, draw, encode, facts, narrate, render
from retake.miniworld.language import with_article
from retake.miniworld.lexicon import ACTIONS, OBJECTS, OPENABLE

SPLITS = ("train",)
OPTIONS = {
    "size_px": [80, 64],
    "rates": ["4", "5"],
    "length_s": [26, 30],  # of a video
    "opening": 0.3,  # share of the videos that begin with the place alone, and of those that end so
    "objects": 3,  # that each action is done with: the tasks are as many times the actions
    "greets": 0.13,  # share of what is said that greets or parts
    "talks": 0.42,  # that is other talk
    "elsewhere": 0.3,  # of that talk: what is about another actor elsewhere
    "speech": 0.0,  # the world's own spoken lines
    "outcomes": 0.0,
    "codec": "h264",
    "b_frames": 0,
}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
HEADER = ["video_id", "category_1", "category_2", "rank", "task_id"]
FIRST_TASK = 10_001
OPENING_S = (2.0, 3.0)  # shortest and longest


class Film(NamedTuple):
    video_id: str
    task: tuple[str, str]  # action, object
    scenes: list[tuple[Clip, Fraction, Fraction]]  # start and end in seconds
    said: list[Narration]


def annotate(world: World, root: Path, plan: MiniPlan) -> Iterator[pa.Table]:
    """Write the table of videos, the list of tasks and what is said; returns what is true of each scene."""
    tasks = {task: FIRST_TASK + n for n, task in enumerate(_tasks(plan.options["objects"]))}
    films = list(_films(world, plan, list(tasks)))
    lines = "".join(f"{number}\t{_text(*task)}\n" for task, number in tasks.items())
    (root / "task_ids.csv").write_text(lines, encoding="utf-8")
    with (root / "HowTo100M_v1.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(HEADER)
        table.writerows(_row(world, film, tasks[film.task]) for film in films)
    said = {
        film.video_id: {
            "start": [one.start_s for one in film.said],
            "end": [one.end_s for one in film.said],
            "text": [one.text for one in film.said],
        }
        for film in films
    }
    (root / "caption.json").write_text(json.dumps(said) + "\n", encoding="utf-8")
    return fact_tables(
        (film.video_id, fact, float(start), float(end))
        for film in films
        for clip, start, end in film.scenes
        for fact in facts(clip)
    )


def media(world: World, root: Path, plan: MiniPlan, shard: str) -> list[tuple[Path, str]]:
    """Write the videos of a shard under `root`; returns (path, video_id) of each."""
    written = []
    (root / "videos").mkdir()
    options = {"codec": plan.options["codec"], "b_frames": plan.options["b_frames"]}
    for film in _films(world, plan, _tasks(plan.options["objects"])):
        if plan.in_shard(film.video_id, shard):
            path = root / "videos" / f"{film.video_id}.mp4"
            frames = np.concatenate([render(clip) for clip, _, _ in film.scenes])
            encode(frames, path, fps=film.scenes[0][0].fps, **options)
            written.append((path, film.video_id))
    return written


def _tasks(objects: int) -> list[tuple[str, str]]:
    """(action, object) pairs: every action with so many objects, every object with about as many actions."""
    found = []
    for n, (name, action) in enumerate(ACTIONS.items()):
        fit = list(OPENABLE) if action.opens else list(OBJECTS)
        found += [(name, fit[(n + 3 * i) % len(fit)]) for i in range(min(objects, len(fit)))]
    return found


def _text(action: str, thing: str) -> str:
    """What a task is called: "Sitting on a drum"."""
    said = ACTIONS[action].verbs[0].doing.format(o=with_article(OBJECTS[thing][0]))
    return said[0].upper() + said[1:]


def _row(world: World, film: Film, task: int) -> list[str | int]:
    clip = next(clip for clip, _, _ in film.scenes if clip.actors)
    actor = clip.actors[0]
    rank = int(draw(world.seed, film.video_id, "rank").integers(1, 200))
    return [film.video_id, actor.kind, clip.place, rank, task]


def _films(world: World, plan: MiniPlan, tasks: list[tuple[str, str]]) -> Iterator[Film]:
    taken: set[str] = set()
    for index in range(plan.splits["train"]):
        rng = draw(world.seed, plan.release, "train", index, "film")
        video = ""
        while not video or video in taken:
            video = "".join(LETTERS[n] for n in rng.integers(len(LETTERS), size=11))
        taken.add(video)
        first = world.clip("train", index, plan.release)
        things = [thing for action, thing in tasks if action == first.action]
        first = replace(first, object=things[int(rng.integers(len(things)))])
        scenes = _scenes(world, plan, index, first, rng)
        others = (world.clip(f"train talk {index}", n, plan.release) for n in count())
        elsewhere = list(islice((other for other in others if _unlike(other, first)), 6))
        greets, talks, away = (float(plan.options[name]) for name in ("greets", "talks", "elsewhere"))
        seconds = [(clip, float(start), float(end)) for clip, start, end in scenes]
        yield Film(
            video,
            (first.action, first.object),
            scenes,
            narrate(seconds, elsewhere, (greets, talks, away), rng),
        )


def _unlike(other: Clip, clip: Clip) -> bool:
    """Whether nothing that is said of `other` is so of `clip`."""
    mine, its = ((c.actors[0].kind, c.actors[0].colour, c.action, c.object, c.place) for c in (clip, other))
    return all(a != b for a, b in zip(mine, its, strict=True))


def _scenes(
    world: World, plan: MiniPlan, index: int, first: Clip, rng: np.random.Generator
) -> list[tuple[Clip, Fraction, Fraction]]:
    """Clips that follow each other without a gap, each of whole frames."""
    low, high = plan.options["length_s"]
    frames = round((low + (high - low) * rng.random()) * first.fps)
    opening, ending = (
        round((OPENING_S[0] + (OPENING_S[1] - OPENING_S[0]) * rng.random()) * first.fps)
        if rng.random() < plan.options["opening"]
        else 0
        for _ in range(2)
    )
    number_of = int(rng.integers(3, 5))
    edges = [opening + (frames - opening - ending) * n // number_of for n in range(number_of + 1)]
    alone = replace(first, actors=(), action="", object="", camera="still")
    parts = [replace(alone, num_frames=opening)] if opening else []
    for number in range(number_of):
        drawn = world.clip("train scenes", 4 * index + number, plan.release)
        actor, watched = drawn.actors[0], drawn.actors[1:]
        mine = first.actors[0]
        parts.append(
            replace(
                first,
                num_frames=edges[number + 1] - edges[number],
                actors=(
                    Actor(mine.kind, mine.colour, actor.mark),
                    *(other for other in watched if other.kind != mine.kind),
                ),
                **{name: getattr(drawn, name) for name in ("camera", "x", "side", "mirror", "phase")},
            )
        )
    parts += [replace(alone, num_frames=ending)] if ending else []
    ends = np.cumsum([part.num_frames for part in parts]).tolist()
    starts = [0, *ends[:-1]]
    return [
        (part, Fraction(start) / first.fps, Fraction(end) / first.fps)
        for part, start, end in zip(parts, starts, ends, strict=True)
    ]
