"""HowTo100M: narrations joined to about eight seconds, by hand; what videos are about; broken files by name."""

import json

import pandas as pd
import pytest

from retake.data.datasets.howto100m import parse as module
from retake.data.datasets.howto100m.parse import Said, joined
from retake.data.datasets.howto100m_tasks.parse import parse as parse_tasks
from retake.data.release import CARDS
from retake.schema.card import read_card

CARD = read_card(CARDS / "howto100m" / "card.yaml")
TASKS = read_card(CARDS / "howto100m_tasks" / "card.yaml")


def parse(root, card):
    return pd.concat(module.parse(root, card), ignore_index=True)


@pytest.fixture
def release(tmp_path):
    """Three videos that are there; the annotations also speak of one that is gone."""

    def write(said=None, rows=None, tasks="7\tBoil an Egg\n12\tPaint a Wall\n"):
        for name in ("aaa.mp4", "b-b.webm", "_cc.mkv"):
            (tmp_path / name).write_bytes(b"")
        (tmp_path / "caption.json").write_text(json.dumps(said or {}))
        header = "video_id,category_1,category_2,rank,task_id\n"
        (tmp_path / "HowTo100M_v1.csv").write_text(header + (rows or ""))
        (tmp_path / "task_ids.csv").write_text(tasks)
        return tmp_path

    return write


def narrated(*times):
    return [Said(start, end, chr(97 + n)) for n, (start, end) in enumerate(times)]


@pytest.mark.parametrize(
    ("said", "chunks"),
    [
        # closed by the one that makes it last 8 s; the next begins though the last is still shown
        ([(0, 3), (2, 5), (4, 8), (7, 10)], [(0, 8, "a b c"), (7, 10, "d")]),
        # 7.9 s are too few, so the next is joined whole and it gets longer than 8
        ([(0, 4), (3.5, 7.9), (7.9, 12)], [(0, 12, "a b c")]),
        # silence: what starts 8 s after the chunk did begins another
        ([(1, 3), (9, 11)], [(1, 3, "a"), (9, 11, "b")]),
        ([(1, 3), (8.9, 11)], [(1, 11, "a b")]),
        # one narration of 8 s or more is a chunk of its own
        ([(0, 20), (5, 8), (13, 14)], [(0, 20, "a"), (5, 8, "b"), (13, 14, "c")]),
        # order of start, not of the file; the longest end counts, not the last
        ([(4, 5), (0, 7.5), (1, 2)], [(0, 7.5, "b c a")]),
        # those that start together stay in the file's order
        ([(0, 2), (0, 1), (0, 3)], [(0, 3, "a b c")]),
        ([(0, 8)], [(0, 8, "a")]),
        ([], []),
    ],
)
def test_narrations_are_joined_until_about_eight_seconds(said, chunks):
    assert [tuple(one) for one in joined(narrated(*said))] == chunks


def test_a_row_is_a_chunk_of_a_video_that_is_there(release, caplog):
    said = {
        "gone": {"start": [0], "end": [9], "text": ["never seen"]},
        "b-b": {"start": [10.5, 0.25], "end": [19, 8.5], "text": ["and then ", " first\nof all"]},
        "aaa": {"start": [0, 1, 2], "end": [4, 1, 3], "text": ["kept", "no length", " "]},
    }
    table = parse(release(said), CARD)
    assert list(
        zip(
            table["item_id"],
            table["video_id"],
            table["start_s"],
            table["end_s"],
            table["text_out"],
            strict=True,
        )
    ) == [
        ("b-b#0", "b-b", 0.25, 8.5, "first of all"),
        ("b-b#1", "b-b", 10.5, 19.0, "and then"),
        ("aaa#0", "aaa", 0.0, 4.0, "kept"),
    ]
    assert set(table["split"]) == {"train"}
    assert set(table["task"]) == {"caption"}
    assert "1 videos that are not there, left out; first gone" in caplog.text
    assert "2 narrations without text or without length, in, left out; first aaa, aaa" in caplog.text


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"start": [0], "end": [1]}, "video aaa: text is missing; expected start, end, text"),
        ({"start": [0, 1], "end": [1, 2], "text": ["x"]}, "video aaa: 2 of start, 2 of end, 1 of text"),
        ({"start": 0, "end": 1, "text": "x"}, "video aaa: expected lists of start, end, text"),
        ({"start": ["0"], "end": [1], "text": ["x"]}, "video aaa: no. 0: '0' to 1, 'x'"),
        ({"start": [-1], "end": [1], "text": ["x"]}, "video aaa: no. 0: -1 to 1"),
        ({"start": [0], "end": [float("inf")], "text": ["x"]}, "video aaa: no. 0: 0 to inf"),
        ({"start": [0], "end": [1], "text": [None]}, "video aaa: no. 0: 0 to 1, None"),
        ([], "video aaa: is list; expected an object"),
    ],
)
def test_what_is_no_narration_is_named_by_its_video(release, value, said):
    with pytest.raises(ValueError, match=said):
        parse(release({"aaa": value}), CARD)


