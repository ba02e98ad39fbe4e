"""The world: which clip stands where in which split of which release, decided by names and one seed alone."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from hashlib import sha256

import numpy as np

from retake.miniworld.lexicon import (
    ACTIONS,
    ACTORS,
    CAMERAS,
    COLOURS,
    MARKS,
    OBJECTS,
    OPENABLE,
    OUTCOMES,
    PLACES,
    SPEECH,
)
from retake.miniworld.scene import Actor, Clip

ACTIONS_HELD_OUT = 2  # actions that each kind of actor does in no training clip
COLOURS_HELD_OUT = 1  # colours that each kind of actor has in no training clip


def draw(*name: object) -> np.random.Generator:
    """A random generator that depends on a name alone, never on what was drawn before."""
    digest = sha256("/".join(map(str, name)).encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


@dataclass(frozen=True)
class World:
    """A simulated world.

    `size_px` is (width, height), both even; a clip takes one of `rates` (frames per second, as text, also as
    a fraction) and lasts between the two of `seconds`. The shares say how many clips have an unseen
    combination (test only), a moving camera, speech, an early event with a late consequence, a bystander, or
    a mark on the actor.
    """

    seed: int = 1
    size_px: tuple[int, int] = (80, 64)
    rates: tuple[str, ...] = ("10",)
    seconds: tuple[float, float] = (2.0, 2.8)
    unseen: float = 0.2
    cameras: float = 0.3
    speech: float = 0.2
    outcomes: float = 0.2
    bystanders: float = 0.12
    marks: float = 0.4
    held_out: frozenset[tuple[str, str]] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        width, height = (int(n) for n in self.size_px)
        if width % 2 or height % 2 or min(width, height) < 32:
            raise ValueError(f"size_px: {width} x {height}; expected even numbers of at least 32")
        if not 0 < self.seconds[0] <= self.seconds[1]:
            raise ValueError(f"seconds: {self.seconds}; expected the shortest and the longest clip")
        if not self.rates or any(Fraction(str(rate)) <= 0 for rate in self.rates):
            raise ValueError(f"rates: {self.rates}; expected frames per second, at least one rate")
        for name in ("unseen", "cameras", "speech", "outcomes", "bystanders", "marks"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: {getattr(self, name)}; expected a share between 0 and 1")
        fixed = {
            "size_px": (width, height),
            "rates": tuple(map(str, self.rates)),
            "seconds": tuple(self.seconds),
        }
        for name, value in {**fixed, "held_out": _held_out(self.seed)}.items():
            object.__setattr__(self, name, value)

    def clip(self, split: str, index: int, release: str) -> Clip:
        """Clip number `index` of a split.

        Of the test clips the share `unseen` shows a combination that training lacks: an actor that does
        something, or has a colour, as no actor of its kind does in any training clip.
        """
        rng = draw(self.seed, release, split, index)
        unseen = split == "test" and _share_at(index, self.unseen)
        kind, action = self._who_does_what(index, release)
        colours = self._colours(kind)
        colour = colours[self._turn(split, index, release, kind) % len(colours)]
        if unseen and int(rng.integers(2)):
            action = str(rng.choice(sorted(a for k, a in self.held_out if k == kind and a in ACTIONS)))
        elif unseen:
            colour = str(rng.choice(sorted(c for k, c in self.held_out if k == kind and c in COLOURS)))
        mark = str(rng.choice(list(MARKS))) if rng.random() < self.marks else ""
        actors = [Actor(kind, colour, mark)]
        if rng.random() < self.bystanders:
            other = str(rng.choice([k for k in ACTORS if k != kind]))
            actors.append(Actor(other, str(rng.choice(self._colours(other)))))
        rate = Fraction(str(rng.choice(list(self.rates))))
        outcome = str(rng.choice(list(OUTCOMES))) if rng.random() < self.outcomes else ""
        moving = (
            rng.random() < self.cameras and not outcome
        )  # who waits for the signal lamps keeps them in sight
        seconds = self.seconds[0] + (self.seconds[1] - self.seconds[0]) * rng.random()
        return Clip(
            name=f"{release}/{split}/{index}",
            width_px=self.size_px[0],
            height_px=self.size_px[1],
            num_frames=max(2, round(seconds * rate)),
            fps=rate,
            place=str(rng.choice(list(PLACES))),
            actors=tuple(actors),
            action=action,
            object=str(rng.choice(OPENABLE if ACTIONS[action].opens else list(OBJECTS))),
            camera=str(rng.choice(list(CAMERAS)[1:])) if moving else "still",
            speech=str(rng.choice(list(SPEECH))) if rng.random() < self.speech else "",
            outcome=outcome,
            x=0.5 + 0.12 * (2 * rng.random() - 1),
            side=int(rng.choice([-1, 1])),
            mirror=bool(rng.integers(2)),
            phase=float(rng.random()),
            unseen=unseen,
        )

    def picture(self, split: str, index: int, release: str, subject: dict[str, str]) -> Clip:
        """A clip of one frame that shows one `subject`: {"actor", "colour"}, {"object"} or {"place"}."""
        rng = draw(self.seed, release, split, index)
        actors = ()
        if "actor" in subject:
            mark = str(rng.choice(list(MARKS))) if rng.random() < self.marks else ""
            actors = (Actor(subject["actor"], subject["colour"], mark),)
        return Clip(
            name=f"{release}/{split}/{index}",
            width_px=self.size_px[0],
            height_px=self.size_px[1],
            num_frames=1,
            fps=Fraction(1),
            place=subject.get("place") or str(rng.choice(list(PLACES))),
            actors=actors,
            object=subject.get("object", ""),
            x=0.5 + 0.3 * (2 * rng.random() - 1),
            lift=float(0.3 * rng.random()),
            size=float(0.8 + 0.6 * rng.random()),
            openness=float(rng.random()),
            mirror=bool(rng.integers(2)),
            phase=float(rng.random()),
        )

    def seen(self, kind: str, value: str) -> bool:
        """Whether training clips may show this kind of actor with this action or colour."""
        return (kind, value) not in self.held_out

    def _colours(self, kind: str) -> list[str]:
        return [colour for colour in COLOURS if self.seen(kind, colour)]

    def _deck(self, release: str, cycle: int) -> list[tuple[str, str]]:
        """Every (actor, action) that training may show, once, shuffled."""
        return _deck(self.seed, self.held_out, release, cycle)

    def _who_does_what(self, index: int, release: str) -> tuple[str, str]:
        """Clips go through decks, so that kinds and actions come evenly.

        All splits go through the same ones: the first clips of a test split show what those of training do.
        """
        size = len(self._deck(release, 0))
        return self._deck(release, index // size)[index % size]

    def _turn(self, split: str, index: int, release: str, kind: str) -> int:
        """Where in its colours an actor of this kind stands: on by one each time that it comes in a deck."""
        cycle, at = divmod(index, len(self._deck(release, 0)))
        start = int(draw(self.seed, release, split, cycle, kind).integers(len(COLOURS)))
        return start + sum(k == kind for k, _ in self._deck(release, cycle)[:at])


@lru_cache(maxsize=64)
def _deck(seed: int, held_out: frozenset, release: str, cycle: int) -> list[tuple[str, str]]:
    pairs = [(kind, action) for kind in ACTORS for action in ACTIONS if (kind, action) not in held_out]
    return [pairs[n] for n in draw(seed, release, "deck", cycle).permutation(len(pairs))]


@lru_cache(maxsize=8)
def _held_out(seed: int) -> frozenset[tuple[str, str]]:
    """(actor, action) and (actor, colour) pairs that no training clip shows, spread evenly."""
    actions = draw(seed, "held out", "actions").permutation(list(ACTIONS))
    colours = draw(seed, "held out", "colours").permutation(list(COLOURS))
    found = set()
    for n, kind in enumerate(ACTORS):
        found |= {
            (kind, str(actions[(ACTIONS_HELD_OUT * n + i) % len(actions)])) for i in range(ACTIONS_HELD_OUT)
        }
        found |= {
            (kind, str(colours[(COLOURS_HELD_OUT * n + i) % len(colours)])) for i in range(COLOURS_HELD_OUT)
        }
    return frozenset(found)


def _share_at(index: int, share: float) -> bool:
    """Spreads a share evenly: of any n clips in a row, share * n are chosen, give or take one."""
    return int((index + 1) * share + 1e-9) > int(index * share + 1e-9)


def clips(world: World, split: str, count: int, release: str) -> Iterable[Clip]:
    """The first `count` clips of a split."""
    return (world.clip(split, index, release) for index in range(count))
