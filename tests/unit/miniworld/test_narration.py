"""Narration: captions that overlap, paragraphs of a little over eight seconds, and less than half about the clip."""

import itertools
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from retake.miniworld import World, draw, facts, narrate
from retake.miniworld.lexicon import (
    ACTIONS,
    ACTORS,
    CAMERAS,
    COLOURS,
    MARKS,
    OBJECTS,
    OUTCOMES,
    PLACES,
    SPEECH,
)
from retake.miniworld.narration import CHAT, CLIP, ELSEWHERE, INTRO, OUTRO, PARAGRAPH_S, chat

WORLD = World(seed=3)
SHARES = (0.13, 0.42, 0.3)
EVERY_WORD = {
    *COLOURS,
    *(word for names in (ACTORS, OBJECTS) for words in names.values() for word in words),
    *(word for one, other in MARKS.values() for word in (*one, *other)),
    *(word for action in ACTIONS.values() for word in action.words),
    *(word for named in (PLACES, CAMERAS, SPEECH, OUTCOMES) for _, words in named.values() for word in words),
}


def tokens(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text))


def film(number: int, length_s: float = 27.0):
    clip = WORLD.clip("train", number, "films")
    other = WORLD.clip("train", number + 1, "films")
    alone = replace(clip, actors=(), action="", object="")
    scenes = [(alone, 0.0, 2.5), (clip, 2.5, 15.0), (clip, 15.0, length_s)]
    return clip, other, narrate(scenes, [other], SHARES, draw("film", number))


FILMS = [film(number) for number in range(300)]
PARAGRAPHS = [(clip, other, said[n : n + 3]) for clip, other, said in FILMS for n in range(0, len(said), 3)]


def test_captions_overlap_and_follow_each_other() -> None:
    for _, _, said in FILMS:
        assert len(said) == 9
        assert all(one.start_s < one.end_s <= 27.0 for one in said)
        assert all(a.start_s < b.start_s < a.end_s for a, b in itertools.pairwise(said))


def test_paragraphs_last_a_little_over_eight_seconds() -> None:
    for _, _, part in PARAGRAPHS:
        assert len({one.about for one in part}) == 1
        assert 8.0 <= max(one.end_s for one in part) - part[0].start_s <= PARAGRAPH_S[1] + 0.02
        assert part[1].end_s - part[0].start_s < 8.0


def test_shares_of_what_paragraphs_are_about_are_as_asked() -> None:
    counts = Counter(part[0].about for _, _, part in PARAGRAPHS)
    total = counts.total()
    assert total == 900
    assert abs((counts[INTRO] + counts[OUTRO]) / total - 0.13) < 0.035
    assert abs((counts[CHAT] + counts[ELSEWHERE]) / total - 0.42) < 0.05
    assert abs(counts[ELSEWHERE] / (counts[CHAT] + counts[ELSEWHERE]) - 0.3) < 0.07


def test_greetings_come_first_and_partings_last() -> None:
    for _, _, said in FILMS:
        topics = [one.about for one in said[::3]]
        assert INTRO not in topics[1:]
        assert OUTRO not in topics[:-1]


def test_what_is_about_the_clip_names_a_fact_of_it_and_of_no_other() -> None:
    for clip, _, part in PARAGRAPHS:
        if part[0].about == CLIP:
            words = tokens(" ".join(one.text for one in part))
            mine = {word for fact in facts(clip) for word in fact.words}
            assert words & mine
            assert not words & (EVERY_WORD - mine), part


def test_what_is_about_elsewhere_is_so_there() -> None:
    for _, other, part in PARAGRAPHS:
        if part[0].about == ELSEWHERE:
            words = tokens(" ".join(one.text for one in part))
            mine = {word for fact in facts(other) for word in fact.words}
            assert words & mine
            assert not words & (EVERY_WORD - mine)


def test_other_talk_has_no_word_of_the_worlds() -> None:
    lines = [chat(draw("chat", n)) for n in range(600)]
    lines += [one.text for _, _, part in PARAGRAPHS for one in part if one.about in (CHAT, INTRO, OUTRO)]
    assert {word for line in lines for word in tokens(line)} & EVERY_WORD == set()
    assert len(set(lines)) > 150


def test_speech_is_lower_case_without_punctuation() -> None:
    assert all(re.fullmatch(r"[a-z0-9]+( [a-z0-9]+)*", one.text) for _, _, said in FILMS for one in said)
    assert 12 < np.mean([sum(len(one.text.split()) for one in part) for _, _, part in PARAGRAPHS]) < 26


@pytest.mark.parametrize("length_s", [4.0, 8.5])
def test_a_film_too_short_for_a_paragraph_has_none(length_s: float) -> None:
    clip = WORLD.clip("train", 0, "films")
    assert narrate([(clip, 0.0, length_s)], [clip], SHARES, draw("short")) == []


def test_narration_depends_on_scenes_and_generator_alone() -> None:
    assert film(7)[2] == film(7)[2]
    assert film(7)[2] != film(8)[2]
