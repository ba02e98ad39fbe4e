"""What somebody says while a film runs, as recognised speech: lower case, no punctuation, captions that overlap.

A narrator speaks in paragraphs of a little over eight seconds. Some are about what is shown meanwhile, some greet
or part, the rest is talk about anything else; a part of that speaks of another actor, elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retake.miniworld.language import noun_phrase, one_of, with_article, worded
from retake.miniworld.lexicon import ACTIONS, ACTORS, OBJECTS, PLACES
from retake.miniworld.scene import Clip

PARAGRAPH_S = (8.05, 8.6)  # shortest and longest
CLIP, ELSEWHERE, CHAT, INTRO, OUTRO = "clip", "elsewhere", "chat", "intro", "outro"

_GREETING = ("hey guys", "hi guys", "okay guys", "hey what is up guys")
_WELCOME = ("welcome back to my channel", "welcome to another video", "welcome to the channel")
_TODAY = ("today i will show you how to do this", "i am so excited about this", "let us get started")
_PART = ("so that is it for today", "i hope you liked this video", "that is all for now")
_ASK = (
    "do not forget to subscribe",
    "hit the like button and subscribe",
    "leave me a comment and subscribe to the channel",
)
_BYE = ("see you next time bye", "i will see you in the next video bye bye", "until next time goodbye")

_WHO = ("my mom", "a friend of mine", "my neighbour", "my teacher", "my brother")
_WHEN = ("last year", "a long time ago", "when i was a kid", "the other day", "in school")
_CHAT = (
    "{who} told me about this {when}",
    "i learned it from {who} {when}",
    "{who} would do it in another way",
    "it is okay if it does not work {when2}",
    "you do not have to be perfect",
    "so just take your time and relax",
    "i know it sounds strange but trust me",
    "it took me {number} tries to get here",
    "and honestly i was so tired",
    "you can get these online for {number} dollars",
    "some people ask me why i do it",
    "the weather was really bad {when}",
    "it should take about {number} minutes",
    "i was quite nervous {when}",
    "and that is really all there is to it",
    "we will talk about that later",
)
_LATER = ("at first", "the first time", "in the beginning", "every time")
_SEE = ("so here we have", "this is", "as you can see there is", "look at", "and that is")
_NOW = ("now", "and now", "so", "and then", "okay so")
_WHERE = ("we are {place} today", "all of this happens {place}", "it is really nice {place}")
_NEED = ("all you need is {thing}", "do not forget {thing}", "this is {thing} by the way")
_AWAY = ("{when} i saw", "{who} has", "it reminds me of", "i once had")


@dataclass(frozen=True)
class Narration:
    """One caption of recognised speech; `about` says what its paragraph is about."""

    start_s: float
    end_s: float
    text: str
    about: str


def narrate(
    scenes: Sequence[tuple[Clip, float, float]],
    elsewhere: Sequence[Clip],
    shares: tuple[float, float, float],
    rng: np.random.Generator,
) -> list[Narration]:
    """What is said over (clip, start, end) scenes, which follow each other.

    elsewhere  clips that a paragraph may speak of in place of what is shown
    shares     of all paragraphs: that greet or part; of other talk; of that talk, what is about elsewhere
    """
    ends = scenes[-1][2]
    places: list[tuple[float, float]] = []
    at = 0.2 + 0.4 * float(rng.random())
    while at + PARAGRAPH_S[1] <= ends:
        length = PARAGRAPH_S[0] + (PARAGRAPH_S[1] - PARAGRAPH_S[0]) * float(rng.random())
        places.append((at, at + length))
        at += length - 0.05 - 0.35 * float(rng.random())
    found: list[Narration] = []
    for number, (start, end) in enumerate(places):
        about = _topic(number, len(places), shares, rng)
        shown = max(scenes, key=lambda one: min(one[2], end) - max(one[1], start) if one[0].actors else -1.0)[
            0
        ]
        other = elsewhere[int(rng.integers(len(elsewhere)))]
        lines = _lines(about, other if about == ELSEWHERE else shown, rng)
        found += [
            Narration(*time, line, about) for time, line in zip(_times(start, end, rng), lines, strict=True)
        ]
    return found


def _topic(number: int, count: int, shares: tuple[float, float, float], rng: np.random.Generator) -> str:
    """Greetings stand first, partings last: half of their share each, of all paragraphs."""
    greets, talks, away = shares
    luck, other = float(rng.random()), float(rng.random())
    ends = min(greets * count / 2, 1.0)
    if number == 0 and luck < ends:
        return INTRO
    if number == count - 1 and luck < ends:
        return OUTRO
    if other < talks / max(1 - greets, 1e-9):
        return ELSEWHERE if float(rng.random()) < away else CHAT
    return CLIP


def _times(start: float, end: float, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Three captions a paragraph; the next one begins before the last is taken away."""
    third = (end - start) / 3
    begins = [start, start + third * (0.9 + 0.2 * rng.random()), start + third * (1.8 + 0.2 * rng.random())]
    ends = [begins[1] + 0.3 + rng.random(), min(begins[2] + 0.3 + rng.random(), end - 0.3), end]
    return [(round(float(b), 2), round(float(e), 2)) for b, e in zip(begins, ends, strict=True)]


