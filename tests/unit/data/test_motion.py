"""Coded frames of clips: the literal definition, integer for integer, whatever the codec, the form or the damage."""

import itertools
import random
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from retake.data import motion as module
from retake.data.motion import SIGNALS, read_coded
from retake.data.video import LIMITS, Limits, VideoError, read_frames
from tests.unit.data import clips, literal_motion
from tests.unit.data.streams_of import moving

TRACED = ("motion", "residual", "motion_step", "residual_step")
FINE = {"b": "9000000", "sc_threshold": "1000000000"}  # no I-frame of its own at a cut
X264 = "keyint=12:min-keyint=12:scenecut=0:weightp=0:weightb=0:b-pyramid=0:b-adapt=0:"
ONE_REFERENCE = {"crf": "8", "x264-params": X264 + "ref=1:bframes=0"}
BOTH_SIDES = {"crf": "8", "x264-params": X264 + "ref=1:bframes=2:open-gop=0"}
MPEG2_B = FINE | {"g": "12", "bf": "2", "flags": "+cgop", "b_strategy": "0"}


def ground(num_frames, shift, height=64, width=80, seed=0):
    """A soft texture that moves by `shift` = (x, y) pixels a frame."""
    rng, far = np.random.default_rng(seed), num_frames * max(map(abs, shift))
    coarse = rng.integers(30, 226, ((height + 2 * far) // 6 + 2, (width + 2 * far) // 6 + 2, 3))
    texture = np.kron(coarse, np.ones((6, 6, 1))).astype(np.uint8)
    corners = [(far - n * shift[1], far - n * shift[0]) for n in range(num_frames)]
    return np.stack([texture[y : y + height, x : x + width] for y, x in corners])


def cut(num_frames=20):
    """A clip with a hard cut in a group of pictures: blocks without a vector."""
    return np.concatenate([moving(num_frames // 2), 255 - clips.pictures(num_frames - num_frames // 2)])


def raw(frames, codec="mpeg4", **options):
    return b"".join(clips.packets_of(frames, codec, 25, FINE | {"g": "12"} | options))


def agree(coded, expected):
    """All signals of a frame are the literal ones."""
    for name in TRACED:
        mine, theirs = getattr(coded, name), getattr(expected, name)
        assert (mine is None) == (theirs is None), (coded.number, name, coded.marked)
        assert mine is None or np.array_equal(mine, theirs), (coded.number, name)


FORMS = {  # name of the file -> frames, codec, options
    "gop12.avi": (moving(30), "mpeg4", {"g": "12"}),
    "gop2.mkv": (moving(9), "mpeg4", {"g": "2"}),
    "gop600.mp4": (moving(40), "mpeg4", {"g": "600"}),
    "gop1.avi": (moving(4), "mpeg4", {"g": "1"}),
    "odd.avi": (moving(14, height=47, width=61), "mpeg4", {"g": "5"}),
    "flat.avi": (moving(14, height=18, width=150), "mpeg4", {}),
    "tiny.avi": (moving(6, height=6, width=10), "mpeg4", {}),
    "four.avi": (clips.pictures(14), "mpeg4", {"flags": "+mv4"}),
    "quarter.avi": (clips.pictures(14), "mpeg4", {"flags": "+qpel"}),
    "cut.avi": (cut(), "mpeg4", {"g": "12"}),
    "coarse.avi": (clips.pictures(14), "mpeg4", {"b": "20000", "qmin": "20"}),
    "a.m4v": (moving(14), "mpeg4", {"g": "12"}),
    "h264.mp4": (moving(26), "libx264", ONE_REFERENCE),
    "h264.mkv": (cut(), "libx264", ONE_REFERENCE),
    "h264.h264": (clips.pictures(14, 46, 62), "libx264", ONE_REFERENCE),
    "h263.avi": (clips.pictures(14, 144, 176), "h263", {"g": "6"}),
    "sorenson.flv": (moving(14), "flv", {"g": "6"}),
    "msmpeg4v2.avi": (moving(14), "msmpeg4v2", {"g": "6"}),
    "msmpeg4.avi": (moving(14), "msmpeg4", {"g": "6"}),
    "wmv1.wmv": (moving(14), "wmv1", {"g": "6"}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_frame_of_a_clip_without_b_frames_has_the_literal_signals(form, tmp_path):
    frames, codec, options = FORMS[form]
    path = clips.write(tmp_path / form, frames, codec=codec, options=FINE | options)
    coded = list(read_coded(path, SIGNALS))
    assert len(coded) == len(frames), "the last one too"
    shown = list(literal_motion.shown(path))
    for mine, decoded, expected in zip(coded, shown, literal_motion.followed(shown), strict=True):
        assert (mine.kind, mine.marked) == (decoded.kind, None)
        assert np.array_equal(mine.rgb, decoded.rgb)
        agree(mine, expected)
    assert any(one.motion is not None and one.motion.any() for one in coded) or form in {
        "gop1.avi",
        "tiny.avi",
    }


def test_groups_and_positions_are_counted_in_order_of_showing(tmp_path):
    path = clips.write(tmp_path / "a.avi", moving(20), codec="mpeg4", options=FINE | {"g": "7"}, rate=8)
    coded = list(read_coded(path, ["motion"]))
    assert [one.number for one in coded] == list(range(20))
    assert [one.gop for one in coded] == [n // 7 for n in range(20)]
    assert [one.position for one in coded] == [n % 7 for n in range(20)]
    assert [one.kind for one in coded] == [("P", "I")[n % 7 == 0] for n in range(20)]
    assert [one.time_s for one in coded] == pytest.approx([n / 8 for n in range(20)])
    assert coded[1].motion.dtype == np.int16
    assert coded[1].rgb is coded[1].residual is coded[1].motion_step is coded[1].residual_step is None


@pytest.mark.parametrize("codec", ["mpeg4", "packed"])
def test_p_frames_between_b_frames_of_mpeg_4_are_traced_and_b_frames_marked(codec, tmp_path):
    if codec == "packed":
        path = clips.write_packed(tmp_path / "a.avi", moving(20))
    else:
        path = clips.write(
            tmp_path / "a.avi", moving(29), codec="mpeg4", options=FINE | {"g": "12", "bf": "2"}
        )
    coded, shown = list(read_coded(path, TRACED)), list(literal_motion.shown(path))
    kinds = [one.kind for one in coded]
    assert kinds.count("B") > 8
    for mine, expected in zip(coded[:-1], literal_motion.followed(shown), strict=False):
        agree(mine, expected)
        assert (mine.marked is None) == (mine.kind != "B")
    assert {one.marked for one in coded if one.kind == "B"} == {
        "the decoder does not export the vectors of mpeg4 B-frames"
    }
    if kinds[-1] == "P":
        assert coded[-1].marked == module.HELD_BACK


def test_vectors_that_a_decoder_holds_back_with_its_last_frame_are_not_taken_for_none(tmp_path):
    path = clips.write(tmp_path / "a.mpg", ground(9, (2, 1)), codec="mpeg2video", options=FINE, rate=25)
    *others, last = read_coded(path, TRACED)
    assert all(one.marked is None for one in others)
    assert last.motion is last.residual is last.motion_step is last.residual_step is None
    assert last.marked == "the decoder does not export the vectors of the frame that it holds back to the end"


@pytest.mark.parametrize(
    ("name", "codec", "options", "known"),
    [("a.mpg", "mpeg2video", MPEG2_B, 21), ("a.mp4", "libx264", BOTH_SIDES, 23)],
)
def test_b_frames_are_followed_to_both_anchors(name, codec, options, known, tmp_path):
    """By the anchors that the order of showing tells: the I- or P-frame before, and the one after."""
    frames = ground(24, (2, 1), 48, 64)
    frames[:, 16:32, 20:40] = 255 - frames[:, 16:32, 20:40]  # stands still
    path = clips.write(tmp_path / name, frames, codec=codec, options=options, rate=25)
    coded, shown = list(read_coded(path, TRACED)), list(literal_motion.shown(path))
    kinds = [one.kind for one in shown]
    anchors = [n for n, kind in enumerate(kinds) if kind != "B"]
    tables, backward = {}, 0
    for n in sorted(range(len(shown)), key=lambda n: (kinds[n] == "B", n)):  # anchors first
        here = literal_motion.places(48, 64)
        if kinds[n] == "I":
            tables[n] = here
            continue
        before = max(a for a in anchors if a < n)
        after = min((a for a in anchors if a > n), default=before) if kinds[n] == "B" else before
        place, of = literal_motion.chosen(48, 64, shown[n].vectors)
        x, y, of = place[..., 0], place[..., 1], of[..., None]
        tables[n] = np.where(of == 0, tables[before][y, x], tables[after][y, x])
        if coded[n].marked is not None:
            known_reason = "after" in coded[n].marked or n >= known
            assert known_reason, (n, coded[n].marked)
            continue
        backward += bool(of.any())
        start = shown[max(a for a in anchors if a <= n and kinds[a] == "I")].rgb.astype(int)
        near = np.where(of == 0, shown[before].rgb[y, x], shown[after].rgb[y, x]).astype(int)
        agree(
            coded[n],
            literal_motion.Expected(
                here - tables[n],
                shown[n].rgb - start[tables[n][..., 1], tables[n][..., 0]],
                here - place,
                shown[n].rgb - near,
            ),
        )
    assert backward > 2, "some point forward in time"
    assert sum(one.marked is None for one in coded) > 16


MOVING = {
    "mpeg4": ("a.avi", "mpeg4", {"g": "12"}),
    "mpeg4, groups of 5": ("a.mp4", "mpeg4", {"g": "5"}),
    "mpeg4, B-frames": ("a.avi", "mpeg4", {"g": "12", "bf": "1"}),
    "h264": ("a.mp4", "libx264", ONE_REFERENCE),
    "h264, B-frames": ("a.mp4", "libx264", BOTH_SIDES),
    "mpeg2, B-frames": ("a.mpg", "mpeg2video", MPEG2_B),
}


@pytest.mark.parametrize("shift", [(3, 2), (-2, 1)])
@pytest.mark.parametrize("form", MOVING)
def test_a_clip_that_moves_evenly_has_k_times_its_shift_at_step_k(form, shift, tmp_path):
    name, codec, options = MOVING[form]
    frames = ground(13, shift, 128, 160)
    path = clips.write(tmp_path / name, frames, codec=codec, options=FINE | options, rate=25)
    coded = [one for one in read_coded(path, SIGNALS) if one.kind != "I" and one.marked is None]
    assert len(coded) >= 4
    for one in coded:
        inner = one.motion[48:-48, 48:-48]  # comes from within, by blocks that lie within
        share = (inner == np.multiply(shift, one.position)).all(axis=-1).mean()
        assert share > 0.95, (one.number, one.kind, share)
        step = (one.motion_step[48:-48, 48:-48] == np.array(shift)).all(axis=-1).mean()
        assert step > 0.95 or "B" in form, (one.number, step)


@pytest.mark.parametrize("name", ["a.avi", "a.mp4"])
def test_the_traced_i_frame_and_the_residual_give_the_frame_back(name, tmp_path):
    codec, options = ("mpeg4", {"g": "8"}) if name == "a.avi" else ("libx264", BOTH_SIDES)
    path = clips.write(tmp_path / name, ground(20, (2, 1)), codec=codec, options=FINE | options)
    start, y_x, traced, still = None, np.mgrid[:64, :80], [], []
    for one in read_coded(path, SIGNALS):
        if one.kind == "I":
            start = one.rgb.astype(int)
        elif one.marked is None:
            x, y = y_x[1] - one.motion[..., 0], y_x[0] - one.motion[..., 1]
            assert np.array_equal(start[y, x] + one.residual, one.rgb)
            traced.append(np.abs(one.residual).mean())
            still.append(np.abs(one.rgb - start).mean())
    assert len(traced) > 12
    assert np.mean(traced) < 0.7 * np.mean(still)


@pytest.mark.parametrize(("degrees", "turns"), [(90, -1), (180, 2), (270, 1), (None, 0)])
def test_a_turned_video_comes_out_upright_with_its_vectors_turned(degrees, turns, tmp_path):
    frames = ground(8, (3, 1), 48, 80)
    plain = clips.write(tmp_path / "plain.mp4", frames, codec="mpeg4", options=FINE)
    turned = tmp_path / "turned.mp4"
    turned.write_bytes(plain.read_bytes())
    clips.turn(turned, degrees)
    vector = {
        0: lambda x, y: (x, y),
        -1: lambda x, y: (-y, x),
        2: lambda x, y: (-x, -y),
        1: lambda x, y: (y, -x),
    }
    for one, upright in zip(read_coded(plain, SIGNALS), read_coded(turned, SIGNALS), strict=True):
        assert np.array_equal(upright.rgb, np.rot90(one.rgb, turns))
        if one.kind == "I":
            continue
        for name in ("residual", "residual_step"):
            assert np.array_equal(getattr(upright, name), np.rot90(getattr(one, name), turns))
        for name in ("motion", "motion_step"):
            x, y = np.moveaxis(np.rot90(getattr(one, name), turns), -1, 0)
            expected = np.stack(vector[turns](x, y), axis=-1)
            assert np.array_equal(getattr(upright, name), expected)
            assert getattr(upright, name).flags.c_contiguous


def test_a_stream_in_memory_and_the_same_in_a_file_without_stamps_are_the_same(tmp_path):
    data = raw(moving(27))
    (tmp_path / "a.mp4").write_bytes(data)  # raw, whatever its name
    sources = (tmp_path / "a.mp4", data, bytearray(data), memoryview(data), np.frombuffer(data, np.uint8))
    first, *others = ([*read_coded(source, SIGNALS)] for source in sources)
    assert [one.time_s for one in first] == pytest.approx([n / 25 for n in range(27)])
    for other in others:
        for one, two in zip(first, other, strict=True):
            assert one[:4] == two[:4]
            assert two.time_s == pytest.approx(one.time_s)
            assert np.array_equal(one.rgb, two.rgb)
            agree(two, one)


def test_times_are_those_of_the_frame_reader_at_a_variable_rate(tmp_path):
    stamps = [500, 540, 600, 900, 910, 1400, 1500, 1520]
    path = clips.write(tmp_path / "a.mp4", moving(8), options=BOTH_SIDES, stamps_ms=stamps)
    expected = [(stamp - 500) / 1000 for stamp in stamps]
    assert [one.time_s for one in read_coded(path, ["rgb"])] == pytest.approx(expected, abs=1e-3)
    assert read_frames(path).times_s == pytest.approx(expected, abs=1e-3)


def test_frames_that_an_edit_list_cuts_away_leave_the_rest_of_their_group_marked(tmp_path):
    path = clips.write(tmp_path / "a.mp4", moving(30), codec="mpeg4", stamps_ms=range(-500, 2500, 100),
                       options=FINE | {"g": "12"}, container_options={"avoid_negative_ts": "disabled"})  # fmt: skip
    coded = list(read_coded(path, TRACED))
    assert len(coded) == len(read_frames(path).rgb) == 25
    first = next(n for n, one in enumerate(coded) if one.kind == "I")
    assert first > 0
    assert {one.marked for one in coded[:first]} == {"it follows frames that the file does not show"}
    assert (coded[0].gop, coded[first].gop) == (-1, 0)
    assert [one.marked for one in coded[first:]] == [None] * (25 - first)


def test_a_video_of_one_frame_has_its_picture_and_nothing_else(tmp_path):
    path = clips.write(tmp_path / "a.avi", moving(1), codec="mpeg4", options=FINE)
    (one,) = read_coded(path, SIGNALS)
    assert (one.kind, one.gop, one.position, one.time_s, one.marked) == ("I", 0, 0, 0.0, None)
    assert one.rgb.shape == (48, 64, 3)
    assert one.motion is one.residual is one.motion_step is one.residual_step is None


def test_metadata_that_are_no_utf_8_do_not_matter(tmp_path):
    frames = moving(6)
    path = clips.write(tmp_path / "a.avi", frames, codec="mpeg4", options=FINE, metadata={"title": "T" * 9})
    before = list(read_coded(path, TRACED))
    path.write_bytes(path.read_bytes().replace(b"T" * 9, b"caf\xe9 \xff\xfe!!"))
    for one, two in zip(before, read_coded(path, TRACED), strict=True):
        agree(two, one)


def test_a_container_cut_off_in_its_pictures_is_an_error(tmp_path):
    path = clips.write(tmp_path / "a.mp4", moving(40), codec="mpeg4", options=FINE | {"g": "12"},
                       container_options={"movflags": "faststart"})  # fmt: skip
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(VideoError, match=r"damaged or truncated: \d+ of 40 pictures are missing or broken"):
        list(read_coded(path, TRACED))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_a_raw_stream_cut_off_works_up_to_its_end_or_is_an_error(share, tmp_path):
    data, whole = raw(moving(40)), list(read_coded(raw(moving(40)), TRACED))
    coded = list(read_coded(data[: int(len(data) * share)], TRACED, limits=Limits(damaged=1.0)))
    assert 0 < len(coded) < 40
    for one, expected in zip(coded[:-1], whole, strict=False):
        agree(one, expected)
    with pytest.raises(VideoError, match="no frame decodes"):
        list(read_coded(data[:60], TRACED))


def test_another_size_in_mid_stream_is_an_error(tmp_path):
    path = tmp_path / "a.m4v"
    path.write_bytes(raw(moving(14)) + raw(moving(14, height=64, width=96)))
    got, frames = [], read_coded(path, TRACED)
    with pytest.raises(VideoError, match=r"a.m4v: frame 14 is 96x64, those before 64x48"):
        got.extend(frames)
    assert len(got) == 14


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [("a.webm", "libvpx-vp9", "yuv420p"), ("a.mkv", "ffv1", "bgr0"), ("a.mp4", "libx265", "yuv420p")],
)
def test_a_codec_that_exports_no_vectors_is_an_error_that_names_it(name, codec, pixels, tmp_path):
    path = clips.write(tmp_path / name, moving(4), codec=codec, pixels=pixels)
    spoken = codec.removeprefix("lib").removeprefix("vpx-").replace("x265", "hevc")
    for signal in TRACED:
        with pytest.raises(VideoError, match=f"{name}: motion vectors: codec {spoken} exports none"):
            next(read_coded(path, [signal]))
    assert len(list(read_coded(path, ["rgb"]))) == 4


@pytest.mark.parametrize("data", [b"", b"\x00" * 50, b"no stream at all"])
def test_bytes_that_are_no_stream_are_an_error(data):
    with pytest.raises(VideoError, match=f"no mpeg4 stream: no start code in {len(data)} bytes"):
        list(read_coded(data, ["motion"]))


def test_a_file_of_nothing_is_an_error(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"")
    with pytest.raises(VideoError, match="empty file"):
        list(read_coded(tmp_path / "a.mp4", ["motion"]))


def test_a_choice_among_several_pictures_is_marked_in_h264(tmp_path):
    several = {"crf": "8", "x264-params": X264 + "ref=4:bframes=0"}
    path = clips.write(tmp_path / "a.mp4", moving(20), options=several)
    coded = list(read_coded(path, TRACED))
    assert [one.marked for one in coded[:2]] == [None, None], "one picture to choose from"
    reasons = {one.marked for one in coded[2:12]}
    assert reasons == {"blocks refer to one of several pictures, the decoder does not say to which"}
    assert all(
        one.motion is one.residual is one.motion_step is one.residual_step is None for one in coded[2:12]
    )
    assert coded[12].kind == "I"
    assert [one.marked for one in coded[12:14]] == [None, None]


def test_b_frames_of_an_open_group_that_point_into_the_next_are_marked(tmp_path):
    options = FINE | {"g": "12", "bf": "2", "b_strategy": "0"}
    path = clips.write(tmp_path / "a.mpg", ground(30, (2, 1)), codec="mpeg2video", options=options, rate=25)
    coded = list(read_coded(path, TRACED))
    marked = {one.number: one.marked for one in coded[:-3] if one.marked}
    assert marked
    assert set(marked.values()) == {"it points into the group of pictures after"}
    starts = [one.number for one in coded if one.kind == "I"]
    for number in marked:
        assert any(0 < start - number <= 2 for start in starts)
        assert coded[number].motion_step is not None


def test_interlaced_pictures_are_marked(tmp_path):
    options = FINE | {"g": "12", "flags": "+ilme+ildct"}
    path = clips.write(tmp_path / "a.mpg", moving(8), codec="mpeg2video", options=options, rate=25)
    assert {one.marked for one in read_coded(path, TRACED) if one.kind != "I"} == {"it is interlaced"}
    path = clips.write(tmp_path / "a.mp4", moving(8), options={"x264-params": X264 + "ref=1:interlaced=1"})
    assert {one.marked for one in read_coded(path, TRACED) if one.kind != "I"} == {"it is interlaced"}


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        ({}, None),
        ({"is_corrupt": True}, "it decodes with errors"),
        ({"interlaced_frame": True}, "it is interlaced"),
        ({"pict_type": PictureType.S}, "the whole picture moves by a vector that is not exported"),
    ],
)
def test_what_a_frame_says_of_itself_marks_it(about, reason):
    frame = SimpleNamespace(
        **{"is_corrupt": False, "interlaced_frame": False, "pict_type": PictureType.P} | about
    )
    assert module._mark(frame, None) == reason
    assert module._mark(frame, "broken before") == (reason or "broken before")


def without_packets(path, numbers):
    """Overwrites coded pictures with bytes that no decoder takes."""
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for begin, size in (places[number] for number in numbers):
        data[begin : begin + size] = b"\xff" * size
    path.write_bytes(data)


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mpeg4"), ("a.mp4", "libx264")])
def test_what_follows_a_broken_picture_is_marked_up_to_the_next_i_frame(name, codec, tmp_path):
    options = FINE | {"g": "12"} if codec == "mpeg4" else ONE_REFERENCE
    path = clips.write(tmp_path / name, moving(36), codec=codec, options=options)
    whole = list(read_coded(path, TRACED))
    without_packets(path, [5])
    coded = list(read_coded(path, TRACED))
    assert 35 <= len(coded) <= 36
    for one, expected in zip(coded[:5], whole, strict=False):
        assert one.marked is None
        agree(one, expected)
    start = next(n for n, one in enumerate(coded) if n and one.kind == "I")
    assert all(one.marked for one in coded[5:start])
    assert all(one.motion is one.residual is None for one in coded[5:start])
    for one, expected in zip(coded[start:], whole[12:], strict=True):
        assert one.marked is None
        agree(one, expected)


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.m4v"])
def test_flipped_bits_end_in_frames_or_a_video_error_and_always_the_same(name, tmp_path):
    codec = "libx264" if name == "a.mp4" else "mpeg4"
    sound = clips.write(tmp_path / name, moving(16), codec=codec, options=FINE | {"g": "6"}).read_bytes()

    def outcome(path):
        found = []
        try:
            for one in read_coded(path, TRACED):
                sums = [a is not None and a.sum() for a in one[6:10]]
                found.append((*one[:4], one.marked, *sums))
        except VideoError as error:
            found.append(error.reason)
        return found

    generator = random.Random(0)
    for _ in range(25):
        data = bytearray(sound)
        for _ in range(generator.choice([1, 5, 40])):
            data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        path = tmp_path / f"broken_{name}"
        path.write_bytes(data)
        assert outcome(path) == outcome(path)


def test_frames_that_are_kept_do_not_change_while_others_come(tmp_path):
    path = clips.write(tmp_path / "a.avi", moving(30), codec="mpeg4", options=FINE | {"g": "12"})
    copies, kept = [], []
    for one in read_coded(path, SIGNALS):
        copies.append([None if a is None else a.copy() for a in one[5:10]])
        if one.number % 3:
            kept.append(one)
    for one in kept:
        for mine, copy in zip(one[5:10], copies[one.number], strict=True):
            assert (mine is None) == (copy is None)
            assert mine is None or (np.array_equal(mine, copy) and not mine.flags.writeable)


@pytest.mark.parametrize("name", ["a.avi", "a.mp4"])
def test_frames_that_are_not_asked_for_are_traced_through_and_nothing_is_read_behind_the_last(name, tmp_path):
    codec, options = ("mpeg4", {"g": "12"}) if name == "a.avi" else ("libx264", BOTH_SIDES)
    path = clips.write(tmp_path / name, moving(30), codec=codec, options=FINE | options)
    whole = list(read_coded(path, SIGNALS))
    some = list(read_coded(path, SIGNALS, only={3, 12, 17}))
    assert [one.number for one in some] == [3, 12, 17]
    for one in some:
        assert one.time_s == pytest.approx(whole[one.number].time_s)
        agree(one, whole[one.number])
    assert list(read_coded(path, SIGNALS, only=())) == []
    fed = []
    monitored = read_coded(path, SIGNALS, only={0})
    with pytest.MonkeyPatch.context() as patch:
        decode = module.Source.decode
        patch.setattr(module.Source, "decode", lambda self, packet: fed.append(1) or decode(self, packet))
        assert [one.number for one in monitored] == [0]
    assert len(fed) < 12


@pytest.mark.parametrize("signal", sorted(SIGNALS))
def test_a_signal_is_the_same_alone_as_among_all(signal, tmp_path):
    path = clips.write(tmp_path / "a.mp4", ground(14, (2, 1)), options=BOTH_SIDES)
    name = "rgb" if signal == "iframe" else signal
    for one, among in zip(read_coded(path, [signal]), read_coded(path, SIGNALS), strict=True):
        mine, theirs = getattr(one, name), getattr(among, name)
        if signal == "iframe" and one.kind != "I":
            assert mine is None
            continue
        assert (mine is None) == (theirs is None)
        assert mine is None or np.array_equal(mine, theirs)
        assert sum(array is not None for array in one[5:10]) <= 1


@pytest.mark.parametrize("signals", [[], ["flow"], ["motion", "depth"]])
def test_signals_that_there_are_not_are_an_error_of_the_call(signals):
    with pytest.raises(ValueError, match=r"expected some of .*'iframe', 'motion'"):
        read_coded(b"", signals)


def test_readers_of_several_videos_at_once_do_not_take_each_other_s_pictures(tmp_path):
    paths = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for path, shift in zip(paths, [(2, 1), (-1, 2)], strict=True):
        clips.write(path, ground(20, shift), options=BOTH_SIDES)
    alone = [list(read_coded(path, TRACED)) for path in paths]
    assert not any(one.marked for frames in alone for one in frames)
    begun = read_coded(paths[0], TRACED)
    together = [[next(begun) for _ in range(5)], list(read_coded(paths[1], TRACED))]
    together[0] += begun
    for mine, expected in zip(together, alone, strict=True):
        for one, two in zip(mine, expected, strict=True):
            assert one.marked is None, one.number
            agree(one, two)


def test_decoding_that_takes_too_long_is_given_up(tmp_path, monkeypatch):
    path = clips.write(tmp_path / "a.avi", moving(8), codec="mpeg4", options=FINE)
    clock = itertools.count(step=1000)
    monkeypatch.setattr("retake.data.decoding.time", SimpleNamespace(monotonic=lambda: next(clock)))
    with pytest.raises(VideoError, match=f"not decoded within {LIMITS.seconds:g} s"):
        list(read_coded(path, ["motion"]))
