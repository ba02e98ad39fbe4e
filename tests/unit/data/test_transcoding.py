"""transcode_video: streams of I- and P-frames in groups of one length, the same bytes each time."""

import csv
import json
import subprocess
import sys
from hashlib import sha256

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from retake.data.motion import read_coded
from retake.data.streams import Streams, packet_of, pictures
from retake.data.transcoding import PACKET, Encoder
from retake.data.video import read_frames
from tests.unit.data import clips, literal_motion, streams_of
from tests.unit.data.streams_of import STREAM, moving, pictures_in, release, transcode, write_clips


@pytest.fixture
def one(tmp_path):
    """A clip of 40 frames with a cut in its middle, in a release by itself."""
    (tmp_path / "release").mkdir()
    frames = np.concatenate([moving(20), 255 - clips.pictures(20)])
    return release(tmp_path, {"a": clips.write_lossless(tmp_path / "release/a.mkv", frames)}), frames


def stream_of(shard, video_id="a"):
    return Streams(shard / "index.parquet").stream(video_id)


def test_every_frame_comes_back_in_order_and_looks_like_its_original(one, tmp_path):
    manifest, frames = one
    got = list(pictures(stream_of(transcode(manifest, tmp_path))))
    assert len(got) == 40
    luma = [0.299, 0.587, 0.114]  # chroma is half-size: what is left of it is another test's
    for shown, original in zip(got, frames, strict=True):
        assert clips.psnr(shown @ luma, original @ luma) > 38


def test_groups_begin_every_twelve_frames_also_where_a_cut_is(one, tmp_path):
    stream = stream_of(transcode(one[0], tmp_path))
    kinds = [kind for kind, _ in pictures_in(stream.data.tobytes())]
    assert kinds == [("P", "I")[n % 12 == 0] for n in range(40)]
    assert stream.is_key.tolist() == [n % 12 == 0 for n in range(40)]
    assert [stream.group(n) for n in (0, 11, 12, 36, 39)] == [(0, 12), (0, 12), (12, 24), (36, 40), (36, 40)]


@pytest.mark.parametrize("gop", [2, 5, 600])
def test_the_length_of_a_group_is_the_views(gop, one, tmp_path):
    stream = stream_of(transcode(one[0], tmp_path, gop=gop))
    assert np.flatnonzero(stream.is_key).tolist() == list(range(0, 40, gop))


@pytest.mark.parametrize(("quality", "quantiser"), [(1, 2), (2, 2), (3, 3), (8, 8), (31, 31)])
def test_the_quantiser_of_every_picture_is_what_the_quality_says(quality, quantiser, one, tmp_path):
    """1 is FFmpeg's -q:v 1, which the encoder's qmin makes 2: so do the streams that the authors' script made."""
    data = stream_of(transcode(one[0], tmp_path, quality=quality)).data.tobytes()
    assert {q for _, q in pictures_in(data)} == {quantiser}