def _one(of: Sequence[str], rng: np.random.Generator) -> str:
    return of[int(rng.integers(len(of)))]


def chat(rng: np.random.Generator) -> str:
    """A line about nothing that the world has."""
    said = {"who": _one(_WHO, rng), "when": _one(_WHEN, rng), "when2": _one(_LATER, rng)}
    return _one(_CHAT, rng).format(**said, number=str(rng.integers(4, 60)))


def _lines(about: str, clip: Clip, rng: np.random.Generator) -> list[str]:
    if about == INTRO:
        return [_one(_GREETING, rng), _one(_WELCOME, rng), _one(_TODAY, rng)]
    if about == OUTRO:
        return [_one(_PART, rng), _one(_ASK, rng), _one(_BYE, rng)]
    if about == CHAT:
        return [chat(rng), chat(rng), chat(rng)]
    if about == ELSEWHERE:
        opening = _one(_AWAY, rng).format(who=_one(_WHO, rng), when=_one(_WHEN, rng))
        lines = [f"{opening} {noun_phrase(clip, {'actor', 'colour'}, rng)}", _where(clip, rng), chat(rng)]
        return lines if rng.random() < 0.7 else [lines[2], *lines[:2]]
    lines = [_who(clip, rng), _what(clip, rng), (_where, _need)[int(rng.integers(2))](clip, rng)]
    lines = [
        chat(rng) if rng.random() < 0.3 else line for line in lines
    ]  # nobody speaks of nothing but the work
    return lines if any(_says(line, clip) for line in lines) else [_who(clip, rng), *lines[1:]]


def _says(line: str, clip: Clip) -> bool:
    """Whether the line names the actor, what it does, the object or the place."""
    words = set(line.split())
    known = (
        ACTORS[clip.actors[0].kind],
        ACTIONS[clip.action].words,
        OBJECTS[clip.object],
        PLACES[clip.place][1],
    )
    return any(not words.isdisjoint(one) for one in known)


def _who(clip: Clip, rng: np.random.Generator) -> str:
    mentioned = {"actor"} | {name for name in ("colour", "mark") if rng.random() < 0.6}
    return f"{_one(_SEE, rng)} {noun_phrase(clip, mentioned, rng)}"


def _what(clip: Clip, rng: np.random.Generator) -> str:
    verb = one_of(ACTIONS[clip.action].verbs, rng)
    thing = with_article(one_of(OBJECTS[clip.object], rng)) if rng.random() < 0.6 else ""
    present, doing = worded(verb, thing)
    who = f"the {one_of(ACTORS[clip.actors[0].kind], rng)}" if rng.random() < 0.6 else "it"
    return (
        f"{_one(_NOW, rng)} {who} {present}" if rng.random() < 0.5 else f"{_one(_NOW, rng)} {who} is {doing}"
    )


def _where(clip: Clip, rng: np.random.Generator) -> str:
    return _one(_WHERE, rng).format(place=one_of(PLACES[clip.place][0], rng))


def _need(clip: Clip, rng: np.random.Generator) -> str:
    return _one(_NEED, rng).format(thing=with_article(one_of(OBJECTS[clip.object], rng)))
