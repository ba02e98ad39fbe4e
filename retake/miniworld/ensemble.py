"""Scenes of several actors over a minute: who does what each second, some of it told only from far away.

Each actor has a lane of its own and does one act after the other, each for whole seconds. Some acts one frame tells
(ACTS), some motion alone: who shakes goes where one goes who paces, in another order; so do `bounce` and `drift`. What
`stand` or `speak` means nothing near it tells: a story (STORIES) has a cause, an act that is seen, some seconds before
or after. Where the cause is, the act means the story's name; where another act is in the cause's place, nothing:

listen    to stand, 4 to 6 s after another spoke        wait    to stand, 11 to 14 s before all bounce
answer    to speak, 4 to 6 s after another held up      mourn   to stand, 23 to 30 s after all dropped something

A scene is of one story, or of none: then its frames are those of a story without its cause. Scenes come in groups,
one of each story, that show the same actors at the same place, so that neither tells the story.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from retake.miniworld.lexicon import COLOURS, PLACES
from retake.miniworld.places import background
from retake.miniworld.rendering import paint, pixels
from retake.miniworld.scene import GROUND, Actor, Placement
from retake.miniworld.sprites import extent
from retake.miniworld.world import World, draw

CAST = ("girl", "man", "robot", "cat", "dog", "bird")
THINGS = ("ball", "drum", "lamp", "book")
PATTERNS = ("", "striped", "spotted")
ACTS = {  # act -> evidence that tells it
    "sit": "one_frame",
    "sleep": "one_frame",
    "speak": "one_frame",
    "hold": "one_frame",
    "drop": "one_frame",
    "pace": "motion",
    "shake": "motion",
    "bounce": "motion",
}
MUTE = ("stand", "drift")  # acts that show what others show
FILLERS = (
    "sit",
    "sleep",
    "pace",
    "shake",
    "drift",
)  # no story's cause, and no act that a story gives a meaning
AWAY = ""  # not on the stage
SWING_S = 4  # seconds in which who paces or drifts comes back
RISE = 0.16  # of who bounces, in frame heights
EMPTY_S = 3  # that a stage without actors is shown at the end
EMPTY = 3  # of every third scene


@dataclass(frozen=True)
class Story:
    """Seconds from the beginning of an episode, ends excluded; episodes begin `every` so many seconds."""

    kind: str
    cause: str
    act: str  # what the cause gives a meaning
    cause_s: tuple[int, int]
    act_s: tuple[int, int]
    every: int
    by_all: bool  # the cause and the act; else one is the cause of what the others do


STORIES = {
    "listen": Story("far5", "speak", "stand", (0, 3), (6, 9), 12, by_all=False),
    "answer": Story("far5", "hold", "speak", (0, 3), (6, 9), 12, by_all=False),
    "wait": Story("far15", "bounce", "stand", (14, 18), (0, 4), 28, by_all=True),
    "mourn": Story("far30", "drop", "stand", (0, 6), (28, 36), 60, by_all=True),
}
TURNS = (*STORIES, "")  # of a group's scenes; the last one has no story


@dataclass(frozen=True)
class Deed:
    """What an actor does from second `start` up to second `end`; `meaning`: the story that gives it one."""

    start: int
    end: int
    act: str
    meaning: str = ""
    phase: float = 0.0  # of its motion


@dataclass(frozen=True)
class Ensemble:
    """A scene. `deeds` has for each actor its deeds in order, from second 0 to the end without a gap."""

    name: str
    width_px: int
    height_px: int
    fps: Fraction
    place: str
    phase: float
    actors: tuple[Actor, ...]
    thing: str
    story: str
    deeds: tuple[tuple[Deed, ...], ...]

    @property
    def seconds(self) -> int:
        return self.deeds[0][-1].end

    @property
    def num_frames(self) -> int:
        return math.floor(self.seconds * self.fps)

    def deed(self, actor: int, time_s: Fraction | float) -> Deed:
        """What an actor does at a time."""
        return next(deed for deed in self.deeds[actor] if time_s < deed.end)

    def does(self, actor: int, second: int) -> tuple[str, ...]:
        """The act of an actor at a second, and what it means; none while it is not there."""
        deed = self.deed(actor, second)
        return tuple(word for word in (deed.act, deed.meaning) if word)


def ensemble(
    world: World,
    split: str,
    index: int,
    release: str,
    *,
    seconds: int,
    story: str | None = None,
    caused: bool = True,
) -> Ensemble:
    """Scene number `index` of a split, whole `seconds` long, at the first of the world's rates.

    story   that it tells, "" for none; by default the index says
    caused  False: with another act in the place of each cause, and so without the meaning; all else is the same
    Raises ValueError where an episode of the story is longer than the scene.
    """
    group, turn = divmod(index, len(TURNS))
    of_group, of_scene = (
        draw(world.seed, release, split, *key) for key in (("group", group), ("scene", index))
    )
    actors = _cast(world, of_group)
    place, thing = str(of_group.choice(list(PLACES))), str(of_group.choice(THINGS))
    told = TURNS[turn] if story is None else story
    layout = told or str(of_scene.choice(list(STORIES)))
    name = f"{release}/{split}/{index}"
    end = seconds - (EMPTY_S if index % EMPTY == EMPTY - 1 else 0)
    fixed = _episodes(STORIES[layout], len(actors), end, of_scene)
    if not any(fixed):
        raise ValueError(f"{name}: {seconds} s; expected so many that an episode of {layout!r} has room")
    deeds = tuple(
        _filled(world, (name, n), _told(deeds, layout, caused=caused and bool(told)), end, seconds)
        for n, deeds in enumerate(fixed)
    )
    phase = float(of_group.random())
    shown = layout if told and caused else ""
    return Ensemble(name, *world.size_px, Fraction(world.rates[0]), place, phase, actors, thing, shown, deeds)


def _cast(world: World, rng: np.random.Generator) -> tuple[Actor, ...]:
    """Two or three, each of another kind and colour."""
    count = int(rng.integers(2, 4))
    kinds, colours = rng.permutation(CAST)[:count], list(rng.permutation(list(COLOURS)))
    chosen = []
    for kind in map(str, kinds):
        colour = next(c for c in colours if world.seen(kind, str(c)))
        colours.remove(colour)
        chosen.append(Actor(kind, str(colour), str(rng.choice(PATTERNS))))
    return tuple(chosen)


def _episodes(story: Story, num_actors: int, end: int, rng: np.random.Generator) -> list[list[Deed]]:
    """For each actor its causes and the acts that they give a meaning, in order; all lie in the seconds up to `end`."""
    found: list[list[Deed]] = [[] for _ in range(num_actors)]
    first, cause_by = int(rng.integers(1, 4)), int(rng.integers(num_actors))
    for begin in range(first, end, story.every):
        if begin + max(story.cause_s[1], story.act_s[1]) > end:
            break
        cause = Deed(begin + story.cause_s[0], begin + story.cause_s[1], story.cause)
        act = Deed(begin + story.act_s[0], begin + story.act_s[1], story.act, "meant")
        for n, deeds in enumerate(found):
            mine = [cause, act] if story.by_all else [cause] if n == cause_by else [act]
            deeds += sorted(mine, key=lambda deed: deed.start)
    return found


def _told(deeds: list[Deed], story: str, *, caused: bool) -> list[Deed]:
    """With the story's name as the meaning; or without the causes, and without a meaning."""
    if caused:
        return [Deed(d.start, d.end, d.act, story if d.meaning else "") for d in deeds]
    return [Deed(d.start, d.end, d.act if d.meaning else "other") for d in deeds]


