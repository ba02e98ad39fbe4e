"""Clips inside long videos: which there are, their frames, the index that points at them, and who reads it."""

import csv

import numpy as np
import pyarrow.parquet as pq
import pytest

from retake.data import frames as frames_module
from retake.data.array_index import Arrays, TooManyFailuresError, index_arrays
from retake.data.chunks import chunks, frames_in, segments_of
from retake.data.frames import extract_frames
from retake.data.loader import Source
from retake.schema.manifest import Manifest, entry_of
from tests.unit.data import clips
from tests.unit.training.small_stage import write_annotations

SIZE = {"kind": "frames", "sampling": "segment_starts", "resize": [48, 64], "crop": None}
CHUNKED = SIZE | {"count": 4, "chunk_s": 0.8, "segments_of": None}
CUT = SIZE | {"count": 3, "chunk_s": None, "segments_of": "said"}
PICTURES = {"a": clips.pictures(25, seed=1), "b": clips.pictures(7, seed=2), "c": clips.pictures(16, seed=3)}


@pytest.mark.parametrize(
    ("duration_s", "found"),
    [
        (7.99, []),
        (8.0, [(0.0, 8.0)]),
        (7.9995, [(0.0, 8.0)]),  # stamps are rounded
        (24.0, [(0.0, 8.0), (8.0, 16.0), (16.0, 24.0)]),
        (31.9, [(0.0, 8.0), (8.0, 16.0), (16.0, 24.0)]),
        (0.0, []),
    ],
)
def test_a_video_has_the_whole_chunks_that_fit(duration_s, found):
    assert chunks(duration_s, 8.0) == found


def test_a_chunk_of_no_length_is_refused():
    with pytest.raises(ValueError, match="expected seconds above 0, not 0"):
        chunks(10.0, 0)


@pytest.mark.parametrize(
    ("clip", "span"),
    [
        ((0.0, 1.0), (0, 2)),  # 0.0 and 0.5
        ((0.5, 1.5), (1, 3)),  # the frame at the end is no part of it
        ((0.1, 0.4), (0, 0)),  # between two frames: none
        ((1.2, None), (3, 4)),
        ((1.6, None), (3, 3)),
        ((9.0, 12.0), (3, 3)),  # behind the end
        ((0.7, 0.7), (1, 2)),  # a moment has the frame that is up
    ],
)
def test_frames_of_a_clip_are_those_shown_in_it(clip, span):
    first, last = frames_in(np.array([0.0, 0.5, 1.0, 1.5]), clip)
    assert (first, last) == span if span[0] < span[1] else first == last


def test_segments_are_distinct_and_in_order(tmp_path):
    rows = [
        ("v", 4.0, 9.0, 0),
        ("v", 0.0, None, 0),
        ("v", 0.0, 4.0, 0),
        ("v", 4.0, 9.0, 1),
        ("u", 1.0, 2.0, 0),
    ]
    assert segments_of(table(tmp_path, rows)) == {
        "u": [(1.0, 2.0)],
        "v": [(0.0, 4.0), (0.0, None), (4.0, 9.0)],
    }
    only = segments_of(table(tmp_path, rows), (video for video in "xu"))
    assert only == {"u": [(1.0, 2.0)]}


def table(folder, rows, split="train"):
    """An annotation table of (video, start, end, number) rows."""
    places = [
        {"item_id": f"{v}@{s}-{e}", "ref_id": f"{v}@{s}-{e}#{n}", "video_id": v, "start_s": s, "end_s": e}
        for v, s, e, n in rows
    ]
    return write_annotations(folder / "said.parquet", [p | {"split": split, "text_out": "x"} for p in places])


@pytest.fixture
def job(tmp_path):
    """A shard of clips at 10 frames a second, 2.5, 0.7 and 1.6 s long, and one file that is none."""
    root = tmp_path / "release"
    root.mkdir()
    paths = {name: clips.write_lossless(root / f"{name}.mkv", made) for name, made in PICTURES.items()}
    paths["text"] = root / "text.mp4"
    paths["text"].write_text("no video\n" * 99)
    entries = [entry_of(root, path, video_id) for video_id, path in paths.items()]
    Manifest("long", str(root), entries).write(tmp_path / "shard000.json")
    shard = tmp_path / "media/shard000"
    shard.mkdir(parents=True)
    return {
        "manifest": tmp_path / "shard000.json",
        "array_out": shard / "frames.npy",
        "index_out": shard / "index.parquet",
        "failures_out": shard / "failures.csv",
    }


def failures(job):
    return {(r["video_id"], r["reason"]) for r in csv.DictReader(job["failures_out"].open(encoding="utf-8"))}


def joined(job, max_failures=1.0):
    folder = job["index_out"].parent.parent
    index_arrays(
        shards=[job["index_out"]], failures=[job["failures_out"]], max_failures=max_failures,
        index_out=folder / "index.parquet", failures_out=folder / "failures.csv",
    )  # fmt: skip
    return Arrays(folder / "index.parquet")


