"""Which facts of a clip its caption mentions."""

import pytest

from retake.metrics.facts import fact_hits, fact_recall

TRUTH = [
    {"video_id": "v1", "fact": "actor", "kind": "one_frame", "words": ["dog", "puppy"]},
    {"video_id": "v1", "fact": "action", "kind": "motion", "words": ["jumps", "jumping"]},
    {"video_id": "v1", "fact": "object", "kind": "one_frame", "words": ["ball"]},
    {"video_id": "v2", "fact": "actor", "kind": "one_frame", "words": ["cat"]},
    {"video_id": "v2", "fact": "place", "kind": "far", "words": ["kitchen"]},
    {"video_id": "v9", "fact": "place", "kind": "sound", "words": ["bell"]},
]


def test_a_fact_is_mentioned_by_any_of_its_words_and_counts_once():
    captions = {"v1": "A Puppy, a dog.", "v2": "a cat in the kitchen jumps"}
    assert fact_recall(captions, TRUTH) == {"one_frame": 2 / 3, "motion": 0.0, "far": 1.0}


def test_a_word_within_a_word_is_no_mention():
    assert fact_recall({"v1": "dogs play football"}, TRUTH)["one_frame"] == 0.0


def test_facts_of_items_without_caption_do_not_count():
    assert fact_hits({"v2": ""}, TRUTH) == {"one_frame": {"v2": (0, 1)}, "far": {"v2": (0, 1)}}


@pytest.mark.parametrize("words", [[], ["Dog"], ["two words"], [""]])
def test_words_that_no_caption_can_mention_are_an_error(words):
    row = {"video_id": "v1", "fact": "actor", "kind": "far", "words": words}
    with pytest.raises(ValueError, match=r"'actor' of 'v1'.*lower-case words"):
        fact_recall({"v1": "a dog"}, [row])
