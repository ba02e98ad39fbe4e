"""Mini releases of classified videos: which clip is of which class, what it shows, which fold tests it.

A class fixes some of what its clips show and leaves the rest to chance, alike for every class that it shares
its actors with, so that a class is told by what one frame shows, by what moves, or by either alone:

one frame       its actor, object, place or pose is no other class's; it moves as others do
motion, order   other classes' clips are made of the same frames in another order
both            no other class looks so, and none moves so

No class is told by left or right: training mirrors its frames, and both ways are one action (CROSS).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from retake.data.mini_release import FACT, MiniPlan
from retake.miniworld import Actor, Clip, World, draw, render
from retake.miniworld.lexicon import ACTIONS, ACTORS, COLOURS, MARKS, OBJECTS, OPENABLE, PLACES

CROSS = ("left", "right")
BOUNCE = ("jump", "duck")
WAYS = (CROSS, ("pace",), ("shake",))  # three movements made of the same frames
LOOK, WAY = "class by look", "class by motion"  # facts of the truth


@dataclass(frozen=True)
class Kind:
    """A class of a mini release: what is drawn for its clips, one of each tuple.

    actions  groups of actions: a group is drawn first, then one of it. approach and leave: the camera moves
             towards the scene, or those frames backwards
    by       kinds of evidence, each of which alone tells the class
    """

    name: str
    by: tuple[str, ...]
    actors: tuple[str, ...]
    actions: tuple[tuple[str, ...], ...] = WAYS
    objects: tuple[str, ...] = tuple(OBJECTS)
    places: tuple[str, ...] = tuple(PLACES)


class Shot(NamedTuple):
    """One video of a release: the `take`-th of a scene, whose place and actor all its takes share."""

    number: int
    kind: Kind
    scene: int  # from 1
    take: int  # from 1
    clip: Clip
    backwards: bool

    def frames(self) -> np.ndarray:
        """(T, H, W, 3) uint8 RGB."""
        shown = render(self.clip)
        return shown[::-1] if self.backwards else shown


def shots(world: World, plan: MiniPlan, kinds: tuple[Kind, ...], *, takes: int, spare: int = 0) -> list[Shot]:
    """All videos of a release: as many as a fold trains on and tests, and `spare` more; classes in turn."""
    count = sum(plan.splits.values()) + spare
    return [_shot(world, plan.release, kinds, n, takes) for n in range(count)]


def use(plan: MiniPlan, number: int, fold: int, spare: int = 0) -> str:
    """What a video is for in a fold, counted from 1: train, test, or neither (empty), which `spare` are.

    The tests of the folds follow one another through the videos, from the start again after the last. Takes
    of one scene stay together where the number of tests is a multiple of classes and takes.
    """
    test, total = plan.splits["test"], sum(plan.splits.values()) + spare
    place = (number - (fold - 1) * test) % total
    return "test" if place < test else "" if place < test + spare else "train"


def class_truth(videos: Iterable[tuple[str, Kind]]) -> pd.DataFrame:
    """The class of (video_id, kind) pairs, a row a kind of evidence that tells it."""
    return pd.DataFrame(
        [
            (video, LOOK if by == "one_frame" else WAY, by, kind.name, [kind.name.lower()])
            for video, kind in videos
            for by in kind.by
        ],
        columns=FACT,
    )


def _shot(world: World, release: str, kinds: tuple[Kind, ...], number: int, takes: int) -> Shot:
    kind = kinds[number % len(kinds)]
    scene, take = (n + 1 for n in divmod(number // len(kinds), takes))
    clip = world.clip("clips", number, release)  # when, from where, in front of which phase of the place
    of_scene = draw(world.seed, release, kind.name, scene)
    actor = _one(of_scene, kind.actors)
    colour = _one(of_scene, [c for c in COLOURS if world.seen(actor, c)])
    mark = _one(of_scene, list(MARKS)) if of_scene.random() < world.marks else ""
    place = _one(of_scene, kind.places)
    of_take = draw(world.seed, release, kind.name, scene, take)
    action = _one(of_take, kind.actions[int(of_take.integers(len(kind.actions)))])
    moving = action in ("approach", "leave")
    opens = not moving and ACTIONS[action].opens
    clip = replace(
        clip,
        actors=(Actor(actor, colour, mark), *clip.actors[1:]),
        action="" if moving else action,
        object=_one(of_take, [o for o in kind.objects if o in OPENABLE or not opens]),
        place=place,
        camera="zoom" if moving else clip.camera,
    )
    return Shot(number, kind, scene, take, clip, action == "leave")


def _one(rng: np.random.Generator, of: list[str] | tuple[str, ...]) -> str:
    return str(rng.choice(list(of)))
