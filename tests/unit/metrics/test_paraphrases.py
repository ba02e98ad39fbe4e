"""The part of METEOR's paraphrase table that sentences can use."""

import gzip

import pytest

from retake.metrics import paraphrases
from retake.metrics.paraphrases import write_usable

PAIRS = [
    ("0.5", "a dog", "a hound"),
    ("0.4", "a dog", "a cat"),  # no sentence has a cat
    ("0.3", "the moon", "a dog"),  # nor a moon
    ("0.2", "it 's", "a hound"),
    ("0.1", "well - known", "known"),
]


def kept(tmp_path, sentences):
    table, out = tmp_path / "table.gz", tmp_path / "out.gz"
    table.write_bytes(gzip.compress("".join(f"{p}\n{a}\n{b}\n" for p, a, b in PAIRS).encode()))
    count = write_usable(table, sentences, out)
    lines = gzip.decompress(out.read_bytes()).decode().splitlines()
    assert len(lines) == 3 * count
    return [tuple(lines[i : i + 3]) for i in range(0, len(lines), 3)]


def test_pairs_stay_where_the_sentences_have_every_word_of_both(tmp_path):
    assert kept(tmp_path, ["a dog runs", "A Hound sleeps"]) == [PAIRS[0]]


def test_words_count_by_their_letters_since_meteor_cuts_at_punctuation_again(tmp_path):
    assert kept(tmp_path, ["it's a hound", "a well-known dog"]) == [PAIRS[0], PAIRS[3], PAIRS[4]]


@pytest.mark.parametrize("size", [1, 7, 31])
def test_where_the_table_is_cut_into_chunks_changes_nothing(tmp_path, monkeypatch, size):
    monkeypatch.setattr(paraphrases, "CHUNK", size)
    assert kept(tmp_path, ["it's a hound", "a well-known dog"]) == [PAIRS[0], PAIRS[3], PAIRS[4]]


def test_a_table_that_is_cut_short_is_an_error(tmp_path):
    table = tmp_path / "table.gz"
    table.write_bytes(gzip.compress(b"0.5\na dog\n"))
    with pytest.raises(ValueError, match=r"table\.gz: ends within a pair"):
        write_usable(table, ["a dog"], tmp_path / "out.gz")
