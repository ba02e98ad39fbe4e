"""extract_motion: what is stored of a shard's videos is what reading them gives, and what cannot be read is listed."""

import csv
from hashlib import sha256

import numpy as np
import pyarrow.parquet as pq
import pytest

from retake.data import motion_store
from retake.data.motion import CodedFrame, read_coded
from retake.data.packed import Packed, facts
from retake.data.streams import Streams
from retake.data.video import VideoError, read_frames
from tests.unit.data import clips
from tests.unit.data.streams_of import (
    SIGNALS,
    extract,
    moving,
    release,
    transcode,
    write_clips,
)


def native(folder, lengths):
    """Raw MPEG-4 clips, as the release itself may have them."""
    (folder / "release").mkdir(parents=True, exist_ok=True)
    options = {"g": "6", "sc_threshold": "1000000000", "b": "9000000"}
    return {
        name: clips.write(folder / f"release/{name}.mp4", moving(length, seed), codec="mpeg4",
                          container_format="m4v", options=options)
        for seed, (name, length) in enumerate(lengths.items())
    }  # fmt: skip


def failures(shard):
    return list(csv.DictReader((shard / "failures.csv").open(encoding="utf-8")))


def assert_stored(stored, video_id, frames):
    """Every signal of every frame is there to the bit, and no other."""
    table = facts(stored.table(video_id))
    assert table["kinds"].tolist() == [frame.kind for frame in frames]
    assert table["gops"].tolist() == [frame.gop for frame in frames]
    assert table["positions"].tolist() == [frame.position for frame in frames]
    for n, frame in enumerate(frames):
        for signal in SIGNALS:
            array = frame.rgb if signal == "iframe" else getattr(frame, signal)
            if (signal == "iframe") != (frame.kind == "I"):
                assert stored.lengths(video_id, signal)[n] == 0
            else:
                assert np.array_equal(stored.frame(video_id, n, signal), array), (video_id, n, signal)


def test_the_signals_of_a_stream_views_videos_are_stored(tmp_path):
    manifest = release(tmp_path, write_clips(tmp_path, {"b": 30, "a": 14}, rate=8))
    streams = transcode(manifest, tmp_path / "encoded")
    stored = Packed(extract(manifest, tmp_path / "moves", streams) / "index.parquet")
    encoded = Streams(streams / "index.parquet")
    assert list(stored) == ["a", "b"]
    for video_id in stored:
        assert_stored(stored, video_id, list(read_coded(encoded.stream(video_id).data, SIGNALS)))
        ours, theirs = stored.segment(video_id), encoded.segment(video_id)
        assert ours["times_s"].tolist() == theirs["times_s"].tolist()
        for fact in ("duration_s", "fps", "width", "height"):
            assert ours[fact] == theirs[fact]
    assert np.abs(stored.frame("b", 5, "motion")).max() > 0


def test_the_signals_of_a_releases_own_files_are_stored_with_their_times(tmp_path):
    videos = native(tmp_path, {"a": 14, "b": 9})
    stored = Packed(extract(release(tmp_path, videos), tmp_path / "moves", None) / "index.parquet")
    for video_id, path in videos.items():
        assert_stored(stored, video_id, list(read_coded(path, SIGNALS)))
        segment, original = stored.segment(video_id), read_frames(path)
        assert segment["times_s"] == pytest.approx(original.times_s)
        assert (segment["fps"], segment["duration_s"]) == pytest.approx(
            (original.probe.fps, original.probe.duration_s)
        )
        assert (segment["height"], segment["width"]) == (48, 64)


def test_only_what_is_asked_for_is_stored(tmp_path):
    manifest = release(tmp_path, native(tmp_path, {"a": 14}))
    shard = extract(manifest, tmp_path / "moves", None, signals=("residual_step",))
    assert np.load(shard / "packed_frames.npy").dtype.names[5:] == ("residual_step",)
    assert len(np.load(shard / "packed.npy")) == np.load(shard / "packed_frames.npy")["residual_step"].sum()


def test_the_same_videos_give_the_same_bytes_twice(tmp_path):
    manifest = release(tmp_path, native(tmp_path, {"a": 14, "b": 9}))
    digests = [
        {
            p.name: sha256(p.read_bytes()).hexdigest()
            for p in sorted(extract(manifest, tmp_path / f, None).iterdir())
        }
        for f in ("one", "two")
    ]
    assert digests[0] == digests[1]
    assert len(digests[0]) == 5


def test_a_video_that_the_stream_view_could_not_have_fails_with_its_reason(tmp_path):
    videos = write_clips(tmp_path, {"a": 5})
    videos["empty"] = tmp_path / "release/empty.mp4"
    videos["empty"].write_bytes(b"")
    manifest = release(tmp_path, videos)
    streams = transcode(manifest, tmp_path / "encoded")
    shard = extract(manifest, tmp_path / "moves", streams)
    assert (shard / "failures.csv").read_text() == (streams / "failures.csv").read_text()
    assert failures(shard)[0]["reason"] == "empty file (zero bytes)"


