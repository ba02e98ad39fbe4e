"""extract_frames: a shard of videos becomes one array, an index and a list of failures."""

import csv
import json
import subprocess
import sys
from hashlib import sha256

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from retake.data.frames import GrowingArray, extract_frames
from retake.schema.manifest import Manifest, entry_of
from tests.unit.data import clips

VIEW = {"kind": "frames", "count": 4, "sampling": "segment_starts", "resize": [48, 64], "crop": None}


def shard(folder, videos):
    """Writes a manifest of `videos` (id -> path) and returns the job's arguments."""
    root = folder / "release"
    entries = [entry_of(root, path, video_id) for video_id, path in videos.items()]
    Manifest("clips", str(root), entries).write(folder / "shard000.json")
    names = {"array_out": "frames.npy", "index_out": "index.parquet", "failures_out": "failures.csv"}
    return {"manifest": folder / "shard000.json"} | {key: folder / name for key, name in names.items()}


def failures(job):
    return list(csv.DictReader(job["failures_out"].open(encoding="utf-8")))


@pytest.fixture
def release(tmp_path):
    root = tmp_path / "release"
    root.mkdir()
    return root


@pytest.fixture
def mixed(tmp_path, release):
    """Three clips, one of them shorter than the view asks for, and three files that are none."""
    videos = {
        "b": clips.write_lossless(release / "z.mkv", clips.pictures(10, seed=1)),
        "a": clips.write_lossless(release / "y.mkv", clips.pictures(3, seed=2)),
        "c": clips.turn(clips.write(release / "x.mp4", clips.pictures(8, seed=3), options={"crf": "1"}), 90),
        "empty": release / "empty.mp4",
        "text": release / "text.mp4",
        "cut": clips.write(release / "cut.mp4", clips.pictures(20)),
    }
    videos["empty"].write_bytes(b"")
    videos["text"].write_text("a text, with a comma\n" * 50)
    videos["cut"].write_bytes(videos["cut"].read_bytes()[:900])
    return shard(tmp_path, videos)


def test_each_video_has_its_rows_in_the_order_of_ids(mixed):
    extract_frames(view=VIEW, **mixed)
    array = np.load(mixed["array_out"], mmap_mode="r")
    rows = pq.read_table(mixed["index_out"]).to_pylist()
    assert (array.shape, array.dtype) == ((3 + 4 + 4, 48, 64, 3), np.uint8)
    assert [(r["video_id"], r["row"], r["num_rows"]) for r in rows] == [("a", 0, 3), ("b", 3, 4), ("c", 7, 4)]
    assert np.array_equal(array[:3], clips.pictures(3, seed=2))
    assert np.array_equal(array[3:7], clips.pictures(10, seed=1)[[0, 3, 6, 8]])
    assert {(r["array"], r["start_s"], r["end_s"]) for r in rows} == {("frames.npy", 0.0, None)}
    assert rows[1]["times_s"] == pytest.approx([0, 0.3, 0.6, 0.8])
    assert (rows[1]["duration_s"], rows[1]["fps"]) == pytest.approx((1.0, 10.0), rel=1e-3)
    assert [(r["width"], r["height"]) for r in rows] == [(64, 48), (64, 48), (48, 64)]


def test_a_video_that_gives_no_frames_is_a_row_of_failures_with_its_reason(mixed, tmp_path):
    extract_frames(view=VIEW, **mixed)
    rows = failures(mixed)
    assert [(r["video_id"], r["path"]) for r in rows] == [
        ("cut", "cut.mp4"), ("empty", "empty.mp4"), ("text", "text.mp4"),
    ]  # fmt: skip
    assert "zero bytes" in rows[1]["reason"]
    assert str(tmp_path) not in mixed["failures_out"].read_text()


def test_when_every_video_fails_the_array_has_no_rows_and_is_still_one(tmp_path, release):
    (release / "a.mp4").write_bytes(b"")
    job = shard(tmp_path, {"a": release / "a.mp4"})
    extract_frames(view=VIEW, **job)
    assert np.load(job["array_out"]).shape == (0, 48, 64, 3)
    assert pq.read_table(job["index_out"]).num_rows == 0
    assert len(failures(job)) == 1


def test_without_failures_the_list_is_its_header(tmp_path, release):
    job = shard(tmp_path, {"a": clips.write_lossless(release / "a.mkv", clips.pictures(4))})
    extract_frames(view=VIEW, **job)
    assert job["failures_out"].read_text() == "video_id,path,reason\n"


def test_the_same_shard_gives_the_same_bytes_twice(mixed):
    digests = []
    for _ in range(2):
        extract_frames(view=VIEW, **mixed)
        digests.append(
            [sha256(mixed[key].read_bytes()).digest() for key in ("array_out", "index_out", "failures_out")]
        )
    assert digests[0] == digests[1]


def test_resize_and_crop_of_the_view_reach_the_array(tmp_path, release):
    path = clips.write_lossless(release / "a.mkv", clips.pictures(6))
    job = shard(tmp_path, {"a": path})
    extract_frames(view=VIEW | {"resize": None, "crop": [20, 30]}, **job)
    assert np.array_equal(np.load(job["array_out"]), clips.pictures(6)[[0, 2, 4, 5], 14:34, 17:47])
    extract_frames(view=VIEW | {"resize": [96, 128], "crop": 90}, **job)
    assert np.load(job["array_out"]).shape == (4, 90, 90, 3)


