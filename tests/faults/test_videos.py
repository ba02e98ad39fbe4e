"""Two hundred damaged videos go through a shard: each gives frames or a reason; what a checksum tells is heeded."""

import json
import resource
import subprocess
import sys
import time

import numpy as np
import pytest

from retake.data.array_index import read_failures, read_index
from retake.schema.manifest import Manifest, entry_of
from tests.faults.mutations import mutants
from tests.unit.data import clips

COUNT = 200
LIMIT_S, LIMIT_MB = 60, 2000  # of one video, of the process
VIEW = {"kind": "frames", "count": None, "sampling": "all", "resize": None, "crop": [48, 64]}
# Every slice and packet of these two carries a checksum: whatever is damaged in a picture can be noticed.
CHECKED = ("checked.mkv", "checked.avi")

RUN = """
import json, sys, time
from pathlib import Path
from retake.data import frames as module

view, manifest, out = json.loads(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
read, seconds = module.frames_of, {}

def timed(view, path):
    begun = time.monotonic()
    try:
        return read(view, path)
    finally:
        seconds[path.name] = time.monotonic() - begun
        (out / "seconds.json").write_text(json.dumps(seconds))

module.frames_of = timed
module.extract_frames(view=view, manifest=manifest, array_out=out / "frames.npy",
                      index_out=out / "index.parquet", failures_out=out / "failures.csv")
"""


def originals(folder):
    """name -> bytes of sound clips in the forms that releases come in, and their pictures."""
    shown = clips.pictures(16)
    fine = {"crf": "1"}
    ffv1 = {"level": "3", "slicecrc": "1", "slices": "4", "g": "1"}
    clips.write(folder / "h264.mp4", shown, options=fine | {"bf": "3", "g": "8"})
    clips.write(folder / "h264.avi", shown, options=fine | {"bf": "0"})
    clips.write(folder / "mpeg4.avi", shown, codec="mpeg4", options={"b": "9000000", "g": "12"})
    clips.write(folder / "raw.mp4", shown, codec="mpeg4", container_format="m4v", options={"b": "9000000"})
    clips.write(folder / "vp9.webm", shown, codec="libvpx-vp9", options={"crf": "2", "b": "0"})
    clips.write(folder / "h264.ts", shown, options=fine)
    clips.write_packed(folder / "packed.avi", shown)
    clips.write_lossless(folder / "checked.mkv", shown, options=ffv1)
    clips.write_lossless(folder / "checked.avi", shown, options=ffv1)
    clips.write(folder / "delays.gif", shown, codec="gif", pixels="rgb8")
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}, shown


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    """(what each damaged file was, the folder with what extract_frames wrote, the pictures that were encoded)."""
    sound, root, out = (tmp_path_factory.mktemp(name) for name in ("sound", "videos", "out"))
    files, shown = originals(sound)
    damaged = mutants(files, COUNT)
    for name, (_, data) in damaged.items():
        (root / name).write_bytes(data)
    for name, data in files.items():
        (root / f"sound_{name}").write_bytes(data)
    entries = [entry_of(root, path, path.name) for path in sorted(root.iterdir())]
    manifest = out / "shard000.json"
    Manifest("damaged", str(root), entries).write(manifest)
    command = [sys.executable, "-X", "faulthandler", "-c", RUN, json.dumps(VIEW), str(manifest), str(out)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    begun = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    peak_mb = max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024
    print(f"{COUNT} damaged videos: {time.monotonic() - begun:.1f} s, {peak_mb:.0f} MB")  # noqa: T201
    return {name: of for name, (of, _) in damaged.items()}, out, shown


def frames_in(out):
    """video -> its frames, as stored."""
    array = np.load(out / "frames.npy", mmap_mode="r")
    rows = read_index(out / "index.parquet")
    return {row["video_id"]: array[row["row"] : row["row"] + row["num_rows"]] for row in rows}


def test_every_damaged_video_is_an_index_row_or_a_failure_with_a_reason(shard):
    damaged, out, _ = shard
    failed = {video: reason for video, _, reason in read_failures(out / "failures.csv")}
    read = frames_in(out)
    assert set(read) | set(failed) == set(damaged) | {f"sound_{name}" for name in set(damaged.values())}
    assert not set(read) & set(failed)
    assert all(len(reason.strip()) > 5 and "\n" not in reason for reason in failed.values())
    assert len(failed) > COUNT // 4, "damage that nobody notices is none"


def test_sound_videos_between_damaged_ones_come_out_whole(shard):
    damaged, out, shown = shard
    read = frames_in(out)
    for name in set(damaged.values()):
        frames = read[f"sound_{name}"]
        assert len(frames) == len(shown), name
        if name in CHECKED:
            assert np.array_equal(frames, shown)


def test_a_picture_with_a_checksum_is_never_given_wrong(shard):
    damaged, out, shown = shard
    known = {frame.tobytes() for frame in shown}
    checked = {v: f for v, f in frames_in(out).items() if damaged.get(v) in CHECKED}
    assert checked, "none of the damaged ones was readable: nothing was tested"
    wrong = {
        video: sum(frame.tobytes() not in known for frame in frames) for video, frames in checked.items()
    }
    assert {video: count for video, count in wrong.items() if count} == {}


def test_no_frame_is_left_blank_in_the_place_of_one_that_was_lost(shard):
    damaged, out, shown = shard
    darkest = shown.reshape(len(shown), -1).max(axis=1).min()
    for video, frames in frames_in(out).items():
        assert len(frames), video
        if damaged.get(video) in CHECKED:
            assert frames.reshape(len(frames), -1).max(axis=1).min() >= darkest, video


def test_no_video_takes_a_minute_and_the_process_stays_small(shard):
    _, out, _ = shard
    seconds = json.loads((out / "seconds.json").read_text())
    slowest = max(seconds, key=seconds.get)
    assert len(seconds) >= COUNT
    assert seconds[slowest] < LIMIT_S, slowest
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024 < LIMIT_MB
