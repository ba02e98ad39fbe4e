"""The frame that a labeller is shown is the one that decoding everything picks, in files of every odd form."""

from pathlib import Path

import av
import numpy as np
import pytest

from retake.data import decoding, video
from retake.data.chunks import chunks
from retake.data.video import EachFrame, VideoError
from retake.labelling.clips import AT_ONCE, ahead, centres, read_clips, square, thumbnail
from tests.unit.data import clips as made

LONG = {"g": "20", "bf": "3", "crf": "12", "preset": "veryfast"}
FORMS = {
    "b_frames.mp4": {"options": LONG},
    "b_pyramid.mkv": {"options": LONG | {"x264-params": "b-pyramid=normal:ref=4", "bf": "5"}},
    "open_groups.mp4": {"options": LONG | {"x264-params": "open-gop=1"}},
    "one_group.mp4": {"options": LONG | {"g": "1000"}},
    "variable.mp4": {
        "options": LONG,
        "stamps_ms": np.cumsum(np.random.default_rng(0).integers(20, 190, 250)).tolist(),
    },
    "late_start.mkv": {"options": LONG, "stamps_ms": [3700 + 100 * n for n in range(250)]},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "keyint=25:log-level=none:pools=1"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "30", "cpu-used": "8", "deadline": "realtime"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"g": "12", "b": "4000000"}},
    "mpeg4_b.mp4": {"codec": "mpeg4", "options": {"g": "12", "bf": "2", "b": "4000000"}},
    "no_stamps.h264": {"options": LONG, "container_format": "h264"},
}


def by_hand(path: Path, chunk_s: float) -> list[tuple[float, float, float, np.ndarray]]:
    """(start, end, time, picture) of every chunk, from all frames of the file."""
    frames = EachFrame(path)
    kept = [rgb.copy() for _, rgb in frames]
    times = frames.times_s
    duration = frames.probe.duration_s
    found = []
    k = 0
    while (k + 1) * chunk_s <= duration + 1e-3:
        middle = (k + 0.5) * chunk_s
        up = max(n for n in range(len(times)) if times[n] <= middle + 1e-6)
        found.append((k * chunk_s, (k + 1) * chunk_s, times[up], kept[up]))
        k += 1
    return found


def same(path: Path, chunk_s: float) -> int:
    clips = list(read_clips("v", path, chunk_s, lambda rgb: rgb.copy()))
    expected = by_hand(path, chunk_s)
    assert [(c.number, c.start_s, c.end_s, c.time_s) for c in clips] == [
        (n, *one[:3]) for n, one in enumerate(expected)
    ]
    for clip, one in zip(clips, expected, strict=True):
        assert np.array_equal(clip.picture, one[3])
    return len(clips)


