"""Which sentences are no captions."""

import pytest

from retake.labelling.judging import wrong_with


@pytest.mark.parametrize(
    "said", ["a dog runs", "the very very very best", "no no no", "on and on and on", "2"]
)
def test_captions_pass(said):
    assert wrong_with(said, "a picture of ", 3) is None


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("", "the labeller said nothing"),
        (" ", "the labeller said nothing"),
        (". ,", "the labeller said nothing: '. ,'"),
        ("a picture  of", "the labeller said the prompt alone"),
        ("a dog dog dog dog", "the labeller said 'dog' 4 times in a row"),
        ("sky on off on off on off on off it", "the labeller said 'on off' 4 times in a row"),
    ],
)
def test_what_is_no_caption_is_told_apart(said, why):
    assert wrong_with(said, "a picture of ", 3) == why