def bands(num_frames):
    """(T, 48, 64, 3): bands of 8 px, half a macroblock, that slide by 2 px a frame, to the left and right in turn."""
    left = moving(num_frames)
    right = moving(num_frames, seed=1)[:, :, ::-1]
    return np.where((np.arange(48) // 8 % 2 == 0)[None, :, None, None], left, right)


def test_parts_of_a_macroblock_have_vectors_of_their_own_where_the_view_says_so(tmp_path):
    """Halves of every macroblock move apart: one vector misses one of them, four find both, in fewer bytes."""
    (tmp_path / "release").mkdir()
    manifest = release(tmp_path, {"a": clips.write_lossless(tmp_path / "release/a.mkv", bands(12))})
    left, moves, size = {}, {}, {}
    for block in (16, 8):
        data = stream_of(transcode(manifest, tmp_path / str(block), block=block)).data.tobytes()
        assert [kind for kind, _ in pictures_in(data)] == ["I", *"P" * 11]
        again = stream_of(transcode(manifest, tmp_path / "again", block=block)).data.tobytes()
        assert again == data
        shown = list(literal_motion.shown(data))
        assert {(int(v["w"]), int(v["h"])) for one in shown for v in one.vectors} == {(block, block)}
        frames = list(read_coded(data, {"motion", "residual"}))
        for mine, expected in zip(frames[1:], list(literal_motion.followed(shown))[1:], strict=True):
            assert np.array_equal(mine.motion, expected.motion)
            assert np.array_equal(mine.residual, expected.residual)
        inner = [one.motion[8:40, 24:40, 0] for one in frames[1:3]]  # no edge is near
        moves[block] = [{tuple(np.unique(part[y : y + 8])) for y in range(0, 32, 8)} for part in inner]
        left[block] = sum(np.abs(one.residual).sum() for one in frames[1:])
        size[block] = len(data)
    assert moves[8] == [{(-2,), (2,)}, {(-4,), (4,)}], "k times the shift of each band"
    assert left[8] < 0.5 * left[16]
    assert size[8] < size[16]


def test_a_view_that_names_no_block_has_whole_macroblocks(one, tmp_path):
    plain, whole = (stream_of(transcode(one[0], tmp_path / name, **view)).data.tobytes()
                    for name, view in (("plain", {}), ("whole", {"block": 16})))  # fmt: skip
    assert plain == whole


def test_blocks_of_another_size_are_an_error():
    with pytest.raises(ValueError, match="block: expected 16 or 8, got 4"):
        Encoder(size=(48, 64), gop=12, quality=1, block=4)


def test_a_group_decodes_by_itself_from_the_bytes_of_its_packets(one, tmp_path):
    stream = stream_of(transcode(one[0], tmp_path))
    whole = list(pictures(stream))
    decoder = av.CodecContext.create("mpeg4", "r")
    alone = [
        frame.to_ndarray(format="rgb24")
        for n in (*range(24, 36), None)
        for frame in decoder.decode(None if n is None else packet_of(stream.packet(n)))
    ]
    assert np.array_equal(alone, whole[24:36])
    assert stream.bytes_of(24, 36).tobytes() == b"".join(stream.packet(n).tobytes() for n in range(24, 36))


def test_videos_lie_end_to_end_and_the_index_has_their_bytes_and_times(tmp_path):
    videos = write_clips(tmp_path, {"b": 30, "a": 7, "c": 1}, rate=8)
    shard = transcode(release(tmp_path, videos), tmp_path)
    rows = pq.read_table(shard / "index.parquet").to_pylist()
    array, packets = np.load(shard / "streams.npy"), np.load(shard / "packets.npy")
    assert [row["video_id"] for row in rows] == ["a", "b", "c"]
    assert {row["array"] for row in rows} == {"streams.npy"}
    ends = np.cumsum([0, *(row["num_rows"] for row in rows)]).tolist()
    assert [row["row"] for row in rows] == ends[:-1]
    assert (array.shape, array.dtype, packets.shape, packets.dtype) == ((ends[-1],), np.uint8, (38,), PACKET)
    for row, path in zip(rows, (videos["a"], videos["b"], videos["c"]), strict=True):
        original = read_frames(path)
        assert row["times_s"] == original.times_s.tolist()
        facts = (row["duration_s"], row["fps"], row["width"], row["height"])
        assert facts == (original.probe.duration_s, original.probe.fps, 64, 48)
        stream = stream_of(shard, row["video_id"])
        assert len(list(pictures(stream))) == len(original.rgb)


def test_times_of_a_variable_rate_are_kept(tmp_path):
    (tmp_path / "release").mkdir()
    stamps = [0, 40, 200, 210, 900]
    path = clips.write(tmp_path / "release/a.mkv", clips.pictures(5), stamps_ms=stamps, options={"crf": "1"})
    shard = transcode(release(tmp_path, {"a": path}), tmp_path)
    assert Streams(shard / "index.parquet").segment("a")["times_s"] * 1000 == pytest.approx(stamps, abs=1)
    assert len(list(pictures(stream_of(shard)))) == 5


@pytest.mark.parametrize("size", [[32, 32], [47, 65], [256, 340]])
def test_frames_have_the_views_size_and_stand_upright(size, tmp_path):
    (tmp_path / "release").mkdir()
    path = clips.turn(clips.write(tmp_path / "release/a.mp4", clips.pictures(4), options={"crf": "1"}), 90)
    shard = transcode(release(tmp_path, {"a": path}), tmp_path, size=size)
    (first, *_) = pictures(stream_of(shard))
    assert first.shape == (*size, 3)
    upright = read_frames(path).rgb[0]
    corners = [(0, 0), (0, -1), (-1, 0), (-1, -1)]
    for y, x in corners:
        assert first[y, x].astype(int) == pytest.approx(upright[y, x].astype(int), abs=30)


@pytest.mark.parametrize(("frame", "short", "size"), [
    ((48, 64), 32, (32, 42)),  # 42.7 px: to the nearest even number
    ((48, 64), 36, (36, 48)),
    ((64, 48), 32, (42, 32)),
    ((48, 66), 32, (32, 44)),
    ((45, 64), 90, (90, 128)),  # to larger, too
    ((40, 40), 32, (32, 32)),
])  # fmt: skip
def test_frames_have_the_views_short_side_and_keep_their_aspect(frame, short, size, tmp_path):
    (tmp_path / "release").mkdir()
    path = clips.write_lossless(tmp_path / "release/a.mkv", clips.pictures(3, *frame))
    shard = transcode(release(tmp_path, {"a": path}), tmp_path, size=None, short_side=short)
    shown = list(pictures(stream_of(shard)))
    assert [one.shape for one in shown] == [(*size, 3)] * 3
    row = pq.read_table(shard / "index.parquet").to_pylist()[0]
    assert (row["height"], row["width"]) == frame, "the original's"


def test_videos_of_a_short_side_differ_in_size(tmp_path):
    (tmp_path / "release").mkdir()
    sizes = {"a": (48, 64), "b": (64, 48), "c": (48, 96)}
    videos = {
        name: clips.write_lossless(tmp_path / f"release/{name}.mkv", clips.pictures(3, *size))
        for name, size in sizes.items()
    }
    shard = transcode(release(tmp_path, videos), tmp_path, size=None, short_side=24)
    shown = {name: next(iter(pictures(stream_of(shard, name)))).shape[:2] for name in sizes}
    assert shown == {"a": (24, 32), "b": (32, 24), "c": (24, 48)}


def digests(shard):
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(shard.iterdir())}


def test_the_same_videos_give_the_same_bytes_whatever_failed_before_them(tmp_path):
    videos = write_clips(tmp_path, {"b": 30, "d": 25})
    first = digests(transcode(release(tmp_path, videos), tmp_path / "one"))
    assert first == digests(transcode(release(tmp_path, videos), tmp_path / "two"))
    path = clips.write(tmp_path / "release/c.mp4", clips.pictures(60), options={"g": "1"},
                       container_options={"movflags": "faststart"})  # fmt: skip
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])  # fails after some thirty frames
    again = digests(transcode(release(tmp_path, videos | {"c": path}), tmp_path / "three"))
    failed = list(csv.DictReader((tmp_path / "three/shard000/failures.csv").open(encoding="utf-8")))
    assert [row["video_id"] for row in failed] == ["c"]
    assert "damaged" in failed[0]["reason"]
    assert again | {"failures.csv": ""} == first | {"failures.csv": ""}


