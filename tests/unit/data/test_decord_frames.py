"""decord reads plain files, PyAV all others: the same pictures at the same numbers and times either way."""

import itertools
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import av
import decord
import numpy as np
import pyarrow.parquet as pq
import pytest

from retake.data import decord_frames, video
from retake.data.decord_frames import STRIDE, DecordError, rises, stops
from retake.data.frames import extract_frames
from retake.data.video import LIMITS, EachFrame, VideoError, read_frames
from retake.schema.manifest import Manifest, entry_of
from tests.unit.data import clips

FINE = {"crf": "1"}
MOST_LEVELS = 3.0  # of 255, in the mean over a picture: chroma that is repeated against chroma interpolated
PLAIN = {
    "h264 with B pictures": ("a.mp4", {"options": FINE | {"bf": "3", "g": "8"}}),
    "h264 with open groups": ("a.mkv", {"options": FINE | {"bf": "3", "x264-params": "open-gop=1:keyint=9"}}),
    "h264 in avi": ("a.avi", {"options": FINE | {"bf": "0", "g": "7"}}),
    "mpeg4 in avi": ("a.avi", {"codec": "mpeg4", "options": {"b": "9000000", "g": "12"}}),
    "mpeg4 in mp4": ("a.mp4", {"codec": "mpeg4", "options": {"b": "9000000"}}),
    "full range": ("a.mp4", {"options": FINE, "pixels": "yuvj420p"}),
    "10 bits": ("a.mkv", {"options": FINE, "pixels": "yuv420p10le"}),
    "no chroma left out": ("a.mp4", {"options": FINE, "pixels": "yuv444p"}),
    "hevc": ("a.mp4", {"codec": "libx265", "options": FINE | {"x265-params": "log-level=none"}}),
    "vp8": ("a.webm", {"codec": "libvpx", "options": {"crf": "4", "b": "4000000"}}),
    "vp9": ("a.webm", {"codec": "libvpx-vp9", "options": {"crf": "2", "b": "0"}}),
    "starts late": ("a.mkv", {"options": FINE, "stamps_ms": range(8300, 10700, 100)}),
    "variable rate": ("a.mkv", {"options": FINE, "stamps_ms": [50 * n + 20 * (n % 3) for n in range(24)]}),
}


@pytest.fixture
def no_decord(monkeypatch):
    """Fails where decord is opened."""
    monkeypatch.setattr(decord, "VideoReader", lambda *_, **__: pytest.fail("decord was opened"))


def at(*chosen):
    return lambda times_s: np.array(chosen)


def by_pyav(path, choose=video.everything):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decord_frames, "can_read", lambda *_: False)
        got = read_frames(path, choose)
    assert got.probe.decoder == "pyav"
    return got


def apart(a, b):
    """(T, U) mean difference in levels of each of `a` (T, H, W, 3) from each of `b` (U, H, W, 3)."""
    return np.array([[np.abs(x.astype(int) - y).mean() for y in b] for x in a])


@pytest.mark.parametrize("size", [(48, 64), (50, 66), (90, 70)])
@pytest.mark.parametrize("form", PLAIN)
def test_decord_gives_the_pictures_that_pyav_gives(form, size, tmp_path):
    name, given = PLAIN[form]
    path = clips.write(tmp_path / name, clips.pictures(24, *size), **given)
    ours, theirs = read_frames(path), by_pyav(path)
    assert ours.probe.decoder == "decord"
    assert ours.probe == theirs.probe
    assert ours.times_s.tolist() == theirs.times_s.tolist()
    differences = apart(ours.rgb, theirs.rgb)
    assert np.diagonal(differences).max() < MOST_LEVELS
    assert differences.argmin(1).tolist() == list(range(24))
    assert np.sort(differences, axis=1)[:, 1].min() > MOST_LEVELS  # from all other pictures