def test_a_video_in_which_no_frame_has_a_signal_fails_and_says_which(tmp_path):
    manifest = release(tmp_path, write_clips(tmp_path, {"a": 1, "b": 5}))
    streams = transcode(manifest, tmp_path / "encoded")
    shard = extract(manifest, tmp_path / "moves", streams, signals=("iframe", "motion"))
    assert failures(shard) == [
        {"video_id": "a", "path": "a.mkv", "reason": "none of its 1 frames has motion"}
    ]
    stored = Packed(shard / "index.parquet")
    assert stored.segment("b")["row"] == 0, "what was written of a before is taken back"
    pictures = extract(manifest, tmp_path / "pictures", streams, signals=("iframe",))
    assert failures(pictures) == []


def test_a_file_that_no_vectors_come_from_fails(tmp_path):
    videos = native(tmp_path, {"a": 5})
    videos["lossless"] = clips.write_lossless(tmp_path / "release/lossless.mkv", moving(4))
    videos["text"] = tmp_path / "release/text.mp4"
    videos["text"].write_text("no video\n" * 40)
    shard = extract(release(tmp_path, videos), tmp_path / "moves", None)
    assert [row["video_id"] for row in failures(shard)] == ["lossless", "text"]
    assert list(Packed(shard / "index.parquet")) == ["a"]


def coded(number, *, kind="P", marked=None):
    """A frame that a codec could have given."""
    inner = kind != "I"
    motion = np.full((4, 6, 2), number, np.int16) if inner and marked is None else None
    return CodedFrame(
        number=number, kind=kind, gop=0, position=number, time_s=number / 10,
        rgb=np.full((4, 6, 3), number, np.uint8), motion=motion, residual=None, motion_step=None,
        residual_step=None, marked=marked,
    )  # fmt: skip


def test_frames_whose_vectors_could_not_be_followed_are_listed_and_stored_without(tmp_path, monkeypatch):
    frames = [coded(0, kind="I"), coded(1), coded(2, marked="it is, as it were, interlaced"), coded(3)]
    monkeypatch.setattr(motion_store, "read_coded", lambda source, signals: iter(frames))
    shard = extract(release(tmp_path, native(tmp_path, {"a": 4})), tmp_path / "moves", None, ("motion",))
    rows = list(csv.DictReader((shard / "marked.csv").open(encoding="utf-8")))
    assert rows == [{"video_id": "a", "number": "2", "reason": "it is, as it were, interlaced"}]
    stored = Packed(shard / "index.parquet")
    assert facts(stored.table("a"))["marked"].tolist() == [False, False, True, False]
    assert (stored.lengths("a", "motion") > 0).tolist() == [False, True, False, True]
    assert failures(shard) == []


def test_a_video_that_fails_half_way_leaves_nothing_behind(tmp_path, monkeypatch):
    videos = native(tmp_path, {"a": 5, "b": 5, "c": 5})
    manifest = release(tmp_path, videos)

    def breaking(source, signals):
        for frame in read_coded(source, signals):
            if source == videos["b"] and frame.number == 3:
                raise VideoError(source, "frame 3 is 32x32, those before 64x48")
            yield frame

    monkeypatch.setattr(motion_store, "read_coded", breaking)
    shard = extract(manifest, tmp_path / "moves", None)
    assert failures(shard)[0]["reason"] == "frame 3 is 32x32, those before 64x48"
    stored = Packed(shard / "index.parquet")
    assert [(row["video_id"], row["row"]) for row in pq.read_table(shard / "index.parquet").to_pylist()] == [
        ("a", 0), ("c", 5),
    ]  # fmt: skip
    assert_stored(stored, "c", list(read_coded(videos["c"], SIGNALS)))
    assert len(np.load(shard / "packed_frames.npy")) == 10


def test_a_stream_that_decodes_to_another_number_of_frames_stops_the_job(tmp_path, monkeypatch):
    manifest = release(tmp_path, write_clips(tmp_path, {"a": 6}))
    streams = transcode(manifest, tmp_path / "encoded")
    monkeypatch.setattr(
        motion_store, "read_coded", lambda source, signals: list(read_coded(source, signals))[:-1]
    )
    with pytest.raises(ValueError, match=r"index.parquet: video 'a': 6 frames, 5 decode"):
        extract(manifest, tmp_path / "moves", streams)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"view": {"kind": "frames"}}, "kind motion, not 'frames'"),
        ({"view": {"kind": "motion", "of": "encoded", "signals": ["motion"]}}, "of is 'encoded'"),
        ({"streams": "index.parquet"}, "of is None; the job was given the streams index.parquet"),
    ],
)
def test_a_job_that_cannot_be_done_stops(changes, words, tmp_path):
    manifest = release(tmp_path, native(tmp_path, {"a": 3}))
    names = ("blobs_out", "table_out", "index_out", "failures_out", "marked_out")
    job = {"view": {"kind": "motion", "signals": ["motion"]}, "manifest": manifest}
    with pytest.raises(ValueError, match=words):
        motion_store.extract_motion(**job | {name: tmp_path / name for name in names} | changes)
