"""Packed frames: every bit comes back, any frame by itself, and damage is named."""

import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from retake.data.array_index import table_of
from retake.data.packed import (
    BEGIN,
    BLOBS,
    HEADER,
    TABLE,
    DamagedError,
    Fact,
    Packed,
    PackedWriter,
    facts,
    packed,
    unpacked,
)

SHAPES = arrays.array_shapes(min_dims=3, max_dims=3, max_side=9)
KINDS = st.sampled_from([np.uint8, np.int16])


@settings(max_examples=200, deadline=None)
@given(arrays.arrays(KINDS, SHAPES))
def test_any_frame_comes_back_with_its_type_and_shape(frame):
    got = unpacked(packed(frame))
    assert (got.dtype, got.shape) == (frame.dtype, frame.shape)
    assert np.array_equal(got, frame)


@pytest.mark.parametrize("kind", [np.uint8, np.int16])
def test_values_at_both_ends_of_their_range_come_back(kind):
    ends = np.iinfo(kind)
    frame = np.where(np.indices((6, 7, 3)).sum(axis=0) % 2, ends.min, ends.max).astype(kind)
    assert np.array_equal(unpacked(packed(frame)), frame)


def test_a_frame_that_lies_otherwise_in_memory_is_packed_alike():
    frame = np.random.default_rng(0).integers(-300, 300, (3, 8, 10)).astype(np.int16)
    turned = frame.transpose(1, 2, 0)
    assert packed(turned) == packed(np.ascontiguousarray(turned))
    assert frame.shape == (3, 8, 10)
    assert np.array_equal(unpacked(packed(turned)), turned)


def test_a_blob_is_what_the_module_says_it_is():
    """Rows without the row above, outer channels without the middle one, channel behind channel: by hand."""
    frame = np.array([[[1, 2, 3], [4, 6, 8]], [[7, 9, 5], [4, 7, 9]]], dtype=np.int16)  # (2, 2, 3)
    red, green, blue = [[-1, -2], [-2, -3]], [[2, 6], [9, 7]], [[1, 2], [-4, 2]]
    by_row = [[p[0], [b - a for a, b in zip(*p, strict=True)]] for p in (red, green, blue)]
    blob = packed(frame)
    raw = pa.Codec("zstd").decompress(blob[BEGIN:], decompressed_size=24, asbytes=True)
    assert np.frombuffer(raw, "<i2").reshape(3, 2, 2).tolist() == by_row
    assert HEADER.unpack_from(blob) == (2, 3, 2, 2)


def test_still_motion_takes_next_to_nothing():
    assert len(packed(np.zeros((256, 340, 2), np.int16))) < 100


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 3), np.int32),
        np.zeros((4, 0, 3), np.uint8),
        np.zeros((1, 2**16, 1), np.uint8),
        np.zeros((1, 1, 256), np.uint8),
    ],
)
def test_what_is_no_frame_is_refused(frame):
    with pytest.raises(ValueError, match=r"expected \(H, W, C\) of uint8 or int16"):
        packed(frame)


@pytest.mark.parametrize("place", [*range(BEGIN + 2), -1])
def test_a_changed_byte_is_damage_wherever_it_stands(place):
    blob = bytearray(packed(np.random.default_rng(1).integers(0, 256, (5, 6, 3)).astype(np.uint8)))
    blob[place] ^= 0x55
    with pytest.raises(DamagedError, match="CRC-32"):
        unpacked(bytes(blob))


@pytest.mark.parametrize("length", [0, 5, BEGIN, BEGIN + 3, -1])
def test_a_blob_that_is_cut_off_is_damage(length):
    with pytest.raises(DamagedError):
        unpacked(packed(np.zeros((5, 6, 3), np.uint8))[:length])


def frame_of(video, number, kind=np.int16, shape=(6, 8, 2)):
    """A frame that is no other's."""
    return np.random.default_rng([ord(video), number]).integers(-99, 99, shape).astype(kind)


def write_shard(folder):
    """Video a: I P P; b: I alone; c: P P I. Two signals: pictures of I-frames, and motion of the others."""
    writer = PackedWriter(folder / BLOBS, folder / TABLE, ("iframe", "motion"))
    rows = []
    for video, kinds in (("a", "IPP"), ("b", "I"), ("c", "PPI")):
        first = writer.size[0]
        for n, kind in enumerate(kinds):
            inner = kind != "I"
            name = "motion" if inner else "iframe"
            array = frame_of(video, n, np.int16 if inner else np.uint8, (6, 8, 2 if inner else 3))
            writer.append(Fact(kind, 3, n, n == 1), {name: array})
        times = [0.5 * n for n in range(len(kinds))]
        rows.append({"video_id": video, "start_s": 0.0, "array": TABLE, "row": first, "num_rows": len(kinds)})
        rows[-1]["times_s"] = times
    writer.close()
    pq.write_table(table_of(rows), folder / "index.parquet")
    return Packed(folder / "index.parquet")