@pytest.mark.parametrize("form", ["h264 with B pictures", "h264 in avi", "mpeg4 in avi", "vp9"])
@pytest.mark.parametrize("chosen", [(0,), (23,), (7, 8), (3, 3, 20), (6, 13, 14, 22)])
def test_few_frames_of_many_are_those_that_reading_all_gives(form, chosen, tmp_path):
    name, given = PLAIN[form]
    path = clips.write(tmp_path / name, clips.pictures(24), **given)
    got = read_frames(path, at(*chosen))
    assert got.probe.decoder == "decord"
    assert np.array_equal(got.rgb, read_frames(path).rgb[list(chosen)])


def test_frames_of_odd_size_keep_their_last_row_and_column(tmp_path):
    frames = clips.pictures(6, 49, 65)
    for pixels in ("yuv444p", "yuv420p"):
        path = clips.write(tmp_path / f"{pixels}.webm", frames, codec="libvpx-vp9", pixels=pixels,
                           options={"crf": "2", "b": "0"})  # fmt: skip
        got = read_frames(path)
        assert (got.probe.decoder, got.rgb.shape) == ("decord", frames.shape)
        assert np.abs(got.rgb[:, -1].astype(int) - frames[:, -1]).mean() < 2 * MOST_LEVELS
        assert np.abs(got.rgb[:, :, -1].astype(int) - frames[:, :, -1]).mean() < 2 * MOST_LEVELS


def test_more_frames_than_decord_skips_at_once(tmp_path):
    pictures = clips.pictures(25)[np.arange(3 * STRIDE + 20) % 25]
    path = clips.write(tmp_path / "a.mp4", pictures, options=FINE | {"g": "999", "bf": "2"})
    got = read_frames(path, at(4, 3 * STRIDE + 10))
    assert got.probe.decoder == "decord"
    assert apart(got.rgb, clips.pictures(25)).argmin(1).tolist() == [4, (3 * STRIDE + 10) % 25]


def without_length(path):
    clips.write(path, clips.pictures(8), codec="libvpx-vp9", container_format="webm", target=clips.Pipe(path),
                options={"crf": "2", "b": "0"})  # fmt: skip


def cut(path):
    clips.write(path, clips.pictures(40), options={"g": "1"}, container_options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[:-900])  # a picture or two


def written(**given):
    return lambda path: clips.write(path, clips.pictures(20), **given)


ODD = {
    "turned": ("a.mp4", lambda path: clips.turn(written()(path), 90)),
    "an edit list": (
        "a.mp4",
        written(stamps_ms=range(-500, 1500, 100), container_options={"avoid_negative_ts": "disabled"}),
    ),
    "packed B pictures": ("a.avi", lambda path: clips.write_packed(path, clips.pictures(20))),
    "two streams": (
        "a.mkv",
        lambda path: clips.write_two_streams(path, clips.pictures(8), clips.pictures(8), default=1),
    ),
    "gif": ("a.gif", written(codec="gif", pixels="rgb8")),
    "lossless": ("a.mkv", lambda path: clips.write_lossless(path, clips.pictures(8))),
    "raw mpeg4": ("a.mp4", written(codec="mpeg4", container_format="m4v")),
    "raw h264": ("a.h264", written(container_format="h264")),
    "transport stream": ("a.ts", written()),
    "B pictures stamped by the order of decoding": ("a.avi", written(options={"bf": "2"})),
    "cut off": ("a.mp4", cut),
}


@pytest.mark.parametrize("what", ODD)
def test_an_odd_file_never_reaches_decord(what, tmp_path, no_decord):
    name, make = ODD[what]
    make(tmp_path / name)
    got = read_frames(tmp_path / name)
    assert got.probe.decoder == "pyav"
    assert len(got.rgb) == got.probe.num_frames >= 4


@pytest.mark.parametrize("what", ["zero bytes", "a text", "noise"])
def test_what_is_no_video_never_reaches_decord(what, tmp_path, no_decord):
    data = {"zero bytes": b"", "a text": b"a cat\n" * 99, "noise": np.random.default_rng(0).bytes(5000)}
    (tmp_path / "a.mp4").write_bytes(data[what])
    with pytest.raises(VideoError):
        read_frames(tmp_path / "a.mp4")


