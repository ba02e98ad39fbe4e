"""Texts as numbers: byte-level pairs and word pieces, against transformers' readers of the same files."""

import json
import subprocess
import sys

import pytest

from retake.layers.tokenizer import Tokenizer, trained

TEXTS = [
    "a red dog runs in the park",
    "the red dog rests",
    "two dogs run, and a cat rests in the sun",
    "A cat's day: it rests; it doesn't run!",
    "runners run  in   the park\n",
] * 5
ODD = ["", " ", "naïve café — 漢字 🙂", "<pad></s><s>[SEP] [PAD]", "tabs\tand\nlines", "it's we'll I'd"]


@pytest.fixture(scope="module")
def bpe():
    return trained(TEXTS, 320)


@pytest.fixture(scope="module")
def wordpiece():
    return trained(TEXTS, 60, "wordpiece")


def test_pairs_are_merged_as_written():
    """By hand: l+o, then lo+w; "er" has no merge, and a byte that no merge takes is a token of its own."""
    letters = ["l", "o", "w", "e", "r", "Ġ"]
    vocab = {t: n for n, t in enumerate(["<s>", "<pad>", "</s>", "<unk>", *letters, "lo", "low", "Ġlow"])}
    words = Tokenizer({"vocab.json": json.dumps(vocab), "merges.txt": "#version: 0.2\nl o\nlo w\nĠ low\n"})
    assert words.encode("low lower") == [vocab["low"], vocab["Ġlow"], vocab["e"], vocab["r"]]
    assert words.decode([2, vocab["low"], vocab["Ġlow"], 1, 1]) == "low low"
    assert (words.bos, words.eos, words.pad, len(words)) == (2, 2, 1, 13)


def test_words_are_cut_into_the_longest_pieces_from_the_left():
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "run", "##n", "##ing", "##ning", "a", ","]
    words = Tokenizer({"vocab.txt": "\n".join(vocab) + "\n"})
    assert words.encode("A running, zebra") == [9, 5, 8, 10, 1]
    assert words.decode([2, 9, 5, 8, 10, 3, 0]) == "a running,"
    assert (words.bos, words.eos, words.pad) == (2, 3, 0)


def test_pairs_read_as_transformers_reads_them(bpe, tmp_path):
    from transformers.models.gpt2.tokenization_gpt2 import GPT2Tokenizer

    for name, text in bpe.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    theirs = GPT2Tokenizer(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"), unk_token="<unk>")
    ours = Tokenizer(bpe)
    for text in [*TEXTS, *ODD[:3], *ODD[4:]]:
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False), text


def test_pieces_read_as_transformers_reads_them(wordpiece, tmp_path):
    from transformers.models.bert.tokenization_bert import BertTokenizer

    (tmp_path / "vocab.txt").write_text(wordpiece["vocab.txt"], encoding="utf-8")
    theirs, ours = BertTokenizer(str(tmp_path / "vocab.txt")), Tokenizer(wordpiece)
    for text in [*TEXTS, *ODD[:3], *ODD[4:]]:
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False), text


@pytest.mark.parametrize("text", [*TEXTS[:5], *ODD])
def test_byte_level_text_comes_back_to_the_letter(bpe, text):
    words = Tokenizer(bpe)
    assert words.decode(words.encode(text)) == text


@pytest.mark.parametrize("kind", ["bpe", "wordpiece"])
def test_no_text_ends_a_text(kind):
    words = Tokenizer(trained(TEXTS, 400, kind))
    found = set(words.encode("".join(ODD)))
    assert not found & {words.bos, words.eos, words.pad}


@pytest.mark.parametrize(("kind", "size"), [("bpe", 320), ("wordpiece", 60)])
def test_the_same_texts_give_the_same_files_in_another_process(kind, size):
    code = f"""
import hashlib, json
from retake.layers.tokenizer import trained
from tests.unit.layers.test_tokenizer import TEXTS
print(hashlib.sha256(json.dumps(trained(TEXTS, {size}, {kind!r})).encode()).hexdigest())
"""
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in "ab"
    ]
    assert runs[0].stdout == runs[1].stdout
    assert len(Tokenizer(trained(TEXTS, size, kind))) <= size


def test_the_most_frequent_words_are_learnt_whole(wordpiece):
    lines = wordpiece["vocab.txt"].splitlines()
    assert lines[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert {"run", "the", "in", "rests"} <= set(lines)
    assert 1 not in Tokenizer(wordpiece).encode("sss dog")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"vocab.json": "{}"}, "expected vocab.json and merges.txt, or vocab.txt; found"),
        ({"vocab.txt": "a\nb\n[PAD]\n[UNK]\n"}, r"its vocabulary has no \[CLS\]"),
        (
            {"vocab.json": '{"</s>": 0, "<pad>": 1, "a": 2}', "merges.txt": "a b\n"},
            "merge 1: 'a b' is no pair",
        ),
    ],
)
def test_files_that_are_no_tokenizer_are_refused(files, said):
    with pytest.raises(ValueError, match=said):
        Tokenizer(files)


def test_a_number_that_no_token_has_is_refused(bpe):
    with pytest.raises(ValueError, match="no token has number 99999"):
        Tokenizer(bpe).decode([99999])


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="expected bpe or wordpiece, found 'unigram'"):
        trained(TEXTS, 10, "unigram")
