"""Readers of coded videos: stored and decoded on the fly give the same, and say what there is."""

import pickle

import numpy as np
import pytest

from retake.data import coded as module
from retake.data.coded import Coded, as_input, coded
from retake.data.motion import colours, read_coded
from retake.data.streams import Streams
from retake.data.video import VideoError
from tests.unit.data.streams_of import SIGNALS, extract, joined, release, transcode, write_clips

LENGTHS = {"a": 14, "b": 40, "c": 12, "d": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A stream view and the motion view of it, each joined from one shard."""
    folder = tmp_path_factory.mktemp("views")
    manifest = release(folder, write_clips(folder, LENGTHS, rate=10))
    streams = transcode(manifest, folder / "encoded")
    extract(manifest, folder / "moves", streams)
    joined(folder / "encoded", "packets.npy")
    joined(folder / "moves", "packed.npy")
    return folder


@pytest.fixture
def readers(folder):
    return {
        "stream": coded("stream", folder / "encoded/index.parquet"),
        "motion": coded("motion", folder / "moves/index.parquet"),
    }


@pytest.fixture(params=["stream", "motion"])
def reader(request, readers) -> Coded:
    return readers[request.param]


def literal(signal, values):
    """What the published loader does to a signal, number by number (METHODS 5.1)."""
    out = np.empty(values.shape, np.uint8)
    for place, value in np.ndenumerate(values):
        number = int(int(value) * 127.5 / 20) if signal.startswith("motion") else int(value)
        out[place] = min(max(number + 128, 0), 255)
    return out


@pytest.mark.parametrize("signal", ["motion", "motion_step", "residual", "residual_step"])
def test_every_int16_is_shown_as_the_published_loader_shows_it(signal):
    values = np.arange(-(2**15), 2**15).astype(np.int16).reshape(256, 128, 2)
    assert np.array_equal(as_input(signal, values), literal(signal, values))


def test_signals_are_shown_by_hand():
    values = np.array([-21, -20, -3, -1, 0, 1, 3, 20, 21], np.int16).reshape(1, -1, 1)
    assert as_input("motion", values).ravel().tolist() == [0, 1, 109, 122, 128, 134, 147, 255, 255]
    assert as_input("residual", values * 10).ravel().tolist() == [0, 0, 98, 118, 128, 138, 158, 255, 255]
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert as_input("iframe", picture) is picture


@pytest.mark.parametrize("signal", SIGNALS)
def test_stored_and_decoded_frames_are_the_same_and_are_what_the_stream_says(signal, folder, readers):
    streams, rng = Streams(folder / "encoded/index.parquet"), np.random.default_rng(0)
    for video_id in LENGTHS:
        frames = list(read_coded(streams.stream(video_id).data, SIGNALS))
        numbers = rng.permutation(readers["stream"].numbers(video_id, signal))
        numbers = np.append(numbers, numbers[:1])  # in any order, and one twice
        raw = [frames[n].rgb if signal == "iframe" else getattr(frames[n], signal) for n in numbers]
        expected = np.stack([a if signal == "iframe" else literal(signal, a) for a in raw])
        for kind, reader in readers.items():
            got = reader.frames(video_id, numbers, signal)
            assert (got.dtype, got.shape) == (np.uint8, (len(numbers), 48, 64, 2 + (signal[0] != "m")))
            assert np.array_equal(got, expected), (kind, video_id)


def test_every_frame_of_a_stream_has_its_picture(folder, readers):
    streams, rng = Streams(folder / "encoded/index.parquet"), np.random.default_rng(0)
    for video_id, length in LENGTHS.items():
        frames = [one.rgb for one in read_coded(streams.stream(video_id).data, ["rgb"])]
        numbers = rng.permutation(length)
        assert readers["stream"].numbers(video_id, "rgb").tolist() == list(range(length))
        assert np.array_equal(readers["stream"].frames(video_id, numbers, "rgb"), np.stack(frames)[numbers])
        keys = readers["stream"].numbers(video_id, "iframe")
        assert np.array_equal(readers["stream"].frames(video_id, keys, "iframe"), np.stack(frames)[keys])


def test_what_each_frame_is_and_where_it_lies(reader):
    assert list(reader) == list(LENGTHS)
    assert (len(reader), "b" in reader, "z" in reader) == (4, True, False)
    for video_id, length in LENGTHS.items():
        assert reader.num_frames(video_id) == length
        assert reader.kinds(video_id).tolist() == [("P", "I")[n % 12 == 0] for n in range(length)]
        assert reader.gops(video_id).tolist() == [n // 12 for n in range(length)]
        assert reader.positions(video_id).tolist() == [n % 12 for n in range(length)]
        assert not reader.marked(video_id).any()


def test_rows_are_the_numbers_of_the_frames_that_are_shown(reader):
    assert reader.rows("b").tolist() == list(range(40))
    assert reader.rows("b", 1.0, 1.5).tolist() == [10, 11, 12, 13, 14]
    assert reader.rows("b", 1.02, 1.03).tolist() == [10], "at least the one that is up"
    assert reader.times_s("b", 1.0, 1.5) == pytest.approx([1.0, 1.1, 1.2, 1.3, 1.4])
    assert reader.numbers("b", "motion", 1.0, 1.5).tolist() == [10, 11, 13, 14]
    assert reader.numbers("b", "iframe", 1.0, 1.5).tolist() == [12]
    assert reader.numbers("b", "iframe", 1.0, 1.1).tolist() == []


def test_a_number_without_the_signal_has_another_to_stand_for_it(reader):
    asked = [0, 1, 11, 12, 13, 39]
    assert reader.standing_for("b", asked, "motion").tolist() == [1, 1, 11, 11, 13, 39]
    assert reader.standing_for("b", asked, "iframe").tolist() == [0, 0, 0, 12, 12, 36]


@pytest.mark.parametrize(
    ("video_id", "numbers", "signal", "words"),
    [
        ("b", [1, 12], "motion", "video 'b': frame 12 of 40 has no motion"),
        ("b", [0, 1], "iframe", "video 'b': frame 1 of 40 has no iframe"),
        ("b", [40], "residual", "video 'b': frame 40 of 40 has no residual"),
        ("b", [-1], "residual", "video 'b': frame -1 of 40 has no residual"),
        ("b", [], "motion", "video 'b': no number was given"),
    ],
)
def test_a_number_that_has_no_such_signal_is_named_and_never_shown_as_nothing(
    video_id, numbers, signal, words, reader
):
    with pytest.raises(ValueError, match=r"index.parquet: " + words):
        reader.frames(video_id, numbers, signal)


def test_an_unknown_video_and_an_unknown_kind_are_named(reader, tmp_path):
    with pytest.raises(KeyError, match="no video 'z'"):
        reader.frames("z", [1], "motion")
    with pytest.raises(
        ValueError, match="no coded view of kind 'frames'; expected one of stream, motion, flow"
    ):
        coded("frames", tmp_path)


def test_a_video_without_the_signal_has_nothing_to_stand_for_it(tmp_path):
    manifest = release(tmp_path, write_clips(tmp_path, {"one": 1}))
    transcode(manifest, tmp_path / "encoded")
    reader = coded("stream", joined(tmp_path / "encoded", "packets.npy"))
    assert reader.standing_for("one", [0], "iframe").tolist() == [0]
    assert reader.numbers("one", "motion").tolist() == []
    with pytest.raises(ValueError, match="video 'one': no frame has motion"):
        reader.standing_for("one", [0], "motion")


class Counted:
    """read_coded, and what it was asked for."""

    def __init__(self):
        self.asked = []

    def __call__(self, source, signals, *, only=None):
        self.asked.append((len(source), sorted(only)))
        return read_coded(source, signals, only=only)


def test_a_group_is_decoded_once_for_all_numbers_and_whole_for_whoever_comes_back(readers, monkeypatch):
    counted, reader = Counted(), readers["stream"]
    monkeypatch.setattr(module, "SMALL", 0)
    monkeypatch.setattr(module, "read_coded", counted)
    reader.frames("b", [14, 3, 22, 13], "motion")
    assert [only for _, only in counted.asked] == [[3], [1, 2, 10]]
    reader.frames("b", [3], "motion")
    reader.frames("b", [22, 14], "motion")
    assert len(counted.asked) == 2, "kept"
    reader.frames("b", [15], "motion")
    assert counted.asked[2][1] == list(range(12))
    for n in range(13, 24):
        reader.frames("b", [n], "motion")
    assert len(counted.asked) == 3
    reader.frames("b", [15], "residual")
    assert counted.asked[3][1] == [3]


def test_for_who_goes_through_a_video_a_group_is_decoded_whole_at_once(readers, monkeypatch):
    """The same frames, one decoding a group."""
    own, decoded = module._decoded, []
    monkeypatch.setattr(module, "_decoded", lambda *given: decoded.append(given[2]) or own(*given))
    monkeypatch.setattr(module, "SMALL", 0)
    plain, video = readers["stream"], "b"
    found = []
    for whole in (False, True):
        reader, decoded[:] = module.Decoded(Streams(plain.index)), []
        reader.whole = whole
        found.append([reader.frames(video, [number], "rgb") for number in range(3)])
        assert len(decoded) == (1 if whole else 2), "the second frame comes back to the group of the first"
    assert all(np.array_equal(one, other) for one, other in zip(*found, strict=True))


def test_a_group_of_few_bytes_is_decoded_whole_at_once(readers, monkeypatch):
    own, decoded, reader = module._decoded, [], readers["stream"]
    monkeypatch.setattr(module, "_decoded", lambda *given: decoded.append(len(given[2])) or own(*given))
    begin, after = reader._stream("b").offsets[[12, 24]]
    for least, times in ((after - begin, [12]), (after - begin - 1, [1, 12])):
        monkeypatch.setattr(module, "SMALL", least)
        fresh, decoded[:] = module.Decoded(Streams(reader.index)), []
        for number in (14, 15, 13):
            fresh.frames("b", [number], "rgb")
        assert decoded == times


def test_a_videos_groups_are_where_its_i_frames_say(folder):
    stream = Streams(folder / "encoded/index.parquet").stream("b")
    assert [stream.group(number) for number in (0, 11, 12, 35, 36, 39)] == [
        (0, 12), (0, 12), (12, 24), (24, 36), (36, 40), (36, 40),
    ]  # fmt: skip


def test_decoded_frames_are_kept_up_to_so_many_bytes_the_last_groups_longest(readers, monkeypatch):
    """Motion of 48 x 64 pixels is 2 int16 each: 12,288 bytes a frame."""
    counted, reader = Counted(), readers["stream"]
    monkeypatch.setattr(module, "SMALL", 0)
    monkeypatch.setattr(module, "read_coded", counted)
    monkeypatch.setattr(module, "KEPT", 3 * 12_288)
    for n in (1, 13, 25, 1, 37):  # the fourth is kept; the fifth puts out the second
        reader.frames("b", [n], "motion")
    assert [only for _, only in counted.asked] == [[1]] * 4
    reader.frames("b", [25], "motion")
    reader.frames("b", [1], "motion")
    assert len(counted.asked) == 4
    reader.frames("b", [13], "motion")
    assert len(counted.asked) == 5
    assert reader._bytes == sum(f.nbytes for group in reader._groups.values() for f in group.values())
    assert reader._bytes <= 3 * 12_288
    reader.frames("b", [1, 2, 3, 4, 5], "motion")
    assert len(reader._groups) == 1, "one group is kept whatever its size"
    assert reader._bytes == 11 * 12_288, "whoever comes back gets the eleven frames that have motion"


def test_frames_that_are_kept_are_those_that_are_decoded_anew(folder, readers):
    seen = [readers["stream"].frames("b", [n], "rgb") for n in (3, 15, 3, 16, 5)]
    for n, frame in zip((3, 15, 3, 16, 5), seen, strict=True):
        alone = coded("stream", folder / "encoded/index.parquet")
        assert np.array_equal(alone.frames("b", [n], "rgb"), frame)


def test_only_the_bytes_of_a_group_are_decoded(folder, readers, monkeypatch):
    counted, stream = Counted(), Streams(folder / "encoded/index.parquet").stream("b")
    monkeypatch.setattr(module, "SMALL", 0)
    monkeypatch.setattr(module, "read_coded", counted)
    readers["stream"].frames("b", [13], "motion")
    assert counted.asked == [(stream.offsets[24] - stream.offsets[12], [1])]


@pytest.mark.parametrize("only", [range(12), [3, 9], [0]])
def test_colours_are_those_of_the_traced_pictures(only, folder):
    stream = Streams(folder / "encoded/index.parquet").stream("b")
    data = stream.bytes_of(12, 24)
    traced = {frame.number: frame.rgb for frame in read_coded(data, ("rgb",), only=only)}
    plain = dict(colours(data, only))
    assert list(plain) == list(traced) == list(only)
    assert all(np.array_equal(plain[n], traced[n]) for n in only)
    for bad, said in (
        (np.zeros(200, np.uint8), "no mpeg4 stream"),
        (np.array([0, 0, 1, *[9] * 99], np.uint8), "no frame"),
    ):
        with pytest.raises(VideoError, match=said):
            list(colours(bad, only))


@pytest.mark.parametrize("signal", ["motion", "rgb"])
def test_a_stream_that_is_damaged_is_named_with_its_video(tmp_path, signal):
    manifest = release(tmp_path, write_clips(tmp_path, {"a": 30}))
    shard = transcode(manifest, tmp_path / "encoded")
    data = np.load(shard / "streams.npy")
    offsets = np.load(shard / "packets.npy")["offset"]
    data[offsets[12] : offsets[24]] = 0
    np.save(shard / "streams.npy", data)
    reader = coded("stream", joined(tmp_path / "encoded", "packets.npy"))
    with pytest.raises(ValueError, match=r"index.parquet: video 'a': frames 12 to 23"):
        reader.frames("a", [15], signal)
    assert reader.frames("a", [25], signal).shape[:3] == (1, 48, 64)


def test_a_reader_travels_to_another_process_and_goes_on_there(reader):
    before = reader.frames("b", [13, 20], "residual")
    sent = pickle.dumps(reader)
    assert len(sent) < 10_000
    assert np.array_equal(pickle.loads(sent).frames("b", [13, 20], "residual"), before)