def test_windows_and_long_files_are_not_read_whole_by_decord(tmp_path, no_decord):
    path = written(options=FINE)(tmp_path / "a.mp4")
    assert read_frames(path, start_s=0.5, end_s=1.0).probe.decoder == "pyav"
    assert read_frames(path, limits=replace(LIMITS, straight=19)).probe.decoder == "pyav"


def test_a_file_whose_frames_would_not_fit_into_memory_is_not_for_decord(tmp_path, monkeypatch, no_decord):
    path = written(options=FINE)(tmp_path / "a.mp4")
    monkeypatch.setattr(decord_frames, "MOST_BYTES", 20 * 48 * 64 * 3 - 1)
    assert read_frames(path).probe.decoder == "pyav"


def test_all_frames_one_at_a_time_are_not_for_decord(tmp_path, no_decord):
    each = EachFrame(written(options=FINE)(tmp_path / "a.mp4"))
    assert len(list(each)) == 20
    assert each.probe.decoder == "pyav"


def test_a_picture_alone_is_not_a_plain_video(tmp_path, no_decord):
    path = clips.write(tmp_path / "a.mp4", clips.pictures(1), options=FINE)
    assert read_frames(path).probe.decoder == "pyav"


def test_a_header_that_promises_more_frames_than_a_file_may_have_is_not_for_decord(tmp_path, no_decord):
    path = clips.write(tmp_path / "a.mkv", clips.pictures(3), stamps_ms=[0, 100, 10**9], options={"bf": "0"})
    limits = replace(LIMITS, packets=10**6)
    assert read_frames(path, limits=limits).probe.num_frames == 3


def failing(monkeypatch, after, error):
    """decord's reader breaks once it has given `after` frames."""
    given, plain = itertools.count(), decord.VideoReader.next
    opened = []

    def next_frame(self):
        opened.append(self)
        if next(given) == after:
            raise error
        return plain(self)

    monkeypatch.setattr(decord.VideoReader, "next", next_frame)
    return opened


@pytest.mark.parametrize("error", [decord.DECORDError("x"), StopIteration(), RuntimeError("x")])
@pytest.mark.parametrize("after", [0, 5, 19])
def test_where_decord_fails_pyav_gives_all_frames(after, error, tmp_path, monkeypatch):
    path = written(options=FINE)(tmp_path / "a.mp4")
    expected = by_pyav(path)
    opened = failing(monkeypatch, after, error)
    got = read_frames(path)
    assert opened
    assert got.probe.decoder == "pyav"
    assert np.array_equal(got.rgb, expected.rgb)


@pytest.mark.parametrize("off", [-1, 1])
def test_where_decord_counts_other_frames_pyav_reads(off, tmp_path, monkeypatch):
    path = written(options=FINE)(tmp_path / "a.mp4")
    monkeypatch.setattr(decord.VideoReader, "__len__", lambda self: self._num_frame + off)
    assert read_frames(path).probe.decoder == "pyav"


@pytest.mark.parametrize(
    ("of", "odd"),
    [
        ("look", {"smallest": 19}),  # bytes: an MPEG-4 picture that is not coded
        ("look", {"steady": False}),
        ("look", {"rotation": 45}),
        ("look", {"pts": 7}),
        ("look", {"depth": 1}),  # and no packet out of order
        ("file", {"missing": 1}),
        ("file", {"exact": False}),
        ("file", {"unit_s": 0.0}),
        ("file", {"look": None}),
    ],
)
def test_one_oddity_of_a_plain_file_is_enough(of, odd, tmp_path):
    name, given = PLAIN["mpeg4 in avi"]
    path = clips.write(tmp_path / name, clips.pictures(24), **given)
    scanned = video.scan(path, LIMITS, decord_frames.may_read)
    assert decord_frames.can_read(scanned, LIMITS)
    changed = replace(scanned, **odd) if of == "file" else replace(scanned, look=replace(scanned.look, **odd))
    assert not decord_frames.can_read(changed, LIMITS)


