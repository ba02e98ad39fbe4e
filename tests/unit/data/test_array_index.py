"""Indices of arrays: shards are merged and judged, rows of a video are found and mapped."""

import json
import weakref
import pickle
import subprocess
import sys
from hashlib import sha256

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from retake.data import array_index
from retake.data.array_index import (
    INDEX,
    Arrays,
    TooManyFailuresError,
    index_arrays,
    table_of,
    write_failures,
)


def write_shard(folder, name, videos, failed=()):
    """A shard whose videos (id -> number of rows) have rows of their own value; `failed` are ids."""
    shard = folder / name
    shard.mkdir(parents=True)
    rows, values = [], []
    for video_id, num_rows in videos.items():
        rows.append({
            "video_id": video_id, "start_s": 0.0, "end_s": None, "array": "frames.npy", "row": len(values),
            "num_rows": num_rows, "times_s": [0.5 * n for n in range(num_rows)], "duration_s": 0.5 * num_rows,
            "fps": 2.0, "width": 4, "height": 3,
        })  # fmt: skip
        values += [[ord(video_id[0]), n] for n in range(num_rows)]
    np.save(shard / "frames.npy", np.array(values, dtype=np.uint8).reshape(-1, 2))
    pq.write_table(table_of(rows), shard / "index.parquet")
    write_failures(
        [(video_id, f"clips/{video_id}.mp4", "zero, bytes") for video_id in failed], shard / "failures.csv"
    )


def merge(folder, max_failures=0.0, expected=None):
    shards = sorted(folder.glob("shard*/index.parquet"), reverse=True)
    index_arrays(
        shards=shards,
        failures=[path.with_name("failures.csv") for path in shards],
        index_out=folder / "index.parquet",
        failures_out=folder / "failures.csv",
        max_failures=max_failures,
        expected=expected,
    )
    return Arrays(folder / "index.parquet")


def test_rows_of_a_video_are_found_in_the_shard_that_holds_them(tmp_path):
    write_shard(tmp_path, "shard000", {"b": 3, "d": 2})
    write_shard(tmp_path, "shard001", {"a": 1, "c": 4})
    arrays = merge(tmp_path)
    assert list(arrays) == ["a", "b", "c", "d"]
    assert "c" in arrays
    assert "e" not in arrays
    for video_id, num_rows in {"a": 1, "b": 3, "c": 4, "d": 2}.items():
        assert arrays.rows(video_id).tolist() == [[ord(video_id), n] for n in range(num_rows)]


def test_the_merged_index_names_arrays_by_shard_and_knows_their_bytes(tmp_path):
    write_shard(tmp_path, "shard000", {"a": 2})
    write_shard(tmp_path, "shard001", {"b": 2})
    merge(tmp_path)
    table = pq.read_table(tmp_path / "index.parquet")
    assert table["array"].to_pylist() == ["shard000/frames.npy", "shard001/frames.npy"]
    assert table.schema.remove_metadata() == INDEX
    assert json.loads(pq.read_metadata(tmp_path / "index.parquet").metadata[b"arrays"]) == {
        name: sha256((tmp_path / name).read_bytes()).hexdigest() for name in table["array"].to_pylist()
    }


def test_what_lies_beside_an_array_has_its_digest_too_and_must_be_there(tmp_path):
    write_shard(tmp_path, "shard000", {"a": 2})
    job = {"shards": [tmp_path / "shard000/index.parquet"], "index_out": tmp_path / "index.parquet"}
    with pytest.raises(FileNotFoundError, match=r"table\.npy"):
        index_arrays(**job, beside=["table.npy"])
    (tmp_path / "shard000/table.npy").write_bytes(b"abc")
    index_arrays(**job, beside=["table.npy"])
    digests = json.loads(pq.read_metadata(tmp_path / "index.parquet").metadata[b"arrays"])
    assert sorted(digests) == ["shard000/frames.npy", "shard000/table.npy"]
    assert digests["shard000/table.npy"].startswith("ba7816bf")