def test_each_chunk_is_an_index_row_with_its_frames(job):
    extract_frames(view=CHUNKED, **job)
    rows = pq.read_table(job["index_out"]).to_pylist()
    places = [("a", 0.0, 0.8), ("a", 0.8, 1.6), ("a", 1.6, 2.4), ("c", 0.0, 0.8), ("c", 0.8, 1.6)]
    assert [(r["video_id"], r["start_s"], r["end_s"]) for r in rows] == [
        (v, pytest.approx(s), pytest.approx(e)) for v, s, e in places
    ]
    assert [r["row"] for r in rows] == [0, 4, 8, 12, 16]
    assert rows[1]["times_s"] == pytest.approx([0.8, 1.0, 1.2, 1.4])
    array = np.load(job["array_out"])
    wanted = [
        PICTURES["a"][[0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22]],
        PICTURES["c"][[0, 2, 4, 6, 8, 10, 12, 14]],
    ]
    assert np.array_equal(array, np.concatenate(wanted))
    reasons = dict(failures(job))
    assert reasons["b"] == "shorter than one chunk of 0.8 s"
    assert set(reasons) == {"b", "text"}


def test_a_file_is_read_once_whatever_its_clips(job, monkeypatch):
    seen = []

    def counted(path, *args, **named):
        seen.append(path.stem)
        return real(path, *args, **named)

    real = frames_module.read_frames
    monkeypatch.setattr(frames_module, "read_frames", counted)
    extract_frames(view=CHUNKED, **job)
    assert sorted(seen) == ["a", "b", "c", "text"]


def test_segments_of_a_table_may_overlap_and_repeat(job, tmp_path):
    said = [
        ("a", 0.0, 1.0, 0),
        ("a", 0.5, 2.0, 0),
        ("a", 0.5, 2.0, 1),
        ("a", 0.5, None, 0),
        ("b", 0.0, 0.0, 0),
    ]
    said += [("c", 1.45, 1.5, 0), ("c", 3.0, 4.0, 0), ("c", 1.0, 9.0, 0)]
    extract_frames(view=CUT, segments=table(tmp_path, said), **job)
    rows = pq.read_table(job["index_out"]).to_pylist()
    array = np.load(job["array_out"])
    frames = {
        (r["video_id"], r["start_s"], r["end_s"]): array[r["row"] : r["row"] + r["num_rows"]] for r in rows
    }
    wanted = {  # thirds of 10, 15, 20 frames; a moment; the 6 frames that are left
        ("a", 0.0, 1.0): PICTURES["a"][[0, 4, 7]],
        ("a", 0.5, 2.0): PICTURES["a"][[5, 10, 15]],
        ("a", 0.5, None): PICTURES["a"][[5, 12, 19]],
        ("b", 0.0, 0.0): PICTURES["b"][[0]],
        ("c", 1.0, 9.0): PICTURES["c"][[10, 12, 14]],
    }
    assert frames.keys() == wanted.keys()
    assert all(np.array_equal(frames[key], wanted[key]) for key in wanted)
    assert failures(job) == {
        ("c", "clip 1.450 s to 1.500 s holds no frame"),
        ("c", "clip 3.000 s to 4.000 s holds no frame"),
    }
    arrays = joined(job)
    for (video, start, end), made in wanted.items():
        assert np.array_equal(arrays.rows(video, start, end), made)
        assert len(arrays.times_s(video, start, end)) == len(made)


def test_failed_clips_are_counted_among_clips(job, tmp_path):
    said = [("a", 0.0, 1.0, 0), ("a", 1.0, 2.0, 0), ("a", 2.0, 2.5, 0), ("a", 7.0, 8.0, 0)]
    extract_frames(view=CUT, segments=table(tmp_path, said), **job)
    assert len(joined(job, 0.25)) == 1
    with pytest.raises(TooManyFailuresError, match="1 of 4 clips cannot be read, the card allows 24"):
        joined(job, 0.24)


def test_a_row_that_spans_chunks_is_a_row_of_each(job, tmp_path):
    extract_frames(view=CHUNKED, **job)
    joined(job)
    rows = [("a", 0.0, None, 0), ("a", 0.8, 1.6, 0), ("b", 0.0, None, 0), ("c", 0.9, 1.5, 0)]
    index = job["index_out"].parent.parent / "index.parquet"
    spec = {"kind": "frames", "index": index, "annotations": table(tmp_path, rows), "split": "train"}
    source = Source(spec)
    seen = [(r["video_id"], round(r["start_s"], 3), round(r["end_s"], 3)) for r in source.rows]
    assert seen == [("a", 0, 0.8), ("a", 0.8, 1.6), ("a", 1.6, 2.4), ("a", 0.8, 1.6), ("c", 0.9, 1.5)]
    assert source.left_out == 1
    batch = source.batch([1, 3])
    assert np.array_equal(batch["frames"][0].permute(1, 2, 3, 0).numpy(), PICTURES["a"][[8, 10, 12, 14]])
    assert batch["same_as"].tolist() == [0, 0]
    part = source.batch([4])["frames"][0].permute(1, 2, 3, 0).numpy()
    assert np.array_equal(part, PICTURES["c"][[10, 12, 14]])  # those of its chunk that are shown in it


@pytest.mark.parametrize(("view", "segments"), [(CUT, None), (CHUNKED, "said.parquet")])
def test_a_table_is_given_exactly_where_the_view_names_one(job, tmp_path, view, segments):
    with pytest.raises(ValueError, match="segments: expected a table exactly where the view has segments_of"):
        extract_frames(view=view, segments=segments, **job)


def test_chunks_of_whole_videos_are_the_same_bytes_twice(job):
    extract_frames(view=CHUNKED, **job)
    first = job["array_out"].read_bytes(), job["index_out"].read_bytes()
    extract_frames(view=CHUNKED, **job)
    assert first == (job["array_out"].read_bytes(), job["index_out"].read_bytes())
