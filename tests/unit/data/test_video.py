"""What comes out of a video file: frames against those that were encoded, whatever the container says."""

import itertools
import os
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import av
import decord
import numpy as np
import pytest

from retake.data import decoding, video
from retake.data.video import LIMITS, EachFrame, Placement, VideoError, probe, read_frames, whole
from tests.unit.data import clips

FINE = {"crf": "1"}
GOOD_DB = 40.0  # above this a frame is its original and no other: neighbours are under 30 dB from each other


def assert_same(got, frames, least_db=GOOD_DB):
    assert got.shape == frames.shape
    assert min(clips.psnr(a, b) for a, b in zip(got, frames, strict=True)) > least_db


def at(*chosen):
    return lambda times_s: np.array(chosen)


def test_neighbouring_frames_are_told_apart_by_the_bound_of_these_tests():
    frames = clips.pictures(20)
    assert max(clips.psnr(a, b) for a, b in pairwise(frames)) < 30


def test_lossless_frames_come_back_to_the_byte_with_their_times(tmp_path):
    frames = clips.pictures(12)
    got = read_frames(clips.write_lossless(tmp_path / "a.mkv", frames, rate=8))
    assert np.array_equal(got.rgb, frames)
    assert got.times_s == pytest.approx(np.arange(12) / 8, abs=1e-3)
    facts = (got.probe.num_frames, got.probe.width, got.probe.height, got.probe.rotation)
    assert facts == (12, 64, 48, 0)
    assert got.probe.fps == pytest.approx(8, rel=1e-3)
    assert got.probe.duration_s == pytest.approx(1.5, rel=1e-3)