@pytest.mark.parametrize("name", FORMS)
def test_each_clips_frame_is_the_one_that_decoding_all_picks(name, tmp_path):
    form = {"rate": 10} | FORMS[name]
    path = made.write(tmp_path / name, made.pictures(250), **form)
    seconds = {"no_stamps.h264": 10.0, "variable.mp4": 27.15}.get(
        name, 25.0
    )  # without stamps: 25 frames a second
    assert same(path, 8.0) == int(seconds / 8)
    assert same(path, 1.7) == int(seconds / 1.7)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_video_is_seen_upright(degrees, tmp_path):
    path = made.write(tmp_path / "turned.mp4", made.pictures(100), options=LONG)
    plain = next(read_clips("v", path, 8.0, lambda rgb: rgb.copy())).picture
    made.turn(path, degrees)
    assert same(path, 8.0) == 1
    turned = next(read_clips("v", path, 8.0, lambda rgb: rgb.copy())).picture
    assert np.array_equal(turned, np.rot90(plain, -degrees // 90))


def test_little_is_decoded_of_a_video_with_many_key_frames(tmp_path, monkeypatch):
    """Of 300 frames in groups of 25, those from a key frame to each of three centres at most; of B pictures fewer."""
    path = made.write(tmp_path / "v.mp4", made.pictures(300), rate=10, options=LONG | {"g": "25"})
    fed, out = [], []
    decode = decoding.Source.decode

    def counted(self, packet):
        frames = decode(self, packet)
        fed.append(packet)
        out.extend(frames)
        return frames

    monkeypatch.setattr(decoding.Source, "decode", counted)
    monkeypatch.setattr(video, "count", lambda *_: pytest.fail("the whole file was decoded"))
    assert len(list(read_clips("v", path, 8.0, lambda rgb: rgb))) == 3
    assert len([packet for packet in fed if packet is not None]) <= 3 * 25
    assert 3 <= len(out) < len([packet for packet in fed if packet is not None])


def test_a_long_video_is_read_in_parts_and_from_any_chunk_on(tmp_path):
    frames = made.pictures(2 * AT_ONCE + 10, height=16, width=16)
    path = made.write(tmp_path / "v.mp4", frames, rate=2, options=LONG)
    whole = list(read_clips("v", path, 0.5, lambda rgb: rgb.copy()))
    assert [clip.number for clip in whole] == list(range(2 * AT_ONCE + 10))
    for first, last in ((5, None), (AT_ONCE + 3, None), (3, 7), (2 * AT_ONCE + 10, None)):
        part = list(read_clips("v", path, 0.5, lambda rgb: rgb.copy(), first, last))
        assert [clip.number for clip in part] == [clip.number for clip in whole[first:last]]
        assert all(np.array_equal(a.picture, b.picture) for a, b in zip(part, whole[first:last], strict=True))


def test_chunks_are_whole_ones_from_the_start():
    assert chunks(24.0, 8.0) == [(0.0, 8.0), (8.0, 16.0), (16.0, 24.0)]
    assert chunks(23.5, 8.0) == [(0.0, 8.0), (8.0, 16.0)]
    assert chunks(7.99, 8.0) == []
    with pytest.raises(ValueError, match="chunk_s: expected seconds above 0, not 0"):
        chunks(3.0, 0)


def test_the_frame_that_is_up_at_the_centre_is_the_last_that_came_before_it():
    times = np.array([0.0, 3.9, 4.1, 7.0, 11.9999999, 12.1, 20.0])  # 7 frames, 23.33 s
    assert [(c.number, c.start_s, c.end_s, c.frame) for c in centres(times, 8.0)] == [
        (0, 0.0, 8.0, 1),
        (1, 8.0, 16.0, 4),
    ]
    assert centres(np.array([0.0]), 8.0) == []


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (lambda path: made.write(path, made.pictures(79), rate=10), r"shorter than one chunk of 8 s"),
        (lambda path: path.write_bytes(b""), r"empty file \(zero bytes\)"),
        (lambda path: path.write_bytes(b"no video at all"), r"not a video"),
        (lambda path: silent(path), r"no video stream"),
    ],
)
def test_what_cannot_be_read_says_why(write, reason, tmp_path):
    write(tmp_path / "v.mp4")
    with pytest.raises(VideoError, match=reason):
        list(read_clips("v", tmp_path / "v.mp4", 8.0, lambda rgb: rgb))


def silent(path: Path) -> None:
    """A file with sound and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        for n in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, 1024 * n
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_pictures_are_made_square_as_the_imaging_library_makes_them():
    image = pytest.importorskip("PIL.Image")
    noise = np.random.default_rng(0).integers(0, 256, (90, 160, 3)).astype(np.uint8)
    for rgb in (made.pictures(1, height=90, width=160)[0], noise):
        for size in (32, 64, 200):
            expected = np.asarray(image.fromarray(rgb).resize((size, size), image.Resampling.BICUBIC)).astype(
                int
            )
            apart = np.abs(square(rgb, size).astype(int) - expected)
            assert apart.max() <= 2
            assert (apart > 1).mean() < 1e-3


def test_thumbnails_keep_the_aspect():
    rgb = made.pictures(1, height=90, width=160)[0]
    assert thumbnail(rgb, 45).shape == (45, 80, 3)
    assert thumbnail(rgb, 90) is rgb


def test_items_are_made_ahead_and_come_in_order():
    begun = []

    def made_of(n):
        begun.append(n)
        if n == 7:
            raise ValueError("seven")
        return n * n

    stream = ahead(range(8), made_of, 2)
    assert next(stream) == 0
    assert [next(stream) for _ in range(6)] == [1, 4, 9, 16, 25, 36]
    with pytest.raises(ValueError, match="seven"):
        next(stream)
    assert sorted(begun) == list(range(8))
    begun.clear()
    stream = ahead(range(1000), lambda n: begun.append(n), 2)
    next(stream)
    stream.close()
    assert len(begun) < 10
