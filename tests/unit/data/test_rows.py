"""Rows of an annotation table, kept as columns."""

from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retake.data import rows as module
from retake.data.annotations import write_table
from retake.data.rows import COLUMNS, Rows, column_of, grouped, in_two, objects, picked, read_rows
from retake.schema.annotations import checked

NAMES = ["b", "a", "b", "c", "a", "b"]


@pytest.fixture
def annotations(tmp_path):
    table = pd.DataFrame({
        "dataset": "x", "split": ["train", "test", "train", "val", "train", "test"],
        "item_id": [f"{name}{split}" for name, split in zip(NAMES, "ttxyzt", strict=True)],
        "ref_id": [str(n) for n in range(6)], "video_id": NAMES, "start_s": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
        "end_s": [1.0, None, 3.0, None, 5.0, 6.0], "text_out": ["one", None, "drei", "", "fünf", "6"],
        "origin": "release",
    })  # fmt: skip
    table["labels"] = [[1, 2], None, [], None, [3], None]
    table["item_id"] = [f"{n}" for n in range(6)]
    write_table(checked(table), tmp_path / "table.parquet")
    return tmp_path / "table.parquet"


def as_pandas_has_them(path, splits):
    """The same rows, read by another library."""
    table = pd.read_parquet(path, dtype_backend="pyarrow")
    return [
        {name: None if value is pd.NA or value is None else value for name, value in row.items()}
        for row in table[table["split"].isin(splits)][COLUMNS].to_dict("records")
    ]


def plain(row):
    return {
        name: list(value) if isinstance(value, list | np.ndarray) else value for name, value in row.items()
    }


@pytest.mark.parametrize("at_once", [1, 2, 1024])
@pytest.mark.parametrize("splits", ["train", ["test"], ["train", "val"], ["val", "test", "train"]])
def test_rows_of_a_split_are_those_of_the_table(annotations, splits, at_once, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", at_once)
    monkeypatch.setattr(module, "READ", at_once)
    rows = read_rows(annotations, splits)
    expected = as_pandas_has_them(annotations, [splits] if isinstance(splits, str) else splits)
    assert [plain(row) for row in rows] == [plain(row) for row in expected]
    assert [plain(rows[n]) for n in range(len(rows))] == [plain(row) for row in expected]
    assert plain(rows[-1]) == plain(expected[-1])


def test_a_row_that_is_not_there_is_an_index_error(annotations):
    with pytest.raises(IndexError):
        read_rows(annotations, "train")[3]


def test_a_split_without_a_row_is_named(annotations):
    with pytest.raises(ValueError, match=r"table\.parquet: no row of split 'dev'"):
        read_rows(annotations, ["train", "dev"])


def test_parts_of_rows_have_times_of_their_own(annotations):
    rows, without = read_rows(annotations, ["train", "test"]).each(
        lambda row: [] if row["video_id"] == "a" else [(row["start_s"], None), (0.5, 0.75)]
    )
    assert without == 2
    assert [(row["ref_id"], row["start_s"], row["end_s"]) for row in rows] == [
        ("0", 0.0, None), ("0", 0.5, 0.75), ("2", 2.0, None), ("2", 0.5, 0.75), ("5", 5.0, None), ("5", 0.5, 0.75),
    ]  # fmt: skip
    again = picked(rows, [5, 0])
    assert [(row["ref_id"], row["start_s"], row["end_s"]) for row in again] == [
        ("5", 0.5, 0.75),
        ("0", 0.0, None),
    ]
    assert [row["ref_id"] for row in rows[2:4]] == ["2", "2"]


def test_picked_rows_of_a_list_are_a_list():
    assert picked([{"a": 1}, {"a": 2}], [1, 1]) == [{"a": 2}, {"a": 2}]


def test_no_more_rows_than_a_block_are_objects_at_one_time(annotations, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "AT_ONCE", 2)
    monkeypatch.setattr(module, "objects", lambda table, at: asked.append(len(at)) or objects(table, at))
    assert len(list(read_rows(annotations, ["train", "test", "val"]))) == 6
    assert asked == [2, 2, 2]


@given(st.lists(st.integers(0, 5)))
def test_groups_are_those_of_a_dictionary(codes):
    expected: dict[int, list[int]] = {}
    for number, code in enumerate(codes):
        expected.setdefault(code, []).append(number)
    members, begins = grouped(np.array(codes, dtype=np.int64))
    assert [members[a:b].tolist() for a, b in zip(begins, begins[1:], strict=False)] == list(
        expected.values()
    )


def test_groups_of_a_column_follow_the_rows_that_were_picked(annotations):
    rows = read_rows(annotations, ["train", "test", "val"]).picked([4, 2, 0, 1, 5])
    members, begins = rows.groups("video_id")
    assert [members[a:b].tolist() for a, b in zip(begins, begins[1:], strict=False)] == [[0, 3], [1, 2, 4]]


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 4))
def test_objects_are_taken_from_whatever_chunk_they_lie_in(at, size):
    whole = pa.table({"n": list(range(10))})
    chunked = pa.concat_tables([whole.slice(first, size) for first in range(0, 10, size)])
    assert [row["n"] for row in objects(chunked, np.array(at, dtype=np.int64))] == at


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), unique=True), max_size=5))
def test_a_name_in_two_arrays_is_found(parts):
    counts = Counter(name for part in parts for name in part)
    found = in_two([column_of(part, pa.string()) for part in parts])
    if max(counts.values(), default=0) < 2:
        assert found is None
    else:
        number, name = found
        assert name in parts[number]
        assert any(name in part for part in parts[:number])
        assert not any(set(one) & set(two) for n, one in enumerate(parts[:number]) for two in parts[:n])


def test_columns_say_what_is_null():
    assert column_of(["a", None, ""], pa.string()).to_pylist() == ["a", None, ""]
    assert column_of([1, None], pa.int64()).to_pylist() == [1, None]
    assert column_of([[0.5], None, []], pa.list_(pa.float64())).to_pylist() == [[0.5], None, []]


def test_rows_are_there_without_a_list_of_them(annotations):
    assert isinstance(read_rows(annotations, "train"), Rows)
    assert pq.read_metadata(annotations).num_rows == 6