def test_a_release_that_lies_elsewhere_is_read_from_there(tmp_path, release):
    job = shard(tmp_path, {"a": clips.write_lossless(release / "a.mkv", clips.pictures(4))})
    release.rename(tmp_path / "moved")
    extract_frames(view=VIEW, root_override=tmp_path / "moved", **job)
    assert len(np.load(job["array_out"])) == 4


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"kind": "motion"}, "kind frames"), ({"resize": 48}, "one size"), ({"sampling": "best"}, "no 'best'")],
)
def test_a_view_that_cannot_be_made_stops_the_job(wrong, words, mixed):
    with pytest.raises(ValueError, match=words):
        extract_frames(view=VIEW | wrong, **mixed)


def test_an_array_grows_row_by_row_and_refuses_others(tmp_path):
    array = GrowingArray(tmp_path / "a.npy", (2, 3), np.float32)
    first = array.append(np.ones((2, 2, 3), np.float32))
    second = array.append(np.full((10**4, 2, 3), 2, np.float32))
    with pytest.raises(ValueError, match="expected rows of"):
        array.append(np.ones((1, 3, 2), np.float32))
    array.close()
    got = np.load(tmp_path / "a.npy")
    assert (first, second, got.shape) == (0, 2, (10002, 2, 3))
    assert (got[:2] == 1).all()
    assert (got[2:] == 2).all()


def test_rows_are_taken_back_and_others_put_in_their_place(tmp_path):
    array = GrowingArray(tmp_path / "a.npy", (), np.dtype([("n", "<i8"), ("is_key", "?")]))
    array.append(np.array([(n, False) for n in range(5)], array.dtype))
    array.cut(2)
    assert array.append(np.array([(7, True)], array.dtype)) == 2
    for wrong in (-1, 4):
        with pytest.raises(ValueError, match=f"cannot keep {wrong} of 3 rows"):
            array.cut(wrong)
    array.close()
    assert np.load(tmp_path / "a.npy").tolist() == [(0, False), (1, False), (7, True)]


JOB = """
import json, resource, sys
from pathlib import Path
from retake.data.frames import extract_frames
arguments = {key: Path(value) for key, value in json.loads(sys.argv[1]).items()}
view = {"kind": "frames", "count": 16, "sampling": "segment_starts", "resize": [224, 224], "crop": None}
extract_frames(view=view, **arguments)
heavy = sorted({"torch", "pandas", "pydantic"} & sys.modules.keys())
print(json.dumps({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "heavy": heavy}))
"""


def measured(folder, num_videos):
    root = folder / "release"
    root.mkdir(parents=True)
    clip = clips.write(root / "clip.mp4", clips.pictures(16))
    videos = {}
    for n in range(num_videos):
        videos[f"v{n:03d}"] = root / f"v{n:03d}.mp4"
        videos[f"v{n:03d}"].hardlink_to(clip)
    job = {key: str(path) for key, path in shard(folder, videos).items()}
    done = subprocess.run(
        [sys.executable, "-c", JOB, json.dumps(job)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout), (folder / "frames.npy").stat().st_size / 2**20, done.stderr


def test_ten_times_the_videos_take_the_same_memory_and_no_heavy_library(tmp_path):
    few, small_mb, _ = measured(tmp_path / "few", 4)
    many, large_mb, progress = measured(tmp_path / "many", 40)
    assert large_mb - small_mb > 75
    assert many["peak_mb"] - few["peak_mb"] < 15
    assert many["heavy"] == []
    assert "40/40" in progress


@pytest.mark.parametrize(
    ("rate", "every", "numbers"), [(10, 1.0, [0, 10, 20]), (4, 0.6, [0, 2, 4, 7, 9, 12, 14, 16, 19, 21, 24])]
)
def test_a_clocks_frames_are_those_that_are_up_and_the_index_has_its_times(
    rate, every, numbers, tmp_path, release
):
    made = clips.pictures(26 if rate == 4 else 30)
    job = shard(tmp_path, {"a": clips.write_lossless(release / "a.mkv", made, rate=rate)})
    view = VIEW | {"count": None, "sampling": "clock", "every_s": every, "chunk_s": None}
    extract_frames(view=view, **job)
    (row,) = pq.read_table(job["index_out"]).to_pylist()
    assert row["times_s"] == pytest.approx([every * n for n in range(len(numbers))])
    assert row["num_rows"] == len(numbers)
    assert np.array_equal(np.load(job["array_out"]), made[numbers])


def test_the_index_says_how_many_pictures_of_a_video_are_broken(tmp_path, release):
    whole = clips.write(release / "whole.mkv", clips.pictures(40), options={"g": "1"})
    cut = clips.write(release / "cut.mp4", clips.pictures(40), options={"g": "1"},
                      container_options={"movflags": "faststart"})  # fmt: skip
    cut.write_bytes(cut.read_bytes()[:-900])  # a picture or two
    with av.open(str(cut)) as container:
        stream = container.streams.video[0]
        there = sum(1 for packet in container.demux(stream) if packet.size and not packet.is_corrupt)
    job = shard(tmp_path, {"whole": whole, "cut": cut})
    extract_frames(view=VIEW, **job)
    rows = {row["video_id"]: row["damaged"] for row in pq.read_table(job["index_out"]).to_pylist()}
    assert rows["whole"] == 0
    assert 40 - there == rows["cut"] > 0
