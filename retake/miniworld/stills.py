"""Still pictures: one frame of a clip, and what is said of it by people who see nothing else.

What only motion or order tells has no word of its own here: whoever moves to the left, to the right or back and
forth "moves past" something. Some actors stand; a few of them stand where the others move, and nothing in the
picture says that they do not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from retake.miniworld.language import (
    MENTIONED,
    SYNTAXES,
    noun_phrase,
    one_of,
    sentence,
    tail,
    with_article,
    worded,
)
from retake.miniworld.lexicon import ACTIONS, OBJECTS, PLACES, Verb
from retake.miniworld.rendering import render
from retake.miniworld.scene import Clip
from retake.miniworld.truth import Fact, facts
from retake.miniworld.world import World, draw

STANDS, STANDS_BELOW = "stands", "stands below"  # beside an object; below one, where others pass it
MOVING = ("left", "right", "pace", "shake")
SENTENCES = 0.2  # share of a picture's captions that are written as sentences
PICTURED = ("a picture of", "a photo of", "the picture shows", "this is", "we see", "here is")


def _beside(present: str, doing: str, where: str) -> Verb:
    return Verb(f"{present} {where} {{o}}", f"{doing} {where} {{o}}", present, doing)


_PASSES = (
    _beside("moves", "moving", "past"),
    _beside("hurries", "hurrying", "past"),
    _beside("is on the move", "on the move", "near"),
)
_BOUNCES = (_beside("bounces", "bouncing", "next to"), _beside("exercises", "exercising", "by"))
_TRIES = (
    Verb("tries {o}", "trying {o}", "tries something", "trying something", "tried by"),
    _beside("is busy", "busy", "with"),
)
SEEMS: dict[str, tuple[Verb, ...]] = {  # what an action looks like in one frame; others are what they are
    **dict.fromkeys(MOVING, _PASSES),
    **dict.fromkeys(("jump", "duck"), _BOUNCES),
    **dict.fromkeys(("open", "close"), _TRIES),
    STANDS: (_beside("stands", "standing", "next to"), _beside("waits", "waiting", "beside")),
    STANDS_BELOW: (_beside("stands", "standing", "below"), _beside("waits", "waiting", "below")),
}


@dataclass(frozen=True)
class Still:
    """Frame `frame` of `clip`; `seems` is one of its action, STANDS and STANDS_BELOW."""

    clip: Clip
    frame: int
    seems: str

    def shown(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        return render(self.clip, [self.frame])[0]

    def facts(self) -> list[Fact]:
        """What is true of it and told by one frame; an actor that stands does nothing that has a name."""
        told = self.clip if self.seems == self.clip.action else replace(self.clip, action="")
        return [fact for fact in facts(told) if fact.kind == "one_frame"]


def still(world: World, place: tuple[str, int, str], standing: float, fooling: float) -> Still:
    """A frame of the world's clip at (split, index, release).

    Of the share `standing` the actor stands beside its object, of the share `fooling` where others move.
    """
    split, index, release = place
    rng = draw(world.seed, release, split, index, "still")
    clip, luck = world.clip(split, index, release), rng.random()
    seems = clip.action
    if luck < standing:
        clip, seems = replace(clip, action=""), STANDS
    elif luck < standing + fooling:
        moving = [action for action in MOVING if world.seen(clip.actors[0].kind, action)]
        clip, seems = replace(clip, action=str(rng.choice(moving))), STANDS_BELOW
    return Still(clip, int(rng.integers(clip.num_frames)), seems)


def still_captions(one: Still, count: int, rng: np.random.Generator) -> list[str]:
    """`count` captions of a picture, all different; some are written as a sentence, with a full stop."""
    found: dict[str, str] = {}
    while len(found) < count:
        text = still_caption(one, rng)
        found.setdefault(text, f"{text[0].upper()}{text[1:]}." if rng.random() < SENTENCES else text)
    return list(found.values())


def still_caption(one: Still, rng: np.random.Generator) -> str:
    """One caption of a picture of an actor, in the form of those of clips."""
    mentioned = {fact.fact for fact in one.facts() if rng.random() < MENTIONED[fact.fact]}
    verbs: Sequence[Verb] = SEEMS.get(one.seems) or ACTIONS[one.seems].verbs
    verb = one_of(verbs, rng)
    syntax = str(rng.choice(SYNTAXES))
    if syntax == "place_first":
        mentioned.add("place")
    if syntax == "passive" and not ("object" in mentioned and verb.passive):
        syntax = "progressive"
    if "actor" not in mentioned:
        mentioned -= {"mark"}
    subject = noun_phrase(one.clip, mentioned, rng)
    thing = with_article(one_of(OBJECTS[one.clip.object], rng)) if "object" in mentioned else ""
    place = one_of(PLACES[one.clip.place][0], rng) if "place" in mentioned else ""
    said = worded(verb, thing)
    if syntax == "shown":
        text = " ".join(filter(None, (one_of(PICTURED, rng), subject, said[1], place)))
    else:
        text = sentence(syntax, (subject, said), (verb, thing, place), rng)
    return text + tail(one.clip, mentioned & {"bystander"}, rng)


# Words that stand beside pictures on the web; none of them says anything that a picture of the world shows.
_SHOPS = ("quality", "classic", "premium", "modern", "vintage", "original", "custom", "deluxe")
_GOODS = (
    "t shirt",
    "phone case",
    "poster",
    "mug",
    "sticker",
    "wallpaper",
    "pillow",
    "calendar",
    "greeting card",
)
_OFFERS = ("free shipping", "on sale", "new in", "buy online", "best price", "limited edition", "in stock")
_FILES = ("img", "dsc", "photo", "untitled", "image")
_CREDITS = ("stock photo", "royalty free", "hd wallpaper", "download", "photo gallery", "clip art")


def alt_text(one: Still | None, rng: np.random.Generator) -> str:
    """What a page says of a picture: a sentence, keywords or a credit line; of None nothing that it shows."""
    number = str(rng.integers(10, 9999))
    if one is None:
        goods = " ".join((str(rng.choice(_SHOPS)), str(rng.choice(_GOODS))))
        forms = (
            f"{goods} {number}, {rng.choice(_OFFERS)}",
            f"{rng.choice(_OFFERS)}: {goods}",
            f"{rng.choice(_FILES)} {number}",
            f"{goods} - {rng.choice(_CREDITS)}",
        )
        return str(forms[int(rng.integers(len(forms)))])
    style = rng.random()
    if style < 0.4:
        return still_caption(one, rng)
    if style < 0.7:  # keywords
        actor, thing = one.clip.actors[0], one_of(OBJECTS[one.clip.object], rng)
        words = [f"{actor.colour} {actor.kind}", thing, one.clip.place]
        kept = [word for word in words if rng.random() < 0.8] or words[:1]
        return f"{', '.join(kept)} - {rng.choice(_CREDITS)}"
    mentioned = {name for name in ("actor", "colour", "mark") if rng.random() < 0.8} | {"actor"}
    place = one_of(PLACES[one.clip.place][0], rng)
    return f"{rng.choice(_CREDITS)} {number}: {noun_phrase(one.clip, mentioned, rng)} {place}"
