"""Captions: a small grammar that says a chosen part of what is true of a clip, in one of several syntaxes."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from retake.miniworld.lexicon import (
    ACTIONS,
    ACTORS,
    CAMERAS,
    HYPERNYMS,
    MARKS,
    OBJECTS,
    OUTCOMES,
    PLACES,
    SPEECH,
    Verb,
)
from retake.miniworld.scene import Clip
from retake.miniworld.truth import facts

Word = TypeVar("Word")
COMMON = 0.7  # how often the first of several synonyms is taken
MENTIONED = {  # how often a caption mentions a fact that the clip has
    "actor": 0.93,
    "colour": 0.8,
    "mark": 0.45,
    "action": 1.0,
    "object": 0.75,
    "place": 0.5,
    "camera": 0.35,
    "outcome": 0.5,
    "speech": 0.45,
    "bystander": 0.35,
}
TAILS = ("bystander", "speech", "outcome", "camera")
SYNTAXES = ("active", "progressive", "relative", "there", "shown", "place_first", "passive")
SHOWN = ("the video shows", "a video of", "this is", "we see", "here is", "someone filmed", "you can watch")


def captions(clip: Clip, count: int, rng: np.random.Generator) -> list[str]:
    """`count` captions, all different, of lower-case words with commas and without a full stop."""
    return [text for text, _ in described(clip, count, rng)]


def described(clip: Clip, count: int, rng: np.random.Generator) -> list[tuple[str, frozenset[str]]]:
    """`count` different captions, each with the names of the facts that it mentions."""
    found: dict[str, frozenset[str]] = {}
    while len(found) < count:
        text, mentioned = describe(clip, rng)
        found.setdefault(text, mentioned)
    return list(found.items())


def describe(clip: Clip, rng: np.random.Generator) -> tuple[str, frozenset[str]]:
    """One caption of a clip with an actor and an action, and the facts that it mentions."""
    mentioned = {fact.fact for fact in facts(clip) if rng.random() < MENTIONED[fact.fact]}
    if late := [name for name in TAILS if name in mentioned]:  # one of them, or captions would grow too long
        mentioned -= set(late) - {late[int(rng.integers(len(late)))]}
    verb = ACTIONS[clip.action].verbs[
        int(rng.choice(len(ACTIONS[clip.action].verbs), p=_weights(clip.action)))
    ]
    syntax = str(rng.choice(SYNTAXES))
    if syntax == "place_first":
        mentioned.add("place")
    if syntax == "passive" and not ("object" in mentioned and verb.passive):
        syntax = "progressive"
    if "actor" not in mentioned:
        mentioned -= {"mark"}
    subject = noun_phrase(clip, mentioned, rng)
    thing = with_article(one_of(OBJECTS[clip.object], rng)) if "object" in mentioned else ""
    place = one_of(PLACES[clip.place][0], rng) if "place" in mentioned else ""
    text = sentence(syntax, (subject, worded(verb, thing)), (verb, thing, place), rng)
    return text + tail(clip, mentioned, rng), frozenset(mentioned)


def _weights(action: str) -> list[float]:
    """The first verb of an action is the common one."""
    count = len(ACTIONS[action].verbs)
    return [0.5] + [0.5 / (count - 1)] * (count - 1)


def one_of(words: Sequence[Word], rng: np.random.Generator) -> Word:
    """One of several ways to say something; the first is the common one."""
    if len(words) == 1 or rng.random() < COMMON:
        return words[0]
    return words[int(rng.integers(1, len(words)))]


def with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def noun_phrase(clip: Clip, mentioned: set[str], rng: np.random.Generator) -> str:
    """The acting actor: "a huge red cat", "a cat that is red", "a red cat with stripes"."""
    actor = clip.actors[0]
    noun = one_of(ACTORS[actor.kind], rng) if "actor" in mentioned else str(rng.choice(HYPERNYMS))
    before, after = [], ""
    if "mark" in mentioned and actor.mark:
        adjectives, after_with = MARKS[actor.mark]
        if after_with and rng.random() < 0.5:
            after = f" with {one_of(after_with, rng)}"
        else:
            before.append(one_of(adjectives, rng))
    if "colour" in mentioned:
        if not after and rng.random() < 0.12:
            after = f" that is {actor.colour}"
        else:
            before.append(actor.colour)
    article = "the " if rng.random() < 0.12 else ""
    phrase = " ".join([*before, noun])
    return (article + phrase if article else with_article(phrase)) + after


def worded(verb: Verb, thing: str) -> tuple[str, str]:
    """(present, doing) with the object in its place."""
    if not thing:
        return verb.bare, verb.bare_doing
    return verb.present.format(o=thing), verb.doing.format(o=thing)


def sentence(
    syntax: str, said: tuple[str, tuple[str, str]], parts: tuple[Verb, str, str], rng: np.random.Generator
) -> str:
    """(subject, (present, doing)) and (verb, object, place), the last two empty if not mentioned, in a syntax."""
    subject, (present, doing) = said
    verb, thing, place = parts
    at = f" {place}" if place else ""
    if syntax == "passive":
        return f"{thing} is {verb.passive} {subject}{at}"
    if syntax == "active":
        return f"{subject} {present}{at}"
    if syntax == "relative":
        who = "that" if rng.random() < 0.6 else "which"
        return f"{subject} {who} {present} is seen{at}" if at else f"{subject} {who} {present} is in view"
    if syntax == "there":
        return f"there is {subject} {doing}{at}"
    if syntax == "shown":
        return f"{one_of(SHOWN, rng)} {subject} {doing}{at}"
    if syntax == "place_first":
        return (
            f"{place}, {subject} {present}" if rng.random() < 0.5 else f"{place} there is {subject} {doing}"
        )
    return f"{subject} is {doing}{at}"


def tail(clip: Clip, mentioned: set[str], rng: np.random.Generator) -> str:
    """What is said at the end, of the bystander, the spoken line, the late consequence or the camera."""
    if "bystander" in mentioned:
        other = with_article(one_of(ACTORS[clip.actors[1].kind], rng))
        return f" while {other} watches" if rng.random() < 0.5 else f" watched by {other}"
    if "speech" in mentioned:
        line = SPEECH[clip.speech][0]
        return f' and says "{line}"' if rng.random() < 0.6 else f", while a voice says {line}"
    if "outcome" in mentioned:
        return f" and {one_of(OUTCOMES[clip.outcome][0], rng)}"
    if "camera" in mentioned:
        return f" as {one_of(CAMERAS[clip.camera][0], rng)}"
    return ""
