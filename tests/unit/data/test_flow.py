"""extract_flow: optical flow of each frame to the next, stored as it is computed and no further than its bound."""

import csv

import cv2
import numpy as np
import pytest

from retake.data.coded import coded
from retake.data.flow import extract_flow, quantised
from retake.data.video import read_frames
from tests.unit.data import clips
from tests.unit.data.streams_of import PACKED, joined, outputs, release, transcode, write_clips

VIEW = {"kind": "flow", "of": None, "method": "tvl1", "bound_px": 20.0, "every": 1}


def sliding(num_frames, seed=0):
    """(T, 48, 64, 3) uint8: soft blobs that slide 2 pixels to the left each frame."""
    rng = np.random.default_rng(seed)
    ground = cv2.GaussianBlur(rng.uniform(0, 255, (48, 64 + 2 * num_frames, 3)), (0, 0), 3)
    ground = (ground - ground.min()) / np.ptp(ground) * 255
    return np.stack([ground[:, 2 * t : 2 * t + 64] for t in range(num_frames)]).astype(np.uint8)


def flow_of(manifest, view_folder, streams=None, **changes):
    """The reader of one shard of a flow view."""
    of = {} if streams is None else {
        "streams": streams / "index.parquet", "streams_failures": streams / "failures.csv",
    }  # fmt: skip
    shard = view_folder / "shard000"
    extract_flow(view=VIEW | changes, manifest=manifest, **outputs(shard, **PACKED), **of)
    return coded("flow", joined(view_folder, "packed.npy"))


@pytest.fixture
def clip(tmp_path):
    (tmp_path / "release").mkdir()
    return release(tmp_path, {"a": clips.write_lossless(tmp_path / "release/a.mkv", sliding(5))})


def by_hand(frames, bound_px=20.0):
    """Flow of each frame to the next, as the module's text has it, value by value."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    method = cv2.optflow.DualTVL1OpticalFlow_create()
    found = [method.calc(one, two, None) for one, two in zip(grey, grey[1:], strict=False)]
    return [
        np.array([min(max(round(float(v) * 127.5 / bound_px) + 128, 0), 255) for v in np.float32(f).ravel()])
        .reshape(f.shape)
        for f in found
    ]  # fmt: skip


def test_flow_is_that_of_the_frames_and_points_where_they_slide(clip, tmp_path):
    reader = flow_of(clip, tmp_path / "flows")
    got = reader.frames("a", [0, 1, 2, 3], "flow")
    assert np.abs(got.astype(int) - by_hand(sliding(5))).max() <= 1  # halves in float32 and float64
    assert np.median(got[..., 0]) == 128 - round(2 * 127.5 / 20)
    assert np.median(got[..., 1]) == 128
    assert reader.times_s("a") == pytest.approx(read_frames(tmp_path / "release/a.mkv").times_s)


def test_the_last_frame_has_no_flow_and_neither_have_those_between(clip, tmp_path):
    every, some = flow_of(clip, tmp_path / "every"), flow_of(clip, tmp_path / "some", every=3)
    assert every.numbers("a", "flow").tolist() == [0, 1, 2, 3]
    assert some.numbers("a", "flow").tolist() == [0, 3]
    assert np.array_equal(some.frames("a", [0, 3], "flow"), every.frames("a", [0, 3], "flow"))
    assert set(every.kinds("a")) == {""}
    with pytest.raises(ValueError, match="frame 4 of 5 has no flow"):
        every.frames("a", [4], "flow")


def test_flow_of_a_stream_view_is_that_of_its_pictures(clip, tmp_path):
    streams = transcode(clip, tmp_path / "encoded")
    reader = flow_of(clip, tmp_path / "flows", streams, of="encoded")
    got = reader.frames("a", [0, 1, 2, 3], "flow")
    assert np.median(got[..., 0]) == 128 - round(2 * 127.5 / 20)
    assert reader.times_s("a") == pytest.approx(read_frames(tmp_path / "release/a.mkv").times_s)


def test_displacements_are_rounded_and_cut_off_at_the_bound():
    flow = np.array([-99, -20.1, -20, -10, -0.2, 0, 0.2, 0.06, 10, 20, 99], np.float32).reshape(1, -1, 1)
    assert quantised(flow, 20).ravel().tolist() == [0, 0, 0, 64, 127, 128, 129, 128, 192, 255, 255]
    assert quantised(flow, 10).ravel().tolist() == [0, 0, 0, 0, 125, 128, 131, 129, 255, 255, 255]


def test_the_bound_of_the_view_reaches_the_frames(clip, tmp_path):
    near = flow_of(clip, tmp_path / "near", bound_px=4.0).frames("a", [2], "flow")
    assert np.median(near[..., 0]) == pytest.approx(128 - 2 * 127.5 / 4, abs=1)


def test_what_has_no_flow_fails_and_the_next_video_is_as_if_it_were_alone(tmp_path):
    videos = write_clips(tmp_path, {"one": 1, "two": 4})
    videos["cut"] = clips.write(tmp_path / "release/cut.mp4", clips.pictures(20), options={"g": "1"},
                                container_options={"movflags": "faststart"})  # fmt: skip
    data = videos["cut"].read_bytes()
    alone = flow_of(release(tmp_path, {"two": videos["two"]}), tmp_path / "alone")
    videos["cut"].write_bytes(data[: len(data) // 2])
    reader = flow_of(release(tmp_path, videos), tmp_path / "flows")
    failed = list(csv.DictReader((tmp_path / "flows/failures.csv").open(encoding="utf-8")))
    assert [row["video_id"] for row in failed] == ["cut", "one"]
    assert "damaged" in failed[0]["reason"]
    assert failed[1]["reason"] == "one frame: no other to flow to"
    assert list(reader) == ["two"]
    for name in ("packed.npy", "packed_frames.npy"):
        both = [(tmp_path / f / "shard000" / name).read_bytes() for f in ("alone", "flows")]
        assert both[0] == both[1]
    assert np.array_equal(reader.frames("two", [2], "flow"), alone.frames("two", [2], "flow"))


def test_another_kind_of_view_stops_the_job(clip, tmp_path):
    with pytest.raises(ValueError, match="kind flow, not 'motion'"):
        flow_of(clip, tmp_path / "flows", kind="motion")