def _filled(world: World, actor: tuple, fixed: list[Deed], end: int, seconds: int) -> tuple[Deed, ...]:
    """All that an actor does: between what is fixed one filler after the other, and the empty stage at the end.

    A deed is drawn by the second in which it begins, so that nothing depends on another.
    """
    found: list[Deed] = []
    for deed in [*fixed, Deed(end, seconds, AWAY)]:
        begin = found[-1].end if found else 0
        while begin < deed.start:
            until = min(begin + int(draw(world.seed, *actor, begin, "how long").integers(3, 7)), deed.start)
            found.append(Deed(begin, until, "other"))
            begin = until
        found += [deed] if deed.end > deed.start else []
    return tuple(_drawn(world, actor, deed) for deed in found)


def _drawn(world: World, actor: tuple, deed: Deed) -> Deed:
    rng = draw(world.seed, *actor, deed.start, "deed")
    filler, phase = str(rng.choice(FILLERS)), float(rng.random())
    return Deed(deed.start, deed.end, filler if deed.act == "other" else deed.act, deed.meaning, phase)


def render_ensemble(scene: Ensemble, only: range | None = None) -> np.ndarray:
    """(T, H, W, 3) uint8 RGB: all frames, or those whose numbers are asked for."""
    base = background(scene.place, scene.width_px, scene.height_px, scene.phase)
    asked = range(scene.num_frames) if only is None else only
    frames = np.empty((len(asked), *base.shape), np.uint8)
    for row, frame in enumerate(asked):
        canvas = base.copy()
        for sprite in placed(scene, frame):
            paint(canvas, sprite, scene.height_px)
        frames[row] = np.minimum(canvas + np.float32(0.5), np.float32(255))
    return frames


