"""What a clip contains and where everything is in each of its frames.

Positions are in units of the frame's height, x from the frame's left edge, y downwards; a placement gives the
middle of a square sprite. The camera is applied afterwards (rendering.py).
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from retake.miniworld.lexicon import MARK_SCALE

GROUND = 0.9  # y of the feet of whoever stands
ACTOR_SIZE = 0.54
OBJECT_SIZE = 0.38
SPAN = 0.30  # half the way of a motion action, in frame widths
EARLY = 0.2  # share of the clip in which the first lamp is lit; the last one as long at the end


@dataclass(frozen=True)
class Actor:
    """Someone: a kind of lexicon.ACTORS, a colour, and a mark (a pattern or a size) or an empty string."""

    kind: str
    colour: str
    mark: str = ""

    @property
    def size(self) -> float:
        return ACTOR_SIZE * MARK_SCALE.get(self.mark, 1.0)


@dataclass(frozen=True)
class Clip:
    """All that happens in one clip. Empty strings mean "none"; the first actor is the one who acts.

    `x` and `side` place the scene (middle of the action in frame widths; +1: the object is to the right),
    `mirror` turns the actor round and says nothing about its action. A picture is a clip of one frame,
    without an action: `lift` and `size` vary its subject, `openness` says how far its object is open.
    """

    name: str
    width_px: int
    height_px: int
    num_frames: int
    fps: Fraction
    place: str
    actors: tuple[Actor, ...] = ()
    action: str = ""
    object: str = ""
    camera: str = "still"
    speech: str = ""
    outcome: str = ""
    x: float = 0.5
    side: int = 1
    mirror: bool = False
    phase: float = 0.0
    lift: float = 0.0
    size: float = 1.0
    openness: float = 0.0
    unseen: bool = False

    @property
    def duration_s(self) -> float:
        return float(self.num_frames / self.fps)

    @property
    def aspect(self) -> float:
        return self.width_px / self.height_px


@dataclass(frozen=True)
class Placement:
    """One sprite in one frame; `who` names it in the boxes ("actor0", "object"), empty for decoration."""

    who: str
    sprite: tuple
    x: float
    y: float
    size: float


def ways(action: str, num_frames: int) -> list[float]:
    """The progress in [0, 1] of a motion or order action at each frame.

    left, right, pace and shake visit the same places in different order; open and close, jump and duck are
    the reverse of each other.
    """
    n = num_frames
    steps = [(i + 0.5) / n for i in range(n)]
    if action in ("left", "close", "duck"):
        return steps[::-1]
    if action == "pace":
        return steps[::2] + steps[1::2][::-1]
    if action == "shake":
        return [steps[i // 2] if i % 2 == 0 else steps[n - 1 - i // 2] for i in range(n)]
    return steps


def _actor_pose(clip: Clip, way: float, frame: int) -> tuple[float, float, bool]:
    """Middle (x, y) of the acting actor and whether it lies down."""
    size = clip.actors[0].size
    x, feet = clip.x * clip.aspect, GROUND
    if clip.action in ("left", "right", "pace", "shake"):
        x = (0.5 + SPAN * (2 * way - 1)) * clip.aspect
    elif clip.action in ("jump", "duck"):
        feet = 0.80 - 0.18 * math.sin(2 * math.pi * way)
    elif clip.action == "sit":
        feet = GROUND - 0.26
    elif clip.action == "hold":
        feet = GROUND + 0.04
    elif clip.action == "hide":
        feet = GROUND - 0.1
    elif clip.action == "fly":
        feet = 0.54 + 0.03 * math.sin(2 * math.pi * (frame / clip.num_frames + clip.phase))
    y = feet - size / 2 - clip.lift
    return x, max(y, 0.36 * size), clip.action == "sleep"


def _object_place(clip: Clip, actor: tuple[float, float]) -> tuple[float, float, float]:
    """Middle (x, y) and size of the object."""
    size = OBJECT_SIZE
    x, y = clip.x * clip.aspect, GROUND - size / 2
    reach = (clip.actors[0].size if clip.actors else 0) / 2
    if not clip.actors:
        return x, GROUND - 0.3 * clip.size - clip.lift * 0.5, 0.6 * clip.size
    if clip.action == "hold":
        return actor[0], max(actor[1] - reach - 0.36 * size, 0.4 * size), size
    if clip.action in ("sit", "fly"):
        return x, y, size
    if clip.action == "hide":
        return x + 0.12 * clip.side, GROUND + 0.06 - size / 2, size
    if clip.action in ("left", "right", "pace", "shake"):
        return (0.5 + 0.34 * clip.side) * clip.aspect, 0.4, size
    x += clip.side * (reach + 0.42 * size)
    return min(max(x, size / 2), clip.aspect - size / 2), y, size


def placements(clip: Clip) -> list[list[Placement]]:
    """For each frame the sprites from back to front."""
    way = ways(clip.action, clip.num_frames)
    return [_frame(clip, way[i], i) for i in range(clip.num_frames)]


def _frame(clip: Clip, way: float, frame: int) -> list[Placement]:
    found: list[Placement] = []
    for n, other in enumerate(clip.actors[1:], start=1):
        size = 0.62 * other.size
        x = (0.5 - 0.4 * clip.side) * clip.aspect
        sprite = ("actor", other.kind, other.colour, other.mark, clip.mirror, False)
        found.append(Placement(f"actor{n}", sprite, x, GROUND - 0.08 - size / 2, size))
    actor, pose = None, (0.0, 0.0)
    if clip.actors:
        who = clip.actors[0]
        x, y, lies = _actor_pose(clip, way, frame)
        pose = (x, y)
        if clip.action == "fly":
            found.append(Placement("", ("wings",), x, y - 0.04, who.size * 1.7))
        if clip.action == "sleep":
            found.append(Placement("", ("dream",), x, y - 0.62 * who.size, 0.4))
        actor = Placement(
            "actor0", ("actor", who.kind, who.colour, who.mark, clip.mirror, lies), x, y, who.size * clip.size
        )
    thing = None
    if clip.object:
        # What opens is shut, but for the actions that open or close it.
        amount = min(max((way - 0.15) / 0.7, 0.0), 1.0) if clip.action in ("open", "close") else clip.openness
        x, y, size = _object_place(clip, pose)
        thing = Placement("object", ("object", clip.object, round(amount * 8)), x, y, size)
    pair = (actor, thing) if clip.action in ("hide", "hold") else (thing, actor)
    found.extend(one for one in pair if one is not None)
    if clip.outcome:
        found.append(_lamp(clip, frame))
    return found


def _lamp(clip: Clip, frame: int) -> Placement:
    """The signal: one lamp lit near the start, the other near the end, dark in between."""
    first, last = ("go", "stop") if clip.outcome == "win" else ("stop", "go")
    lit = math.ceil(EARLY * clip.num_frames)
    state = first if frame < lit else last if frame >= clip.num_frames - lit else "off"
    return Placement("", ("signal", state), 0.16, 0.16, 0.28)