def test_any_frame_of_any_video_is_found(tmp_path):
    stored = write_shard(tmp_path)
    assert list(stored) == ["a", "b", "c"]
    for video, number, signal in (("c", 1, "motion"), ("a", 2, "motion"), ("c", 0, "motion")):
        assert np.array_equal(stored.frame(video, number, signal), frame_of(video, number))
    assert np.array_equal(stored.frame("b", 0, "iframe"), frame_of("b", 0, np.uint8, (6, 8, 3)))
    assert np.array_equal(stored.frame("c", 2, "iframe"), frame_of("c", 2, np.uint8, (6, 8, 3)))
    assert (stored.lengths("c", "motion") > 0).tolist() == [True, True, False]


def test_the_table_says_what_each_frame_is(tmp_path):
    told = facts(write_shard(tmp_path).table("c"))
    assert told["kinds"].tolist() == ["P", "P", "I"]
    assert (told["gops"].tolist(), told["positions"].tolist()) == ([3, 3, 3], [0, 1, 2])
    assert told["marked"].tolist() == [False, True, False]


def test_a_frame_without_the_signal_and_a_signal_that_was_not_stored_are_named(tmp_path):
    stored = write_shard(tmp_path)
    with pytest.raises(KeyError, match=r"index.parquet: video 'a': frame 0 has no motion"):
        stored.frame("a", 0, "motion")
    with pytest.raises(KeyError, match=r"no signal 'residual' was stored; there are iframe, motion"):
        stored.frame("a", 0, "residual")
    with pytest.raises(KeyError, match="no video 'z'"):
        stored.frame("z", 0, "motion")
    with pytest.raises(IndexError):
        stored.frame("b", 1, "iframe")


def test_damage_is_named_with_file_video_frame_and_signal(tmp_path):
    write_shard(tmp_path)
    blobs, table = np.load(tmp_path / BLOBS), np.load(tmp_path / TABLE)
    blobs[int(table["offset"][4]) + BEGIN + 4] ^= 1  # c, frame 0
    np.save(tmp_path / BLOBS, blobs[:-2])  # c, frame 2 is cut off
    stored = Packed(tmp_path / "index.parquet")
    where = r"packed.npy: video 'c', frame {}, {}: "
    with pytest.raises(
        DamagedError, match=where.format(0, "motion") + "its bytes are not those that were written"
    ):
        stored.frame("c", 0, "motion")
    with pytest.raises(DamagedError, match=where.format(2, "iframe") + r"ends at byte \d+, the file has \d+"):
        stored.frame("c", 2, "iframe")
    assert np.array_equal(stored.frame("c", 1, "motion"), frame_of("c", 1))


def test_what_a_video_wrote_before_it_failed_is_taken_back(tmp_path):
    plain, cut = tmp_path / "plain", tmp_path / "cut"
    for folder in (plain, cut):
        folder.mkdir()
    write_shard(plain)
    writer = PackedWriter(cut / BLOBS, cut / TABLE, ("iframe", "motion"))
    for video, kinds in (("a", "IPP"), ("x", "PP"), ("b", "I"), ("x", "I"), ("c", "PPI")):
        before = writer.size
        for n, kind in enumerate(kinds):
            inner = kind != "I"
            array = frame_of(video, n, np.int16 if inner else np.uint8, (6, 8, 2 if inner else 3))
            writer.append(Fact(kind, 3, n, n == 1), {"motion" if inner else "iframe": array})
        if video == "x":
            writer.cut(before)
    writer.close()
    for name in (BLOBS, TABLE):
        assert (cut / name).read_bytes() == (plain / name).read_bytes()


def test_a_reader_travels_to_another_process_without_its_maps(tmp_path):
    stored = write_shard(tmp_path)
    stored.frame("a", 1, "motion")
    sent = pickle.dumps(stored)
    assert len(sent) < 4000
    assert np.array_equal(pickle.loads(sent).frame("a", 1, "motion"), frame_of("a", 1))