def actor_boxes(scene: Ensemble, frame: int) -> dict[int, tuple[float, float, float, float]]:
    """The box of each actor that a frame shows: left, top, right, bottom in shares of its width and height."""
    found = {}
    width, height = scene.width_px, scene.height_px
    for sprite in placed(scene, frame):
        if sprite.who:
            left, top, size = pixels(sprite, height)
            west, north, east, south = extent(sprite.sprite, size)
            edges = (
                (left + west) / width,
                (top + north) / height,
                (left + east) / width,
                (top + south) / height,
            )
            x0, y0, x1, y1 = (min(max(edge, 0.0), 1.0) for edge in edges)
            found[int(sprite.who)] = (x0, y0, x1, y1)
    return found


def placed(scene: Ensemble, frame: int) -> list[Placement]:
    """The sprites of a frame from back to front; `who` is an actor's number."""
    found: list[Placement] = []
    for n in range(len(scene.actors)):
        found += _actor(scene, n, frame)
    return found


def _actor(scene: Ensemble, number: int, frame: int) -> list[Placement]:
    deed, who = scene.deed(number, frame / scene.fps), scene.actors[number]
    if deed.act == AWAY:
        return []
    lane = scene.width_px / scene.height_px / len(scene.actors)
    size = min(0.42, 0.8 * lane)
    swing = 1 - abs(4 * ((frame / float(scene.fps) / SWING_S + deed.phase) % 1) - 2)  # from -1 to 1 and back
    turned = swing if frame // 2 % 2 == 0 else -swing  # the same places, in another order
    x, feet = lane * (number + 0.5), GROUND
    if deed.act in ("pace", "shake"):
        x += max((lane - size) / 2, 0.07) * (swing if deed.act == "pace" else turned)
    elif deed.act in ("drift", "bounce"):
        feet -= RISE * (1 + (swing if deed.act == "drift" else turned)) / 2
    elif deed.act == "sit":
        feet -= 0.2
    y = feet - size / 2
    body = Placement(
        str(number), ("actor", who.kind, who.colour, who.mark, False, deed.act == "sleep"), x, y, size
    )
    small = 0.62 * size
    beside = {
        "sit": Placement("", ("object", "box", 0), x, GROUND - 0.36 * size, 0.72 * size),
        "sleep": Placement("", ("dream",), x, y - 0.75 * size, small),
        "speak": Placement("", ("words",), x + 0.3 * size, y - 0.8 * size, 0.8 * size),
        "hold": Placement("", ("object", scene.thing, 0), x, y - 0.8 * size, small),
        "drop": Placement("", ("object", scene.thing, 0), x + 0.3 * size, GROUND + 0.02 - small / 2, small),
    }.get(deed.act)
    both = (beside, body) if deed.act == "sit" else (body, beside)
    return [one for one in both if one is not None]