def test_the_order_of_the_shards_changes_no_byte(tmp_path):
    write_shard(tmp_path, "shard000", {"b": 1}, ["z"])
    write_shard(tmp_path, "shard001", {"a": 1}, ["y"])
    merge(tmp_path, 1.0)
    before = [(tmp_path / name).read_bytes() for name in ("index.parquet", "failures.csv")]
    shards = sorted(tmp_path.glob("shard*/index.parquet"))
    index_arrays(shards=shards, failures=[p.with_name("failures.csv") for p in shards], max_failures=1.0,
                 index_out=tmp_path / "index.parquet", failures_out=tmp_path / "failures.csv")  # fmt: skip
    assert before == [(tmp_path / name).read_bytes() for name in ("index.parquet", "failures.csv")]
    assert (tmp_path / "failures.csv").read_text().splitlines()[1:] == [
        'y,clips/y.mp4,"zero, bytes"', 'z,clips/z.mp4,"zero, bytes"',
    ]  # fmt: skip


def test_as_many_failures_as_the_card_allows_pass_and_one_more_does_not(tmp_path):
    write_shard(tmp_path, "shard000", {"a": 1, "b": 1, "c": 1}, ["d"])
    assert len(merge(tmp_path, 0.25)) == 3
    with pytest.raises(TooManyFailuresError) as caught:
        merge(tmp_path, 0.24)
    message = str(caught.value)
    assert "1 of 4 videos cannot be read, the card allows 24.00% (max_failures)" in message
    assert "d (clips/d.mp4): zero, bytes" in message


def test_of_many_failures_the_first_twenty_are_named(tmp_path):
    write_shard(tmp_path, "shard000", {}, [f"v{n:02d}" for n in range(30)])
    with pytest.raises(TooManyFailuresError) as caught:
        merge(tmp_path, 0.5)
    message = str(caught.value)
    assert "v19 (" in message
    assert "v20" not in message
    assert "and 10 more" in message


def test_shards_without_a_row_merge_to_an_index_without_one(tmp_path):
    write_shard(tmp_path, "shard000", {}, ["a"])
    arrays = merge(tmp_path, 1.0)
    assert len(arrays) == 0
    assert pq.read_schema(tmp_path / "index.parquet").remove_metadata() == INDEX


def test_a_video_that_got_lost_or_doubled_is_noticed(tmp_path):
    write_shard(tmp_path, "shard000", {"a": 1})
    write_shard(tmp_path, "shard001", {"b": 1}, ["c"])
    merge(tmp_path, 1.0, expected=3)
    with pytest.raises(ValueError, match="expected 4 videos, the shards hold 2 and 1 that failed"):
        merge(tmp_path, 1.0, expected=4)
    write_shard(tmp_path, "shard002", {"c": 1})
    with pytest.raises(ValueError, match="c: read in one shard, failed in another"):
        merge(tmp_path, 1.0)


def test_an_index_that_pandas_wrote_is_read(tmp_path):
    write_shard(tmp_path, "shard000", {"a": 3})
    path = tmp_path / "shard000" / "index.parquet"
    pd.read_parquet(path).to_parquet(path)
    assert merge(tmp_path).rows("a", 0.5)[:, 1].tolist() == [1, 2]


def test_an_index_with_other_columns_is_refused(tmp_path):
    write_shard(tmp_path, "shard000", {"a": 1})
    path = tmp_path / "shard000" / "index.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["fps"]), path)
    for read in (merge, lambda folder: Arrays(path)):
        with pytest.raises(ValueError, match="no column fps; expected video_id, start_s"):
            read(tmp_path)


def test_a_video_in_two_shards_is_noticed(tmp_path):
    write_shard(tmp_path, "shard000", {"a": 1})
    write_shard(tmp_path, "shard001", {"a": 1})
    with pytest.raises(ValueError, match=r"shard001/index\.parquet: video a is in another shard, too"):
        merge(tmp_path)


def test_an_array_shorter_than_its_index_is_noticed(tmp_path):
    write_shard(tmp_path, "shard000", {"a": 4})
    np.save(tmp_path / "shard000" / "frames.npy", np.zeros((3, 2), np.uint8))
    with pytest.raises(ValueError, match=r"uses 4 rows of frames\.npy, which has 3"):
        merge(tmp_path)


def test_a_list_of_failures_with_other_columns_is_refused(tmp_path):
    write_shard(tmp_path, "shard000", {"a": 1})
    (tmp_path / "shard000" / "failures.csv").write_text("video,why\n")
    with pytest.raises(ValueError, match="expected the columns video_id,path,reason"):
        merge(tmp_path)


