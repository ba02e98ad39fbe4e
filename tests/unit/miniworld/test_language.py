"""Captions: many words, many syntaxes, different facts, and a fact's words whenever the fact is mentioned."""

import re
from collections import Counter, defaultdict

import pytest

from retake.miniworld import World, captions, clips, described, draw, facts
from retake.miniworld.language import SYNTAXES
from retake.miniworld.lexicon import ACTIONS, ACTORS, CAMERAS, KINDS, MARKS, OBJECTS, OUTCOMES, PLACES, SPEECH

WORLD = World(seed=3)
CLIPS = list(clips(WORLD, "train", 240, "made"))
SAID = [(clip, described(clip, 8, draw(3, clip.name))) for clip in CLIPS]


def tokens(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text))


def test_captions_use_at_least_two_hundred_words() -> None:
    words = Counter(token for _, said in SAID for text, _ in said for token in tokens(text))
    assert len([word for word, count in words.items() if count >= 3]) >= 200


def test_the_captions_of_a_clip_all_differ() -> None:
    assert all(len({text for text, _ in said}) == 8 for _, said in SAID)


def test_the_captions_of_a_clip_differ_in_what_they_mention_and_how_they_begin() -> None:
    assert all(len({mentioned for _, mentioned in said}) >= 3 for _, said in SAID)
    openings = [len({" ".join(text.split()[:2]) for text, _ in said}) for _, said in SAID]
    assert min(openings) >= 2
    assert sum(openings) / len(openings) >= 4


def test_no_opening_dominates() -> None:
    openings = Counter(" ".join(text.split()[:2]) for _, said in SAID for text, _ in said)
    assert openings.most_common(1)[0][1] < 0.2 * openings.total()
    assert len(SYNTAXES) >= 6


def test_a_mentioned_fact_is_said_with_one_of_its_words() -> None:
    for clip, said in SAID:
        for text, mentioned in said:
            for fact in facts(clip):
                if fact.fact in mentioned:
                    assert tokens(text) & set(fact.words), f"{text}: {fact}"


def test_a_fact_that_is_not_mentioned_is_not_said() -> None:
    for clip, said in SAID:
        kinds = [fact for fact in facts(clip) if fact.fact not in ("actor", "bystander")]
        for text, mentioned in said:
            for fact in kinds:
                if fact.fact not in mentioned:
                    assert not tokens(text) & set(fact.words), f"{text}: {fact}"


def test_no_caption_says_what_is_not_so() -> None:
    everything = {
        "colour": {colour: {colour} for clip in CLIPS for colour in [clip.actors[0].colour]},
        "action": {name: action.words for name, action in ACTIONS.items()},
        "object": {name: set(words) for name, words in OBJECTS.items()},
        "place": {name: words for name, (_, words) in PLACES.items()},
        "outcome": {name: words for name, (_, words) in OUTCOMES.items()},
    }
    for clip, said in SAID:
        true = {fact.fact: fact.value for fact in facts(clip)}
        for text, _ in said:
            for fact, values in everything.items():
                for value, words in values.items():
                    assert value == true.get(fact) or not tokens(text) & words, f"{text}: {fact} {value}"


@pytest.mark.parametrize(
    "values",
    [
        [set(nouns) for nouns in ACTORS.values()],
        [set(nouns) for nouns in OBJECTS.values()],
        [action.words for action in ACTIONS.values()],
        [{*one, *other} for one, other in MARKS.values()],
        [words for _, words in PLACES.values()],
        [words for _, words in CAMERAS.values()],
        [words for _, words in SPEECH.values()],
        [words for _, words in OUTCOMES.values()],
    ],
    ids=["actors", "objects", "actions", "marks", "places", "cameras", "speech", "outcomes"],
)
def test_two_values_of_a_fact_share_no_word(values: list[set[str]]) -> None:
    assert sum(len(words) for words in values) == len(set().union(*values))


def test_every_kind_of_evidence_is_needed_for_some_fact() -> None:
    kinds = defaultdict(set)
    for clip in CLIPS:
        for fact in facts(clip):
            kinds[fact.kind].add(fact.fact)
    assert set(kinds) == set(KINDS)
    assert "action" in kinds["one_frame"] & kinds["order"] & kinds["motion"]


def test_captions_depend_on_the_clip_and_the_generator_alone() -> None:
    clip = CLIPS[5]
    assert captions(clip, 6, draw(1, "x")) == captions(clip, 6, draw(1, "x"))
    assert captions(clip, 6, draw(1, "x")) != captions(clip, 6, draw(1, "y"))


def test_captions_stay_short_enough_for_a_decoder_of_thirty_words() -> None:
    assert max(len(text.split()) for _, said in SAID for text, _ in said) <= 29