FORMS = {
    "h264 with B pictures": ("a.mp4", {"options": FINE | {"bf": "3", "g": "8"}}),
    "h264 in avi": ("a.avi", {"options": FINE | {"bf": "0"}}),
    "full range": ("a.mp4", {"options": FINE, "pixels": "yuvj420p"}),
    "10 bits": ("a.mkv", {"options": FINE, "pixels": "yuv420p10le"}),
    "hevc": ("a.mp4", {"codec": "libx265", "options": FINE | {"x265-params": "log-level=none"}}),
    "vp8 with invisible pictures": (
        "a.webm",
        {
            "codec": "libvpx",
            "options": {"crf": "4", "b": "4000000", "auto-alt-ref": "1", "lag-in-frames": "16"},
        },
    ),
    "vp9": ("a.webm", {"codec": "libvpx-vp9", "options": {"crf": "2", "b": "0"}}),
    "raw mpeg4 named mp4": (
        "a.mp4",
        {"codec": "mpeg4", "container_format": "m4v", "options": {"b": "9000000"}},
    ),
    "raw h264": ("a.h264", {"container_format": "h264", "options": FINE}),
    "mpeg transport stream": ("a.ts", {"options": FINE}),
    "fragmented mp4": (
        "a.mp4",
        {"options": FINE, "container_options": {"movflags": "frag_keyframe+empty_moov"}},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_frame_that_was_encoded_comes_out_once_and_in_order(form, tmp_path):
    name, given = FORMS[form]
    frames = clips.pictures(24)
    got = read_frames(clips.write(tmp_path / name, frames, **given))
    assert_same(got.rgb, frames, 38.0)
    assert got.probe.num_frames == 24
    assert (np.diff(got.times_s) > 0).all()


def test_odd_sizes_keep_their_last_row_and_column(tmp_path):
    frames = clips.pictures(6, 49, 65)
    got = read_frames(clips.write(tmp_path / "a.mp4", frames, pixels="yuv444p", options=FINE))
    assert_same(got.rgb, frames)


def test_a_gif_shows_each_of_its_frames(tmp_path):
    frames = np.where(clips.pictures(9) > 128, 255, 0).astype(np.uint8)  # a palette blurs what lies between
    got = read_frames(clips.write(tmp_path / "a.gif", frames, codec="gif", pixels="rgb8", rate=5))
    assert_same(got.rgb, frames, 28.0)
    assert max(clips.psnr(a, b) for a, b in pairwise(frames)) < 20
    assert got.times_s == pytest.approx(np.arange(9) / 5)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a%03d.jpg"])
def test_a_picture_is_a_video_of_one_frame_that_lasts_no_time(name, tmp_path):
    picture = clips.pictures(1)
    codec, pixels = ("png", "rgb24") if name.endswith("png") else ("mjpeg", "yuvj444p")
    clips.write(tmp_path / "a.tmp", picture, codec=codec, pixels=pixels, container_format="image2pipe",
                options={"qmin": "1", "qmax": "1"})  # fmt: skip
    (tmp_path / "a.tmp").rename(tmp_path / name)
    (tmp_path / "a001.jpg").write_bytes(b"another")  # not a sequence that a name with % stands for
    got = read_frames(tmp_path / name, start_s=0.0, end_s=0.0)
    assert_same(got.rgb, picture, 35.0)
    assert (got.probe.num_frames, got.probe.duration_s, got.times_s.tolist()) == (1, 0.0, [0.0])


def test_a_stream_without_length_or_count_in_its_header_is_read_to_its_end(tmp_path):
    frames, path = clips.pictures(20), tmp_path / "a.webm"
    clips.write(path, frames, codec="libvpx-vp9", container_format="webm", target=clips.Pipe(path),
                options={"crf": "2", "b": "0"})  # fmt: skip
    with av.open(str(path)) as container:
        assert container.duration is None
        assert container.streams.video[0].frames == 0
    got = read_frames(path)
    assert_same(got.rgb, frames)
    assert got.probe.duration_s == pytest.approx(2.0, rel=1e-3)


@pytest.mark.parametrize(("degrees", "turns"), [(90, -1), (180, 2), (270, 1), (None, 0)])
def test_rotation_in_the_header_is_applied_and_an_invalid_one_is_not(degrees, turns, tmp_path):
    frames = clips.pictures(6)
    path = clips.turn(clips.write(tmp_path / "a.mp4", frames, options=FINE), degrees)
    got = read_frames(path)
    assert_same(got.rgb, np.rot90(frames, turns, axes=(1, 2)))
    assert got.probe.rotation == (degrees or 0)
    assert (probe(path).height, probe(path).width) == got.rgb.shape[1:3]


def test_a_turned_video_is_scaled_after_it_was_turned(tmp_path):
    path = clips.turn(clips.write(tmp_path / "a.mp4", clips.pictures(4), options=FINE), 90)
    seen = []

    def place(height, width):
        seen.append((height, width))
        return Placement(32, 24, 4, 2, 20, 16)

    whole = read_frames(path, place=lambda height, width: Placement(32, 24, 0, 0, 32, 24))
    got = read_frames(path, place=place)
    assert seen == [(64, 48)]
    assert np.array_equal(got.rgb, whole.rgb[:, 4:24, 2:18])


@pytest.mark.parametrize("degrees", [0, 90, 270])
def test_decord_sees_the_same_frames_where_it_can_read_at_all(degrees, tmp_path):
    path = clips.write(tmp_path / "a.mp4", clips.pictures(20, 96, 128), options={"crf": "1", "bf": "2"})
    if degrees:
        clips.turn(path, degrees)
    other = decord.VideoReader(str(path), ctx=decord.cpu(0), num_threads=1)
    got = read_frames(path, at(0, 7, 19))
    assert got.probe.num_frames == len(other)
    assert_same(got.rgb, other.get_batch([0, 7, 19]).asnumpy(), 35.0)


def test_times_of_a_variable_rate_are_its_stamps(tmp_path):
    stamps = [0, 100, 130, 500, 510, 900]
    frames = clips.pictures(6)
    got = read_frames(clips.write_lossless(tmp_path / "a.mkv", frames, stamps_ms=stamps))
    assert np.array_equal(got.rgb, frames)
    assert got.times_s == pytest.approx(np.array(stamps) / 1000)
    assert got.probe.fps == pytest.approx(5 / 0.9)


def test_time_starts_at_the_first_frame_whatever_its_stamp(tmp_path):
    path = clips.write_lossless(tmp_path / "a.mkv", clips.pictures(5), stamps_ms=range(8300, 8800, 100))
    with av.open(str(path)) as container:
        assert container.streams.video[0].start_time == 8300
    got = read_frames(path)
    assert got.times_s == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert got.probe.duration_s == pytest.approx(0.5)


def test_packed_b_pictures_are_counted_as_they_decode_not_as_the_header_counts(tmp_path):
    frames = clips.pictures(20)
    path = clips.write_packed(tmp_path / "a.avi", frames)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 21
    got = read_frames(path)
    assert_same(got.rgb, frames, 38.0)
    assert got.probe.num_frames == 20
    assert got.times_s == pytest.approx(np.arange(20) / 15)
    assert_same(read_frames(path, at(3, 19)).rgb, frames[[3, 19]], 38.0)


def test_frames_that_an_edit_list_cuts_away_are_neither_shown_nor_expected(tmp_path, monkeypatch):
    frames = clips.pictures(20)
    path = clips.write(tmp_path / "a.mp4", frames, stamps_ms=range(-500, 1500, 100), options=FINE,
                       container_options={"avoid_negative_ts": "disabled"})  # fmt: skip
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 20
    monkeypatch.setattr(video, "count", lambda *_: pytest.fail("decoded twice"))
    got = read_frames(path)
    assert_same(got.rgb, frames[5:])
    assert got.times_s == pytest.approx(np.arange(15) / 10, abs=1e-3)


@pytest.mark.parametrize("default", [0, 1])
def test_of_two_video_streams_the_one_marked_default_is_read(default, tmp_path):
    small, large = clips.pictures(8, 32, 32, seed=1), clips.pictures(8)
    path = clips.write_two_streams(tmp_path / "a.mkv", small, large, default=default)
    got = read_frames(path)
    assert_same(got.rgb, (small, large)[default], 38.0)
    assert got.probe.stream == default


def test_metadata_that_are_no_utf_8_do_not_matter(tmp_path):
    frames = clips.pictures(4)
    path = clips.write(
        tmp_path / "a.avi", frames, codec="mpeg4", options={"b": "9000000"}, metadata={"title": "T" * 9}
    )
    path.write_bytes(path.read_bytes().replace(b"T" * 9, b"caf\xe9 \xff\xfe!!"))
    with pytest.raises(UnicodeDecodeError):
        av.open(str(path)).metadata  # noqa: B018
    assert len(read_frames(path).rgb) == 4


def test_colour_is_interpolated_between_chroma_samples(tmp_path):
    y, x = np.mgrid[0:1:96j, 0:1:128j]
    soft = np.stack(
        [128 + 90 * np.sin(9 * x), 128 + 90 * np.sin(9 * y + 2), 128 + 90 * np.sin(7 * (x + y))], -1
    )
    frames = soft.round().astype(np.uint8)[None]
    got = read_frames(clips.write(tmp_path / "a.mkv", frames, codec="ffv1"))
    # repeating each chroma sample over its 2x2 pixels, as decord does, is off by 1.5 in the mean
    assert np.abs(got.rgb.astype(int) - frames).mean() < 1.0


def test_frames_are_scaled_by_area_and_cut_where_the_placement_says(tmp_path):
    frames = clips.pictures(3)
    path = clips.write_lossless(tmp_path / "a.mkv", frames)
    cut = read_frames(path, place=lambda height, width: Placement(height, width, 5, 7, 20, 30))
    assert np.array_equal(cut.rgb, frames[:, 5:25, 7:37])
    half = read_frames(path, place=lambda height, width: Placement(24, 32, 0, 0, 24, 32))
    assert_same(half.rgb, frames.reshape(3, 24, 2, 32, 2, 3).mean((2, 4)), 32.0)


def test_an_index_may_repeat_and_indices_may_not_fall(tmp_path):
    frames = clips.pictures(6)
    path = clips.write_lossless(tmp_path / "a.mkv", frames)
    got = read_frames(path, at(0, 2, 2, 5))
    assert np.array_equal(got.rgb, frames[[0, 2, 2, 5]])
    assert got.times_s == pytest.approx([0, 0.2, 0.2, 0.5])
    for wrong in [(2, 1), (0, 6), (-1, 2), ()]:
        with pytest.raises(ValueError, match="ascending indices below 6"):
            read_frames(path, at(*wrong))


@pytest.mark.parametrize(
    ("start_s", "end_s", "expected"),
    [
        (0.5, 1.0, range(5, 10)),
        (None, 0.3, range(3)),
        (1.8, None, range(18, 20)),
        (0.55, 0.58, [5]),
        (0.7, 0.7, [7]),
        (5.0, 6.0, [19]),
        (0.0, None, range(20)),
    ],
)
@pytest.mark.parametrize("form", ["a.mkv", "a.mp4", "packed.avi"])
def test_a_window_holds_what_is_shown_in_it(form, start_s, end_s, expected, tmp_path):
    frames = clips.pictures(20)
    writers = {
        "a.mkv": lambda path: clips.write_lossless(path, frames),
        "a.mp4": lambda path: clips.write(path, frames, options=FINE | {"g": "6", "bf": "2"}),
        "packed.avi": lambda path: clips.write_packed(path, frames, rate=10),
    }
    got = read_frames(writers[form](tmp_path / form), start_s=start_s, end_s=end_s)
    assert_same(got.rgb, frames[list(expected)], 38.0)
    assert got.times_s == pytest.approx(np.array(expected) / 10, abs=1e-3)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9"])
def test_jumping_from_key_frame_to_key_frame_gives_the_same_bytes_for_less_decoding(
    codec, tmp_path, monkeypatch
):
    options = {"g": "10", "crf": "10"} | (
        {"x265-params": "log-level=none:open-gop=1"} if codec == "libx265" else {}
    )
    path = clips.write(tmp_path / "a.mkv", clips.pictures(120), codec=codec, options=options)
    monkeypatch.setattr(video.decord_frames, "can_read", lambda *_: False)
    fed = []
    plain = decoding.Source.decode
    monkeypatch.setattr(
        decoding.Source, "decode", lambda self, packet: (fed.append(packet), plain(self, packet))[1]
    )
    straight = read_frames(path, at(0, 1, 58, 101))
    num_straight = len(fed)
    jumped = read_frames(path, at(0, 1, 58, 101), limits=replace(LIMITS, straight=20))
    assert np.array_equal(straight.rgb, jumped.rgb)
    assert len(fed) - num_straight < num_straight / 2


def test_decoding_uses_one_thread(tmp_path):
    path = clips.write(tmp_path / "a.mp4", clips.pictures(4))
    with decoding.open_video(path, LIMITS) as source:
        assert source.stream.codec_context.thread_count == 1
        assert source.stream.codec_context.thread_type.name == "NONE"


def break_packets(path, numbers):
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for number in numbers:
        begin, size = places[number]
        data[begin : begin + size] = b"\xff" * size
    path.write_bytes(data)


def test_a_few_broken_pictures_are_left_out_and_counted(tmp_path):
    frames = clips.pictures(24)
    path = clips.write(tmp_path / "a.mp4", frames, options=FINE | {"g": "1"})
    break_packets(path, [10, 20])
    got = read_frames(path)
    assert_same(got.rgb, np.delete(frames, [10, 20], axis=0))
    assert (got.probe.num_frames, got.probe.num_damaged) == (22, 2)
    assert got.times_s[-1] == pytest.approx(2.3, abs=1e-3)


def test_frames_that_the_decoder_calls_corrupt_are_damaged(tmp_path):
    frames = [SimpleNamespace(is_corrupt=bad) for bad in (False, True, True)]
    stream = SimpleNamespace(codec_context=SimpleNamespace(decode=lambda packet: frames))
    source = decoding.Source(tmp_path, None, stream, LIMITS, until=0.0)
    assert source.decode(None) == frames
    assert source.damaged == 2


def test_decoding_that_takes_too_long_is_given_up(tmp_path, monkeypatch):
    path = clips.write_lossless(tmp_path / "a.mkv", clips.pictures(8))
    clock = itertools.count(step=1000)
    monkeypatch.setattr(decoding, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with pytest.raises(VideoError, match="not decoded within 3600 s"):
        read_frames(path)


def test_many_broken_pictures_are_an_error(tmp_path):
    path = clips.write(tmp_path / "a.mp4", clips.pictures(24), options=FINE | {"g": "1"})
    break_packets(path, [3, 7, 10])
    with pytest.raises(VideoError, match="3 of 24 pictures are missing or broken"):
        read_frames(path)


def test_a_file_cut_off_in_its_pictures_is_an_error(tmp_path):
    path = clips.write(tmp_path / "a.mp4", clips.pictures(60), options=FINE | {"g": "1"},
                       container_options={"movflags": "faststart"})  # fmt: skip
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(VideoError, match=r"damaged or truncated: \d+ of 60 pictures"):
        read_frames(path)


def test_a_file_cut_off_before_its_table_of_contents_is_an_error(tmp_path):
    path = clips.write(tmp_path / "a.mp4", clips.pictures(20), options=FINE)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(VideoError, match="not a video"):
        read_frames(path)


def sound(path):
    with av.open(str(path), "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))


BROKEN = {
    "nothing there": (lambda path: None, "cannot be read: No such file"),
    "a folder": (lambda path: path.mkdir(), "not a file"),
    "a pipe, which would wait for ever": (os.mkfifo, "not a file"),
    "zero bytes": (lambda path: path.write_bytes(b""), "zero bytes"),
    "a text": (lambda path: path.write_text("a cat sits on a table\n" * 99), "not a video"),
    "a page of a web server": (lambda path: path.write_text("<html><body>404</body></html>"), "not a video"),
    "noise": (lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)), "not a video|no "),
    "sound only": (sound, "no video stream"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_video_is_said_to_be_none(what, tmp_path):
    make, words = BROKEN[what]
    make(tmp_path / "a.mp4")
    for read in (read_frames, probe):
        with pytest.raises(VideoError, match=words) as caught:
            read(tmp_path / "a.mp4")
        assert caught.value.path == tmp_path / "a.mp4"
        assert str(tmp_path) not in caught.value.reason


def test_a_playlist_opens_no_other_file(tmp_path):
    clips.write(tmp_path / "other.mp4", clips.pictures(4))
    (tmp_path / "a.mp4").write_text("ffconcat version 1.0\nfile other.mp4\n")
    with pytest.raises(VideoError, match="not a video"):
        read_frames(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"frame_pixels": 3000}, "64x48 is over 3000 pixels"),
        ({"output_bytes": 50_000}, "8 frames are over 50000 bytes"),
        ({"packets": 5}, "more than 5 packets"),
        ({"seconds": 0.0}, "not opened within 0 s"),
    ],
)
def test_a_file_over_a_limit_is_given_up(limit, words, tmp_path):
    path = clips.write_lossless(tmp_path / "a.mkv", clips.pictures(8))
    with pytest.raises(VideoError, match=words):
        read_frames(path, limits=replace(LIMITS, **limit))


def test_a_crop_larger_than_the_frame_is_an_error_of_that_video(tmp_path):
    path = clips.write_lossless(tmp_path / "a.mkv", clips.pictures(2))
    with pytest.raises(VideoError, match="64x48 is smaller than the crop 50x50"):
        read_frames(path, place=lambda height, width: Placement(height, width, -1, 7, 50, 50))


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.webm"])
def test_flipped_bits_and_cuts_end_in_frames_or_a_video_error_and_always_the_same(name, tmp_path):
    codec = {"a.mp4": "libx264", "a.avi": "mpeg4", "a.webm": "libvpx-vp9"}[name]
    whole = clips.write(tmp_path / name, clips.pictures(16), codec=codec).read_bytes()
    rng = np.random.default_rng(7)

    def outcome(path):
        try:
            return read_frames(path).rgb.tobytes()
        except VideoError as error:
            return error.reason

    readable = 0
    for _ in range(25):
        data = bytearray(whole[: rng.integers(1, len(whole))] if rng.random() < 0.3 else whole)
        for place in rng.integers(0, len(data), rng.choice([1, 10, 100])):
            data[place] ^= 1 << rng.integers(8)
        (tmp_path / name).write_bytes(data)
        first = outcome(tmp_path / name)
        assert first == outcome(tmp_path / name)
        readable += isinstance(first, bytes)
    assert 0 < readable < 25


def test_a_probe_tells_what_reading_confirms_and_decodes_one_frame(tmp_path, monkeypatch):
    path = clips.write(tmp_path / "a.mp4", clips.pictures(20), options=FINE)
    assert probe(path) == read_frames(path).probe
    monkeypatch.setattr(video, "count", lambda *_: pytest.fail("counted"))
    probe(path)


def one_by_one(path, **given):
    """Frames (T, H, W, 3) as EachFrame gives them the last time round, its times and its facts; and where n was 0."""
    each, kept, begun = EachFrame(path, **given), [], 0
    for n, rgb in each:
        begun += n == 0
        kept = [*kept[:n], rgb.copy()] if n else [rgb.copy()]
    return np.stack(kept), each, begun


@pytest.mark.parametrize("form", FORMS)
def test_frames_one_at_a_time_are_those_that_are_read_at_once(form, tmp_path, monkeypatch):
    monkeypatch.setattr(video.decord_frames, "can_read", lambda *_: False)  # colours to the byte
    name, given = FORMS[form]
    path = clips.write(tmp_path / name, clips.pictures(24), **given)
    got, each, begun = one_by_one(path)
    all_of_them = read_frames(path)
    assert np.array_equal(got, all_of_them.rgb)
    assert each.times_s.tolist() == all_of_them.times_s.tolist()
    assert (each.probe, begun) == (all_of_them.probe, 1)


def test_frames_one_at_a_time_begin_anew_where_the_packets_were_wrong(tmp_path):
    path = clips.write_packed(tmp_path / "a.avi", clips.pictures(13))
    got, each, begun = one_by_one(path)
    all_of_them = read_frames(path)
    assert begun == 2
    assert np.array_equal(got, all_of_them.rgb)
    assert (each.times_s.tolist(), each.probe) == (all_of_them.times_s.tolist(), all_of_them.probe)


def test_frames_one_at_a_time_are_turned_scaled_and_cut(tmp_path):
    path = clips.turn(clips.write(tmp_path / "a.mp4", clips.pictures(5), options=FINE), 90)

    def place(height, width):
        return Placement(80, 40, 10, 5, 64, 30)

    got, _, _ = one_by_one(path, place=place)
    assert np.array_equal(got, read_frames(path, place=place).rgb)
    assert got.shape == (5, 64, 30, 3)


@pytest.mark.parametrize(
    ("broken", "words"),
    [([3, 7, 10], "3 of 24 pictures are missing or broken"), (range(24), "24 of 24|no frame decodes")],
)
def test_frames_one_at_a_time_of_a_broken_file_end_in_the_same_error(broken, words, tmp_path):
    path = clips.write(tmp_path / "a.mp4", clips.pictures(24), options=FINE | {"g": "1"})
    break_packets(path, broken)
    for read in (one_by_one, read_frames):
        with pytest.raises(VideoError, match=words):
            read(path)


def test_a_second_turn_gives_the_same_frames(tmp_path):
    each = EachFrame(clips.write_lossless(tmp_path / "a.mkv", clips.pictures(4)), place=whole)
    assert [n for n, _ in each] == [n for n, _ in each] == [0, 1, 2, 3]