@pytest.mark.parametrize(
    ("start_s", "end_s", "expected"),
    [(None, None, [0, 1, 2, 3]), (0.5, 1.5, [1, 2]), (1.0, None, [2, 3]), (None, 0.5, [0]), (0.7, 0.9, [1]),
     (0.0, 0.0, [0]), (9.0, 10.0, [3])],
)  # fmt: skip
def test_a_window_gives_the_rows_shown_in_it_and_never_none(tmp_path, start_s, end_s, expected):
    write_shard(tmp_path, "shard000", {"x": 1, "a": 4})
    arrays = merge(tmp_path)
    assert arrays.rows("a", start_s, end_s)[:, 1].tolist() == expected
    assert arrays.times_s("a", start_s, end_s).tolist() == [0.5 * n for n in expected]


def test_a_video_in_segments_is_asked_by_time(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6))
    rows = [
        {"video_id": "v", "start_s": at, "end_s": at + 3, "array": "a.npy", "row": int(at), "num_rows": 3,
         "times_s": [at, at + 1, at + 2]} for at in (0.0, 3.0)
    ]  # fmt: skip
    pq.write_table(table_of(rows), tmp_path / "index.parquet")
    arrays = Arrays(tmp_path / "index.parquet")
    assert arrays.rows("v", 4.0, 6.0).tolist() == [4, 5]
    assert arrays.rows("v", 0.0, 2.0).tolist() == [0, 1]


def test_a_video_nobody_knows_is_an_error_that_names_the_index(tmp_path):
    write_shard(tmp_path, "shard000", {"a": 1})
    with pytest.raises(KeyError, match=r"index\.parquet: no video 'b'"):
        merge(tmp_path).rows("b")


def test_rows_are_a_read_only_view_of_the_file(tmp_path):
    write_shard(tmp_path, "shard000", {"a": 2})
    rows = merge(tmp_path).rows("a")
    assert isinstance(rows, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        rows[0] = 0


def test_merging_and_reading_import_no_heavy_library(tmp_path):
    write_shard(tmp_path, "shard000", {"a": 2}, ["b"])
    code = (
        "import sys; from pathlib import Path; from retake.data.array_index import Arrays, index_arrays;"
        "a = Path(sys.argv[1]); s = a / 'shard000'; index_arrays(shards=[s / 'index.parquet'],"
        "failures=[s / 'failures.csv'], index_out=a / 'i.parquet', failures_out=a / 'f', max_failures=1);"
        "Arrays(a / 'i.parquet').rows('a'); print({'pandas', 'torch', 'av'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_a_reader_keeps_few_maps_and_sends_none_to_another_process(tmp_path, monkeypatch):
    monkeypatch.setattr(array_index, "OPEN_ARRAYS", 2)
    for n, video_id in enumerate("abcd"):
        write_shard(tmp_path, f"shard00{n}", {video_id: 1})
    arrays = merge(tmp_path)
    for video_id in "abcdabcd":
        assert arrays.rows(video_id)[0, 0] == ord(video_id)
        assert len(arrays._maps) <= 2
    copy = pickle.loads(pickle.dumps(arrays))
    assert not copy._maps
    assert copy.rows("a")[0, 0] == ord("a")


def test_shard_follows_shard_and_only_one_is_read_at_a_time(tmp_path, monkeypatch):
    from retake.data import array_index

    for shard, videos in (("shard000", {"d": 1, "a": 2}), ("shard001", {"c": 3}), ("shard002", {})):
        write_shard(tmp_path, shard, videos)
    alive: list = []

    def in_order(table, ordered=array_index._in_order):
        assert all(gone() is None for gone in alive[:-1])  # the one before may still be a local name
        table = ordered(table)
        alive.append(weakref.ref(table))
        return table

    monkeypatch.setattr(array_index, "_in_order", in_order)
    arrays = merge(tmp_path)
    said = pq.read_metadata(tmp_path / "index.parquet")
    assert [said.row_group(n).num_rows for n in range(said.num_row_groups)] == [2, 1]
    assert list(arrays) == ["a", "c", "d"]


def test_videos_beyond_those_that_are_kept_are_found_again(tmp_path, monkeypatch):
    from retake.data import array_index

    monkeypatch.setattr(array_index, "ASKED", 2)
    write_shard(tmp_path, "shard000", {name: 1 for name in "edcba"})
    arrays = merge(tmp_path)
    for name in "abcdeabcde":
        assert arrays.rows(name).tolist() == [[ord(name), 0]]
        assert "x" not in arrays
    assert len(arrays) == 5