def damaged(path, number):
    """Noise in the latter half of a packet."""
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    begin, size = places[number]
    data[begin + size // 2 : begin + size] = np.random.default_rng(1).bytes(size - size // 2)
    path.write_bytes(data)
    return path


def test_damage_of_which_packets_do_not_tell_is_heard_and_counted_by_pyav(tmp_path):
    path = clips.write(tmp_path / "a.mp4", clips.pictures(40), options=FINE | {"g": "40", "bf": "0"})
    damaged(path, 20)
    scanned = video.scan(path, LIMITS, decord_frames.may_read)
    assert decord_frames.can_read(scanned, LIMITS)  # from outside nothing is to be seen
    with pytest.raises(DecordError):
        list(decord_frames.frames(path, range(40), 40, LIMITS))
    got, expected = read_frames(path), by_pyav(path)
    assert (got.probe.decoder, got.probe) == ("pyav", expected.probe)
    assert got.probe.num_damaged > 0
    assert np.array_equal(got.rgb, expected.rgb)


def test_files_read_at_once_hear_each_their_own_damage(tmp_path):
    whole = written(options=FINE | {"bf": "0"})(tmp_path / "whole.mp4")
    broken = damaged(written(options=FINE | {"bf": "0"})(tmp_path / "broken.mp4"), 10)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(read_frames, [whole, broken] * 8))
    assert [frames.probe.decoder for frames in found] == ["decord", "pyav"] * 8
    assert len({frames.rgb.tobytes() for frames in found}) == 2


def test_decord_is_told_to_use_one_thread_and_a_name_that_is_a_file(tmp_path, monkeypatch):
    given, plain = [], decord.VideoReader
    monkeypatch.setattr(decord, "VideoReader", lambda *a, **k: (given.append((a, k)), plain(*a, **k))[1])
    path = written(options=FINE)(tmp_path / "a.mp4")
    first = read_frames(path).rgb
    assert np.array_equal(first, read_frames(path).rgb)
    assert {(a[0], k["num_threads"]) for a, k in given} == {(f"file:{path}", 1)}


def test_reading_by_decord_that_takes_too_long_is_given_up(tmp_path):
    path = written(options=FINE)(tmp_path / "a.mp4")
    with pytest.raises(VideoError, match="not decoded within -1 s"):
        list(decord_frames.frames(path, range(20), 20, replace(LIMITS, seconds=-1.0)))


def test_colours_that_nobody_can_convert_are_an_error_of_that_video(tmp_path):
    path = clips.write(tmp_path / "a.mkv", clips.pictures(4), options={"x264-params": "colormatrix=YCgCo"})
    with pytest.raises(VideoError, match="no way from yuv420p to RGB"):
        read_frames(path)


@pytest.mark.parametrize(
    ("stamps", "depth", "expected"),
    [
        ([0, 1, 2, 3], 0, True),
        ([0, 2, 1, 3], 0, False),
        ([0, 2, 1, 3], 1, True),
        ([0, 4, 2, 1, 3], 1, False),
        ([0, 4, 2, 1, 3], 2, True),
        ([1, 0], 0, False),
    ],
)
def test_stamps_rise_behind_a_decoder_that_holds_enough_back(stamps, depth, expected):
    assert rises(stamps, depth) is expected


@pytest.mark.parametrize("seed", range(40))
def test_no_two_stops_are_parted_by_a_key_frame_or_too_far_from_each_other(seed):
    rng = np.random.default_rng(seed)
    num_frames = int(rng.integers(1, 500))
    keys = sorted({0, *rng.integers(0, num_frames, rng.integers(0, 9)).tolist()})
    wanted = set(rng.integers(0, num_frames, rng.integers(1, 20)).tolist())
    found = stops(keys, wanted, num_frames)
    assert wanted <= set(found)
    assert found[-1] == num_frames - 1
    at = 0  # the frame that comes next
    for n in found:
        assert not [key for key in keys if at < key <= n]
        assert n - at < STRIDE
        at = n + 1


