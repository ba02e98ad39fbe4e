"""The part of METEOR's paraphrase table that sentences can use."""

import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retake.metrics import paraphrases
from retake.metrics.meteor import meteor
from retake.metrics.paraphrases import Filtered, filter_paraphrases, runs_of, write_usable

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


def test_a_data_set_is_filtered_once_for_the_words_of_its_captions(tmp_path, monkeypatch):
    table, annotations = tmp_path / "table.gz", tmp_path / "captions.parquet"
    table.write_bytes(gzip.compress("".join(f"{p}\n{a}\n{b}\n" for p, a, b in PAIRS).encode()))
    pq.write_table(pa.table({"text_out": ["A dog.", None, "It's a HOUND!"]}), annotations)
    monkeypatch.setattr(paraphrases, "PARAPHRASES", table)
    written = []
    for name in ("one", "two"):
        outs = (tmp_path / f"{name}.gz", tmp_path / f"{name}.txt")
        filter_paraphrases(annotations=annotations, table_out=outs[0], words_out=outs[1])
        written.append([path.read_bytes() for path in outs])
    assert written[0] == written[1]
    assert Filtered.read(*outs).runs == {"a", "dog", "it", "s", "hound"}
    assert gzip.decompress(written[0][0]).decode().splitlines() == [*PAIRS[0], *PAIRS[3]]


def test_meteor_takes_the_data_sets_table_where_it_knows_every_word(tmp_path, monkeypatch):
    """With a table that holds nothing, a pair that only the whole table has does not match."""
    empty = tmp_path / "empty.gz"
    empty.write_bytes(gzip.compress(b""))
    references, captions = [["the man is at least happy"]], [["the man is no less than happy"]]
    runs = runs_of(references[0] + captions[0])
    (whole,) = meteor(references, captions)
    assert sum(whole.statistics[0][16:20]) > 0  # the paraphrase
    (without,) = meteor(references, captions, filtered=Filtered(empty, runs))
    assert sum(without.statistics[0][16:20]) == 0
    (again,) = meteor(references, captions, filtered=Filtered(empty, runs - {"less"}))
    assert again == whole
