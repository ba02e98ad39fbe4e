"""Charades' files in small: spans for training, whole videos for the test."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retake.data.datasets.charades.parse import Annotated, parse, spans, whole
from retake.data.release import CARDS
from retake.schema.card import read_card

CARD = read_card(CARDS / "charades" / "card.yaml")
HEADER = "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length\n"
CLASSES = "c000 Holding some clothes\nc001 Putting clothes somewhere\nc002 Taking a book; or two\n"


def row(video: str, actions: str, length: str = "10.00") -> str:
    return f'{video},AB12,Bedroom,6,7,Yes,"He says ""hi, there"".",book;bag,"One, two;three",{actions},{length}\n'


@pytest.fixture
def root(tmp_path):
    (tmp_path / "Charades_v1_480").mkdir()
    for video in ("AAAAA", "BBBBB", "CCCCC", "DDDDD"):
        (tmp_path / "Charades_v1_480" / f"{video}.mp4").touch()
    (tmp_path / "Charades").mkdir()
    (tmp_path / "Charades/Charades_v1_classes.txt").write_text(CLASSES)
    tables(
        tmp_path,
        row("AAAAA", "c002 4.00 6.00;c000 2.00 11.50") + row("BBBBB", ""),
        row("CCCCC", "c002 4.00 6.00;c000 9.00 99.00;c002 0.00 1.00") + row("DDDDD", ""),
    )
    return tmp_path


def tables(root, train: str | None = None, test: str | None = None) -> None:
    for name, rows in (("train", train), ("test", test)):
        if rows is not None:
            (root / f"Charades/Charades_v1_{name}.csv").write_text(HEADER + rows)


def found(root) -> list[tuple]:
    table = parse(root, CARD)
    ends = [None if np.isnan(end) else end for end in table["end_s"]]
    labels = [list(one) for one in table["labels"]]
    return list(zip(table["split"], table["item_id"], table["start_s"], ends, labels, strict=True))


def test_the_card_states_the_published_counts():
    assert CARD.splits == {"train": 7985, "test": 1863}
    assert (CARD.counts["classes"], CARD.counts["intervals"]) == (157, 66500)
    assert sum(CARD.splits.values()) == CARD.counts["videos"]


def test_training_rows_tile_the_video_and_test_rows_are_whole(root):
    assert found(root) == [
        ("train", "AAAAA", 0.0, 2.0, []),
        ("train", "AAAAA", 2.0, 4.0, [0]),
        ("train", "AAAAA", 4.0, 6.0, [0, 2]),
        ("train", "AAAAA", 6.0, None, [0]),
        ("train", "BBBBB", 0.0, None, []),
        ("test", "CCCCC", 0.0, None, [0, 2]),
        ("test", "DDDDD", 0.0, None, []),
    ]


def test_rows_say_their_share_of_the_video_and_the_names_of_what_goes_on(root):
    table = parse(root, CARD)
    assert list(table["weight"]) == pytest.approx([0.2, 0.2, 0.2, 0.4, 1.0, 1.0, 1.0])
    clothes, book = "Holding some clothes", "Taking a book; or two"
    names = [None, clothes, f"{clothes}; {book}", clothes, None, f"{clothes}; {book}", None]
    assert table["text_out"].astype(object).where(table["text_out"].notna(), None).tolist() == names
    assert list(table["ref_id"][:5]) == ["AAAAA#0", "AAAAA#1", "AAAAA#2", "AAAAA#3", "BBBBB#0"]
    assert set(table["task"]) == {"classify_multi"}


def test_both_releases_of_the_test_table_are_read(root):
    before = parse(root, CARD)
    path = root / "Charades/Charades_v1_test.csv"
    path.write_text(
        path.read_text().replace("Bedroom", '"Entryway (A hall that is, generally, at the entrance)"')
    )
    assert parse(root, CARD).equals(before)


INTERVAL = st.tuples(st.integers(0, 4), st.integers(0, 120), st.integers(0, 40)).map(
    lambda one: (one[0], one[1] / 10, (one[1] + one[2]) / 10)
)


@given(st.lists(INTERVAL, max_size=6))
def test_at_any_time_the_span_says_which_intervals_hold_it(intervals):
    one = Annotated("x", "v", intervals, 10.0)
    found = list(spans(one))
    assert found[0][0] == 0.0
    assert found[-1][1] is None
    assert [end for _, end, _, _ in found[:-1]] == [start for start, _, _, _ in found[1:]]
    assert all(a[2] != b[2] for a, b in zip(found, found[1:], strict=False))
    assert sum(share for *_, share in found) == pytest.approx(1.0)
    for tenth in range(100):
        time = tenth / 10 + 0.05
        here = next(
            labels for start, end, labels, _ in found if start <= time and (end is None or time < end)
        )
        assert here == sorted({label for label, begin, end in intervals if begin <= time < end})
    assert next(whole(one))[2] == sorted({label for label, _, _ in intervals})


def test_an_interval_after_the_end_is_counted_and_one_without_length_is_in_no_span(root, caplog):
    tables(root, train=row("AAAAA", "c001 10.20 11.00;c000 3.00 3.00"))
    tables(root, test=row("CCCCC", "c001 10.20 11.00"))
    assert found(root) == [("train", "AAAAA", 0.0, None, []), ("test", "CCCCC", 0.0, None, [1])]
    assert "charades: 2 intervals that begin after their video's end, left out; first AAAAA 1" in caplog.text
    assert "charades: 2 videos that no list names, left out; first BBBBB" in caplog.text


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (row("AAAAA", "c003 1.00 2.00"), r"train\.csv: line 2: video AAAAA: c003 is no class of the list"),
        (row("AAAAA", "c000 2.00 1.00"), r"line 2: video AAAAA: 'c000 2.00 1.00'; expected `c<nnn> <start>"),
        (row("AAAAA", "c000 1.00"), "line 2: video AAAAA: 'c000 1.00'; expected"),
        (row("AAAAA", "c000 1 2 3"), "line 2: video AAAAA: 'c000 1 2 3'; expected"),
        (row("BBBBB", "") + row("AAAAA", "c000 -1.00 2.00"), "line 3: video AAAAA: 'c000 -1.00 2.00'"),
        (row("AAAAA", "", "0"), "line 2: video AAAAA: length '0'; expected seconds above 0"),
        (row("AAAAA", "", "ten"), "line 2: video AAAAA: length 'ten'"),
        (row("EEEEE", ""), "line 2: no video EEEEE in the release"),
        (row("aaaaa", ""), "line 2: no video aaaaa in the release"),
        (row("AAAAA", "") * 2, r"line 3: video AAAAA stands twice \(before: .*line 2\)"),
        (row("CCCCC", ""), r"test\.csv: line 2: video CCCCC stands twice \(before: .*train\.csv: line 2"),
        ("AAAAA,c000\n", "line 2: 2 fields; expected 11"),
    ],
)
def test_a_broken_table_is_named_by_file_and_line(root, rows, said):
    tables(root, train=rows)
    with pytest.raises(ValueError, match=said):
        parse(root, CARD)


@pytest.mark.parametrize("line", ["c000 Again", "c1 short", "c003"])
def test_a_broken_list_of_classes_is_named_by_its_line(root, line):
    (root / "Charades/Charades_v1_classes.txt").write_text(CLASSES + line + "\n")
    with pytest.raises(
        ValueError, match=r"classes\.txt: line 4: .*expected `c<nnn> <name>`, each class once"
    ):
        parse(root, CARD)


def test_a_missing_table_is_named(root):
    (root / "Charades/Charades_v1_test.csv").unlink()
    with pytest.raises(ValueError, match=r"no list of split test; expected one of Charades_v1_test\.csv"):
        parse(root, CARD)
