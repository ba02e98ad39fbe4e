"""How long extract_frames takes beside a bare loop of decord over the same frames.

    python benchmarks/extract_frames.py [FOLDER_OF_CLIPS] [--repetitions 9]

Both read 16 frames a clip on one CPU, resize to 314x314 and cut 299x299 out of the middle with the same
library (swscale, same flags); extract_frames also writes array, index and failures. They take turns.
Printed: milliseconds a clip and the median over repetitions of the ratio, by the clock and in processor
time. On a busy machine only the latter means anything: decord's reader has several threads, each of which
gets a share of the CPU. Target: at most 1.2. Without a folder, clips are made: 320x240, 30 frames a second,
10 s, H.264 with B-frames.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import av
import decord
import numpy as np
from av.video.reformatter import VideoReformatter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from retake.data.frames import extract_frames
from retake.data.video import SCALING
from retake.data.views import indices
from retake.schema.manifest import Manifest, entry_of

VIEW = {"kind": "frames", "count": 16, "sampling": "segment_starts", "resize": [314, 314], "crop": 299}
SUFFIXES = {".mp4", ".avi", ".mkv", ".webm", ".mov"}


def bare_loop(clips: list[Path]) -> None:
    """What one would write in an afternoon: no checks, nothing written."""
    scaler = VideoReformatter()
    for clip in clips:
        reader = decord.VideoReader(str(clip), ctx=decord.cpu(0), num_threads=1)
        frames = reader.get_batch(indices(16, len(reader), "segment_starts")).asnumpy()
        rows = np.empty((len(frames), 299, 299, 3), np.uint8)
        for row, frame in zip(rows, frames, strict=True):
            rgb = av.VideoFrame.from_ndarray(frame, format="rgb24")
            scaled = scaler.reformat(rgb, 314, 314, "rgb24", interpolation=SCALING, threads=1)
            row[:] = scaled.to_ndarray()[8:307, 8:307]


def make_clips(folder: Path, num_clips: int = 8, num_frames: int = 300) -> None:
    """Coloured shapes that move over a textured ground, with some noise of a camera."""
    folder.mkdir()
    for n in range(num_clips):
        rng = np.random.default_rng(n)
        ground = np.kron(rng.integers(60, 190, (15, 20, 3)), np.ones((24, 24, 1)))
        with av.open(str(folder / f"clip{n}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": "23"})
            stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
            for t in range(num_frames):
                frame = ground[t % 100 : t % 100 + 240, t % 140 : t % 140 + 320] + rng.integers(
                    -6, 7, (240, 320, 1)
                )
                frame[80:140, (3 * t) % 260 : (3 * t) % 260 + 60] = (
                    rng.integers(0, 256, 3) if t % 90 == 0 else 200
                )
                picture = av.VideoFrame.from_ndarray(frame.clip(0, 255).astype(np.uint8), format="rgb24")
                container.mux(stream.encode(picture))
            container.mux(stream.encode())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", help="clips to read; left out: made on the spot")
    parser.add_argument("--repetitions", type=int, default=9)
    given = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # decord's reader has threads of its own
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        folder = given.folder or out / "clips"
        if given.folder is None:
            make_clips(folder)
        clips = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
        Manifest("clips", str(folder), [entry_of(folder, clip, clip.name) for clip in clips]).write(
            out / "shard.json"
        )
        names = {"array_out": "frames.npy", "index_out": "index.parquet", "failures_out": "failures.csv"}
        made = {key: out / name for key, name in names.items()}

        def ours(_clips: list[Path]) -> None:
            extract_frames(view=VIEW, manifest=out / "shard.json", **made)

        def timed(job) -> np.ndarray:
            for (
                path
            ) in made.values():  # as before a job: to cut a file to nothing takes longer than to make one
                path.unlink(missing_ok=True)
            wall, cpu = time.perf_counter(), time.process_time()
            job(clips)
            return np.array([time.perf_counter() - wall, time.process_time() - cpu]) / len(clips) * 1000

        timed(bare_loop), timed(ours)  # libraries loaded, files in the page cache
        bare, mine = [], []
        for n in range(given.repetitions):
            for job in (bare_loop, ours) if n % 2 == 0 else (ours, bare_loop):
                (bare if job is bare_loop else mine).append(timed(job))
        timed(ours)
        failed = (out / "failures.csv").read_text().count("\n") - 1
    print(f"{len(clips)} clips, {failed} failed, {given.repetitions} repetitions, one CPU")
    for column, clock in enumerate(("wall clock", "processor")):
        ratios = [m[column] / b[column] for m, b in zip(mine, bare, strict=True)]
        print(
            f"{clock}: bare decord loop {statistics.median(b[column] for b in bare):.1f} ms a clip, "
            f"extract_frames {statistics.median(m[column] for m in mine):.1f} ms, "
            f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
