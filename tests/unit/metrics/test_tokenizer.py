"""Captions to tokens: each keeps its place, whatever characters it is made of."""

import pytest

from retake.metrics import tokenizer
from retake.metrics.java import JavaError
from retake.metrics.tokenizer import normalised, tokenised

SEPARATORS = ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "|||", "\0"]


@pytest.fixture(scope="module")
def tokens():
    """caption -> tokens, all through one process that finds no java in PATH."""
    captions = [f"left{separator}right" for separator in SEPARATORS]
    captions += [" ".join(["word"] * 10_000), "שלום לכם", "a 😀 smile", "Émile's café", "half \ud83d pair"]
    captions += ["", "   ", "? ! ...", "The Last One."]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")
        patch.delenv("JAVA_HOME", raising=False)
        return dict(zip(captions, tokenised(captions), strict=True))


@pytest.mark.parametrize("separator", SEPARATORS, ids=ascii)
def test_a_line_separator_inside_a_caption_is_a_space(tokens, separator):
    assert tokens[f"left{separator}right"] == "left right"


def test_ten_thousand_words_survive(tokens):
    assert tokens[" ".join(["word"] * 10_000)].split() == ["word"] * 10_000


def test_other_scripts_survive_and_an_emoji_moves_nothing(tokens):
    assert tokens["שלום לכם"] == "שלום לכם"
    assert tokens["Émile's café"] == "émile 's café"
    assert tokens["a 😀 smile"].split()[0] == "a"
    assert tokens["a 😀 smile"].split()[-1] == "smile"


def test_half_a_surrogate_pair_loses_only_itself(tokens):
    assert tokens["half \ud83d pair"].split()[0] == "half"
    assert tokens["half \ud83d pair"].split()[-1] == "pair"


def test_a_caption_without_words_is_empty_and_keeps_its_place(tokens):
    assert tokens[""] == tokens["   "] == tokens["? ! ..."] == ""
    assert tokens["The Last One."] == "the last one"


def test_no_captions_need_no_process(monkeypatch):
    monkeypatch.setattr(tokenizer, "Java", None)
    assert tokenised([]) == []


def test_longer_bars_leave_no_three_bars_behind():
    assert "|||" not in normalised("a |||| b ||||||| c")
    assert normalised("a || b") == "a || b"


class OneLineShort:
    """A tokenizer that loses a line."""

    def __init__(self, *args, **kwargs):
        self.fail = JavaError

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def rest(self):
        return "first\n"


def test_a_lost_line_is_an_error(monkeypatch):
    monkeypatch.setattr(tokenizer, "Java", OneLineShort)
    with pytest.raises(JavaError, match="2 captions went in, 1 came out"):
        tokenised(["first", "second"])
