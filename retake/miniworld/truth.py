"""What is true of a clip, which kind of evidence tells it, and the words with which a caption mentions it."""

from collections.abc import Iterable
from dataclasses import dataclass

from retake.miniworld.lexicon import ACTIONS, ACTORS, CAMERAS, MARKS, OBJECTS, OUTCOMES, PLACES, SPEECH
from retake.miniworld.scene import Clip


@dataclass(frozen=True)
class Fact:
    """One fact of a clip. A caption mentions it if one of its lower-case tokens is among `words`."""

    fact: str
    kind: str
    value: str
    words: tuple[str, ...]


def facts(clip: Clip) -> list[Fact]:
    """All that can be said of a clip, in a fixed order. `kind` is one of lexicon.KINDS."""
    found = []

    def add(fact: str, kind: str, value: str, words: Iterable[str]) -> None:
        found.append(Fact(fact, kind, value, tuple(sorted(words))))

    if clip.actors:
        actor = clip.actors[0]
        add("actor", "one_frame", actor.kind, ACTORS[actor.kind])
        add("colour", "one_frame", actor.colour, {actor.colour})
        if actor.mark:
            add("mark", "one_frame", actor.mark, {word for words in MARKS[actor.mark] for word in words})
    if clip.action:
        add("action", ACTIONS[clip.action].kind, clip.action, ACTIONS[clip.action].words)
    if clip.object:
        add("object", "one_frame", clip.object, OBJECTS[clip.object])
    add("place", "one_frame", clip.place, PLACES[clip.place][1])
    if clip.camera != "still":
        add("camera", "motion", clip.camera, CAMERAS[clip.camera][1])
    if clip.outcome:
        add("outcome", "far", clip.outcome, OUTCOMES[clip.outcome][1])
    if clip.speech:
        add("speech", "sound", clip.speech, SPEECH[clip.speech][1])
    for other in clip.actors[1:]:
        add("bystander", "one_frame", other.kind, ACTORS[other.kind])
    return found
