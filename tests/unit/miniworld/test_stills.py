"""Still pictures: what is said of them is told by one frame, and nothing held out is shown."""

import re
from collections import Counter

import numpy as np
import pytest

from retake.miniworld import World, alt_text, draw, facts, render, still, still_captions
from retake.miniworld.lexicon import ACTIONS, ACTORS, CAMERAS, COLOURS, MARKS, OBJECTS, PLACES
from retake.miniworld.stills import MOVING, SEEMS, STANDS, STANDS_BELOW

WORLD = World(seed=3, speech=0.0, outcomes=0.0)
STILLS = [still(WORLD, ("train", n, "pictures"), 0.12, 0.05) for n in range(400)]
SAID = [(one, still_captions(one, 5, draw(3, one.clip.name))) for one in STILLS]


def tokens(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text.lower()))


def test_a_picture_is_one_frame_of_its_clip() -> None:
    for one in STILLS[:12]:
        assert np.array_equal(one.shown(), render(one.clip)[one.frame])


def test_shares_of_those_that_stand_are_as_asked() -> None:
    counts = Counter(one.seems for one in STILLS)
    assert abs(counts[STANDS] / 400 - 0.12) < 0.05
    assert abs(counts[STANDS_BELOW] / 400 - 0.05) < 0.03
    assert {one.clip.action for one in STILLS if one.seems == STANDS} == {""}
    assert {one.clip.action for one in STILLS if one.seems == STANDS_BELOW} <= set(MOVING)


def test_nothing_held_out_is_shown() -> None:
    for one in STILLS:
        for actor in one.clip.actors:
            assert WORLD.seen(actor.kind, actor.colour)
        assert WORLD.seen(one.clip.actors[0].kind, one.clip.action)


def test_what_one_frame_does_not_tell_has_no_word() -> None:
    hidden = [action.words for name, action in ACTIONS.items() if name in SEEMS]
    assert len(hidden) == sum(action.kind != "one_frame" for action in ACTIONS.values())
    hidden += [words for _, words in CAMERAS.values()]
    for _, said in SAID:
        for text in said:
            assert not any(tokens(text) & words for words in hidden), text


def test_facts_are_those_that_one_frame_tells() -> None:
    for one in STILLS:
        told = [fact for fact in facts(one.clip) if fact.kind == "one_frame"]
        acts = one.seems in ACTIONS and ACTIONS[one.seems].kind == "one_frame"
        assert one.facts() == [fact for fact in told if fact.fact != "action" or acts]


def test_no_caption_says_what_is_not_so() -> None:
    values = {
        "colour": {name: {name} for name in COLOURS},
        "mark": {name: {*one, *other} for name, (one, other) in MARKS.items()},
        "action": {name: action.words for name, action in ACTIONS.items()},
        "object": {name: set(words) for name, words in OBJECTS.items()},
        "place": {name: words for name, (_, words) in PLACES.items()},
    }
    for one, said in SAID:
        true = {fact.fact: fact.value for fact in one.facts()}
        for text in said:
            for fact, known in values.items():
                wrong = [
                    name for name, words in known.items() if tokens(text) & words and name != true.get(fact)
                ]
                assert not wrong, f"{text}: {fact} {wrong}"


def test_captions_differ_mention_most_facts_and_are_of_ten_words_or_so() -> None:
    texts = [text for _, said in SAID for text in said]
    assert all(len(set(said)) == 5 for _, said in SAID)
    assert 8 < np.mean([len(text.split()) for text in texts]) < 13
    named = [bool(tokens(t) & set(ACTORS[one.clip.actors[0].kind])) for one, said in SAID for t in said]
    assert np.mean(named) > 0.9
    assert 0.1 < np.mean([text.endswith(".") for text in texts]) < 0.3


def test_standing_is_said_of_those_that_stand_alone() -> None:
    for one, said in SAID:
        for text in said:
            stands = bool(tokens(text) & {"stands", "standing", "waits", "waiting"})
            assert stands == (one.seems in (STANDS, STANDS_BELOW)), text
            assert one.seems == STANDS_BELOW or "below" not in tokens(text)


@pytest.mark.parametrize("number", range(200))
def test_a_text_of_a_page_that_says_nothing_names_nothing(number: int) -> None:
    known = {word for names in (ACTORS, OBJECTS) for words in names.values() for word in words} | set(COLOURS)
    known |= {word for _, words in PLACES.values() for word in words}
    known |= {word for action in ACTIONS.values() for word in action.words}
    assert not tokens(alt_text(None, draw("noise", number))) & known


def test_a_text_of_a_page_about_its_picture_is_not_about_others() -> None:
    fit = wrong = 0
    for number, one in enumerate(STILLS):
        words = tokens(alt_text(one, draw("page", number)))
        mine = {word for fact in one.facts() for word in fact.words}
        others = (
            {w for ws in ACTORS.values() for w in ws}
            | set(COLOURS)
            | {w for ws in OBJECTS.values() for w in ws}
        )
        fit += bool(words & mine)
        wrong += bool(words & (others - mine))
    assert wrong == 0
    assert fit > 0.85 * len(STILLS)