def test_a_file_that_does_not_start_with_a_key_frame_is_refused():
    for keys in ([], [3, 8]):
        with pytest.raises(DecordError, match="key frame"):
            stops(keys, {5}, 20)


def test_the_index_says_which_decoder_gave_the_pictures(tmp_path):
    root = tmp_path / "release"
    root.mkdir()
    plain = written(options=FINE)(root / "a.mp4")
    odd = clips.write_lossless(root / "b.mkv", clips.pictures(8))
    Manifest("clips", str(root), [entry_of(root, plain, "a"), entry_of(root, odd, "b")]).write(
        tmp_path / "shard.json"
    )
    names = {"array_out": "frames.npy", "index_out": "index.parquet", "failures_out": "failures.csv"}
    view = {"kind": "frames", "count": 4, "sampling": "segment_starts", "resize": [48, 64], "crop": None}
    outputs = {key: tmp_path / name for key, name in names.items()}
    extract_frames(view=view, manifest=tmp_path / "shard.json", **outputs)
    rows = pq.read_table(tmp_path / "index.parquet").to_pylist()
    assert [(row["video_id"], row["decoder"]) for row in rows] == [("a", "decord"), ("b", "pyav")]


def python(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


LATE = """
import json, sys
from retake.data.video import read_frames
loaded = ["decord" in sys.modules]
for path in sys.argv[1:]:
    read_frames(path)
    loaded.append("decord" in sys.modules)
print(json.dumps(loaded))
"""


def test_decord_is_loaded_with_the_first_file_that_it_reads(tmp_path):
    odd = clips.write_lossless(tmp_path / "a.mkv", clips.pictures(3))
    assert python(LATE, odd, written()(tmp_path / "a.mp4")) == [False, False, True]


ORDER = """
import hashlib, json, sys
for name in sys.argv[2].split():
    __import__(name)
from retake.data.video import read_frames
got = read_frames(sys.argv[1])
import torch
from PIL import Image
total = float(torch.ones(64, 64).mm(torch.ones(64, 64)).sum())
again = read_frames(sys.argv[1])
digests = [hashlib.sha256(frames.rgb.tobytes()).hexdigest() for frames in (got, again)]
print(json.dumps([got.probe.decoder, total, *digests]))
"""


def test_decord_and_torch_load_in_any_order_and_give_the_same_bytes(tmp_path):
    path = written(options=FINE)(tmp_path / "a.mp4")
    found = {
        tuple(python(ORDER, path, order)) for order in ("torch av", "decord av torch", "av decord torch")
    }
    assert len(found) == 1
    decoder, total, first, second = found.pop()
    assert (decoder, total, first) == ("decord", 64.0**3, second)


MEMORY = """
import json, sys
import numpy as np
from retake.data.video import read_frames
got = read_frames(sys.argv[1], lambda times_s: np.linspace(0, len(times_s) - 1, 4).astype(int))
peak_kb = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([got.probe.decoder, got.probe.num_frames, int(peak_kb) / 1024]))
"""


def test_ten_times_the_frames_take_the_same_memory(tmp_path):
    pictures, peaks = clips.pictures(25, 200, 256), []
    for number in (160, 1600):
        path = clips.write(tmp_path / f"{number}.mp4", pictures[np.arange(number) % 25],
                           options={"preset": "ultrafast", "crf": "30", "g": "250"})  # fmt: skip
        *found, peak_mb = python(MEMORY, path)
        assert found == ["decord", number]
        peaks.append(peak_mb)
    assert peaks[1] - peaks[0] < 60  # 1440 frames more are 211 MB