def test_a_release_in_which_nothing_is_said_is_an_error(release):
    with pytest.raises(ValueError, match="nothing is said in any of the 3 videos"):
        parse(release({"gone": {"start": [0], "end": [9], "text": ["x"]}}), CARD)


def test_labels_are_one_space_of_categories_and_tasks(release, caplog):
    rows = "aaa,Home,Walls,1,12\nb-b,Food,Eggs,3,7\n_cc,,Eggs,2,7\naaa,Home,Eggs,9,7\ngone,Zoo,Apes,1,7\n"
    table = parse_tasks(release(rows=rows), TASKS)
    # Food 0, Home 1, Zoo 2; Apes 3, Eggs 4, Walls 5; tasks 7 and 12 are 6 and 7
    found = {video: list(labels) for video, labels in zip(table["video_id"], table["labels"], strict=True)}
    assert found == {"aaa": [1, 4, 5, 6, 7], "b-b": [0, 4, 6], "_cc": [4, 6]}
    assert table.set_index("video_id")["text_out"].to_dict() == {
        "aaa": "Paint a Wall; Boil an Egg",
        "b-b": "Boil an Egg",
        "_cc": "Boil an Egg",
    }
    assert set(table["label_set"]) == {"howto100m_tasks"}
    assert "1 videos that are not there, left out; first gone" in caplog.text


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"rows": "aaa,Home,Walls,1,13\n"}, r"HowTo100M_v1\.csv: line 2: video 'aaa', task '13'"),
        ({"rows": "aaa,Home,Walls,1,7\n,Home,Walls,1,7\n"}, "line 3: video '', task '7'"),
        ({"rows": "aaa,Home,1,7\n"}, "line 2: 4 fields; expected 5"),
        ({"tasks": "7\tBoil\nPaint\n"}, r"task_ids\.csv: line 2: 'Paint'; expected `<task_id><tab><text>`"),
        ({"tasks": "7\tBoil\n7\tPaint\n"}, r"task_ids\.csv: line 2"),
        ({"rows": "gone,Home,Walls,1,7\n"}, r"none of the 1 videos of HowTo100M_v1\.csv is there"),
    ],
)
def test_a_broken_table_is_named_by_its_line(release, files, said):
    with pytest.raises(ValueError, match=said):
        parse_tasks(release(**files), TASKS)


def test_a_list_of_tasks_with_commas_is_read_too(release):
    table = parse_tasks(release(rows="aaa,A,B,1,7\n", tasks="7,Boil, then Peel\n"), TASKS)
    assert list(table["text_out"]) == ["Boil, then Peel"]


def test_a_table_ends_with_a_video_and_all_together_are_the_same(release, monkeypatch):
    said = {
        name: {"start": [0, 9, 20], "end": [8, 18, 29], "text": [name, "then", "last"]}
        for name in ("aaa", "b-b", "_cc")
    }
    whole = parse(release(said), CARD)
    monkeypatch.setattr(module, "ROWS", 4)
    parts = list(module.parse(release(said), CARD))
    assert [sorted(set(part["video_id"])) for part in parts] == [["aaa", "b-b"], ["_cc"]]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)