def test_no_stamp_of_time_and_no_encoders_version_is_in_the_bytes(one, tmp_path):
    data = stream_of(transcode(one[0], tmp_path)).data.tobytes()
    assert b"Lavc" not in data
    assert b"\x00\x00\x01\xb2" not in data  # user data


def test_a_video_that_gives_no_frames_is_a_row_of_failures_with_its_reason(tmp_path):
    videos = write_clips(tmp_path, {"a": 3})
    for name, data in (("empty", b""), ("text", b"a text\n" * 99)):
        videos[name] = tmp_path / f"release/{name}.mp4"
        videos[name].write_bytes(data)
    shard = transcode(release(tmp_path, videos), tmp_path)
    rows = list(csv.DictReader((shard / "failures.csv").open(encoding="utf-8")))
    assert [(row["video_id"], row["path"]) for row in rows] == [("empty", "empty.mp4"), ("text", "text.mp4")]
    assert "zero bytes" in rows[0]["reason"]
    assert list(Streams(shard / "index.parquet")) == ["a"]


def test_a_video_that_decodes_to_other_frames_than_its_packets_say_is_begun_anew(tmp_path):
    """Packed B pictures: the header and the packets count one more than decode, so frames come twice."""
    (tmp_path / "release").mkdir()
    path = clips.write_packed(tmp_path / "release/a.avi", clips.pictures(12))
    good = clips.write_lossless(tmp_path / "release/b.mkv", moving(5))
    shard = transcode(release(tmp_path, {"a": path, "b": good}), tmp_path)
    expected = read_frames(path)
    got = list(pictures(stream_of(shard)))
    assert len(got) == len(expected.rgb) < 13
    assert min(clips.psnr(a, b) for a, b in zip(got, expected.rgb, strict=True)) > 35
    assert len(list(pictures(stream_of(shard, "b")))) == 5


