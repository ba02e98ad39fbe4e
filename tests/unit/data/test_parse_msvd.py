"""MSVD's files in small, in each layout that people have."""

import json
from pathlib import Path

import pandas as pd
import pytest

from retake.data.datasets.msvd.parse import parse as tables_of
from retake.data.release import CARDS
from retake.schema.card import read_card

CARD = read_card(CARDS / "msvd" / "card.yaml")
CORPUS = "MSR Video Description Corpus.csv"
HEADER = "VideoID,Start,End,WorkerID,Source,AnnotationTime,Language,Description\n"
MAPPING = "a-b_c_5_15 vid1\nx_0_9 vid1200\r\ny_0_9 vid1201\nz_3_9 vid1300\nv_1_2 vid1301\nw_1_2 vid1970"


def parse(root, card):
    return pd.concat(tables_of(root, card), ignore_index=True)


def row(clip: str, text: str, language: str = "English") -> str:
    name, start, end = clip.rsplit("_", 2)
    return f"{name},{start},{end},1,clean,30,{language},{text}\n"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "youtube_mapping.txt").write_text(MAPPING)
    return tmp_path


def corpus(root: Path, *rows: str) -> None:
    (root / CORPUS).write_text(HEADER + "".join(rows), newline="")


def found(root: Path) -> list[tuple[str, str, str]]:
    table = parse(root, CARD)
    return list(zip(table["split"], table["item_id"], table["text_out"], strict=True))


def test_the_card_states_the_published_splits():
    assert CARD.splits == {"train": 1200, "val": 100, "test": 670}


def test_splits_follow_the_numbers_of_the_mapping(root):
    clips = [line.split()[0] for line in MAPPING.split("\n")]
    corpus(root, *(row(clip, "text") for clip in clips))
    assert [split for split, _, _ in found(root)] == ["train", "train", "val", "val", "test", "test"]


def test_only_english_rows_are_kept_as_they_were_written(root):
    corpus(
        root,
        row("x_0_9", "ein Hund", "German"),
        row("x_0_9", '"A dog, a ""big"" one\r\n||| 漢"'),
        row("x_0_9", "A dog"),
    )
    assert found(root) == [("train", "x_0_9", 'A dog, a "big" one\r\n||| 漢'), ("train", "x_0_9", "A dog")]


def test_an_index_in_front_and_quotes_inside_a_text_do_no_harm(root):
    (root / CORPUS).write_text("," + HEADER + '228,x,0,9,1,clean,30,English,Man"s is swimming\n')
    assert found(root) == [("train", "x_0_9", 'Man"s is swimming')]


def test_what_has_no_clip_or_no_text_is_counted_and_left_out(root, caplog):
    corpus(root, row("x_0_9", "A dog"), row("q_0_9", "not published"), row("y_0_9", "  "))
    assert found(root) == [("train", "x_0_9", "A dog")]
    assert "1 described clips that are in no split, left out; first q_0_9" in caplog.text
    assert f"1 empty captions, left out; first {CORPUS} line 4" in caplog.text
    assert "5 clips without a caption, left out; first a-b_c_5_15" in caplog.text


def test_the_json_and_the_lists_are_read_as_well(tmp_path):
    for split, clip in (("train", "x_0_9"), ("val", "y_0_9"), ("test", "v_1_2")):
        (tmp_path / f"{split}_list.txt").write_text(clip + "\n")
    (tmp_path / "captions_msvd.json").write_text(json.dumps({"y_0_9": ["one", "two"], "v_1_2": ["three"]}))
    assert found(tmp_path) == [("val", "y_0_9", "one"), ("val", "y_0_9", "two"), ("test", "v_1_2", "three")]


def test_the_lines_of_austin_are_read_as_well(root):
    (root / "AllVideoDescriptions.txt").write_text("# a comment\n\nx_0_9 a dog runs\nv_1_2 a cat\n")
    assert found(root) == [("train", "x_0_9", "a dog runs"), ("test", "v_1_2", "a cat")]


def test_the_corpus_itself_wins_over_its_copies(root):
    (root / "captions_msvd.json").write_text(json.dumps({"x_0_9": ["a copy"]}))
    corpus(root, row("x_0_9", "The corpus."))
    assert found(root) == [("train", "x_0_9", "The corpus.")]


def test_lists_that_disagree_with_the_mapping_are_an_error(root):
    corpus(root, row("x_0_9", "text"))
    for split, clips in (("train", "a-b_c_5_15 y_0_9"), ("val", "x_0_9 z_3_9"), ("test", "v_1_2 w_1_2")):
        (root / f"{split}_list.txt").write_text(clips.replace(" ", "\n"))
    with pytest.raises(
        ValueError, match=r"youtube_mapping\.txt: clip x_0_9 is train, the lists beside it say val"
    ):
        parse(root, CARD)


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ("x_0_9 vid1\nx_0_9 vid2", "line 2: x_0_9 stands twice"),
        ("x_0_9 vid1\ny_0_9 vid1", "line 2: vid1 stands twice"),
        ("x_0_9 vid1971", "line 1: 'x_0_9 vid1971'; expected `clip vidN`, N from 1 to 1970"),
        ("x_0_9", "line 1: 'x_0_9'; expected `clip vidN`"),
    ],
)
def test_a_broken_mapping_is_named_by_its_line(root, mapping, said):
    (root / "youtube_mapping.txt").write_text(mapping)
    corpus(root, row("x_0_9", "text"))
    with pytest.raises(ValueError, match=f"youtube_mapping.txt: {said}"):
        parse(root, CARD)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("VideoID,Start,End,Description\n", r"line 1: the header is .* expected VideoID,Start,End,Language"),
        (HEADER + "x,0,nine,1,clean,30,English,text\n", "line 2: 'x', '0', 'nine'; expected VideoID"),
        (HEADER + "x,0,9,1,clean,30,English\n", "line 2: 7 fields; expected 8"),
        (HEADER + row("q_0_9", "text"), r"describes none of the 6 clips of the splits, e\.g\. a-b_c_5_15"),
    ],
)
def test_a_broken_corpus_is_named_by_its_line(root, content, said):
    (root / CORPUS).write_text(content)
    with pytest.raises(ValueError, match=rf"Corpus\.csv: {said}"):
        parse(root, CARD)


def test_a_clip_that_stands_in_two_lists_is_an_error(tmp_path):
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}_list.txt").write_text("x_0_9\n")
    with pytest.raises(
        ValueError, match=r"val_list\.txt: line 1: clip x_0_9 stands twice \(in train before\)"
    ):
        parse(tmp_path, CARD)


def test_a_missing_list_and_a_missing_corpus_are_named(root):
    with pytest.raises(ValueError, match="no captions; expected one of MSR Video Description Corpus"):
        parse(root, CARD)
    (root / "youtube_mapping.txt").rename(root / "train_list.txt")
    with pytest.raises(ValueError, match=r"no youtube_mapping\.txt and no val_list\.txt, test_list\.txt"):
        parse(root, CARD)


@pytest.mark.parametrize("content", ['["a"]', '{"x_0_9": "not a list"}'])
def test_a_json_of_another_form_is_an_error(root, content):
    (root / "captions_msvd.json").write_text(content)
    with pytest.raises(ValueError, match=r"captions_msvd\.json: .*expected"):
        parse(root, CARD)