def test_another_kind_of_view_stops_the_job(one, tmp_path):
    with pytest.raises(ValueError, match="kind stream, not 'frames'"):
        transcode(one[0], tmp_path, kind="frames")


def test_an_encoder_that_leaves_its_groups_stops_the_job(one, tmp_path, monkeypatch):
    kept = Encoder.encode
    monkeypatch.setattr(Encoder, "encode", lambda self, rgb: [(data, True) for data, _ in kept(self, rgb)])
    with pytest.raises(RuntimeError, match=r"a.mkv: the encoder made frame 1 an I-frame"):
        transcode(one[0], tmp_path)


@pytest.mark.parametrize("broken", ["lost", "first", "short"])
def test_a_table_of_packets_that_is_not_the_indexs_is_named(broken, one, tmp_path):
    shard = transcode(one[0], tmp_path)
    if broken == "short":
        np.save(shard / "streams.npy", np.load(shard / "streams.npy")[:-100])
    else:
        packets = np.load(shard / "packets.npy")
        packets["is_key"][0] = broken != "first"
        np.save(shard / "packets.npy", packets[:-1] if broken == "lost" else packets)
    with pytest.raises(ValueError, match=r"index.parquet: video 'a': (40 frames|ends beyond)"):
        stream_of(shard)


JOB = """
import json, resource, sys
from pathlib import Path
from retake.data.transcoding import transcode_video
arguments = {key: Path(value) for key, value in json.loads(sys.argv[1]).items()}
view = {"kind": "stream", "size": [64, 64], "gop": 12, "quality": 1}
transcode_video(view=view, **arguments)
heavy = sorted({"torch", "pandas", "decord", "pydantic", "numba", "cv2"} & sys.modules.keys())
print(json.dumps({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "heavy": heavy}))
"""


def measured(folder, num_frames):
    (folder / "release").mkdir(parents=True)
    still = np.broadcast_to(clips.pictures(1, 480, 640), (num_frames, 480, 640, 3))
    path = clips.write(folder / "release/a.mp4", still, options={"preset": "ultrafast"})
    job = streams_of.outputs(folder / "shard000", array_out="streams.npy", packets_out="packets.npy")
    job = {key: str(path) for key, path in job.items()} | {"manifest": str(release(folder, {"a": path}))}
    done = subprocess.run(
        [sys.executable, "-c", JOB, json.dumps(job)], capture_output=True, text=True, check=True
    )
    assert len(np.load(folder / "shard000/packets.npy")) == num_frames
    return json.loads(done.stdout)


def test_a_longer_video_takes_no_more_memory_and_no_heavy_library(tmp_path):
    short, long = measured(tmp_path / "short", 10), measured(tmp_path / "long", 110)
    assert long["peak_mb"] - short["peak_mb"] < 25  # 100 frames of 640x480 are 92 MB
    assert long["heavy"] == []
