"""What a frame of a coded video costs when it is stored, and when it is decoded from its stream: disk and time.

    python benchmarks/motion_access.py [FILE_OR_FOLDER ...] [--frames 200] [--repetitions 5]

The clips are encoded anew (340x256, groups of 12, quality 1), their five signals are stored, and frames of them are
then drawn at random and read by both readers, one at a time and three of one video at a time (as a network that looks
at three segments does), in network-input form, on one CPU. Nothing a reader keeps is of use: each repetition begins
with a new one. Printed: bytes a frame on disk (of the frames that have the signal; the stream serves all five), and
the medians over repetitions of milliseconds a frame; before that, what making both took. Without paths, clips are made:
a textured ground with objects on it and some noise, H.264, 320x240.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from retake.data.array_index import index_arrays
from retake.data.coded import Coded, coded
from retake.data.motion_store import extract_motion
from retake.data.transcoding import transcode_video
from retake.schema.manifest import Manifest, entry_of
from retake.schema.views import SIGNALS

STREAM = {"kind": "stream", "size": [256, 340], "gop": 12, "quality": 1}
MOTION = {"kind": "motion", "of": "stream", "signals": list(SIGNALS)}
SUFFIXES = {".mp4", ".avi", ".mkv", ".webm", ".mov"}


def make_clips(folder: Path, num_clips: int = 6, num_frames: int = 240) -> None:
    """A camera that pans over a texture, a square that crosses it, and noise."""
    folder.mkdir()
    for n in range(num_clips):
        rng = np.random.default_rng(n)
        ground = np.kron(rng.integers(60, 190, (60, 80, 3)), np.ones((8, 8, 1)))
        with av.open(str(folder / f"clip{n}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": "20"})
            stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
            for t in range(num_frames):
                x, y = 2 * t % 320, t % 240
                frame = ground[y : y + 240, x : x + 320] + rng.integers(-3, 4, (240, 320, 1))
                frame[80:140, (3 * t) % 260 : (3 * t) % 260 + 60] = 220
                picture = av.VideoFrame.from_ndarray(frame.clip(0, 255).astype(np.uint8), format="rgb24")
                container.mux(stream.encode(picture))
            container.mux(stream.encode())


def timed(job: Callable[[], None]) -> float:
    """Seconds."""
    begin = time.perf_counter()
    job()
    return time.perf_counter() - begin


def make_views(clips: list[Path], out: Path) -> dict[str, Path]:
    """Both views of the clips; kind -> merged index. Prints what making them took."""
    manifest = out / "shard000.json"
    Manifest("clips", "/", [entry_of(Path("/"), clip.resolve(), str(clip)) for clip in clips]).write(manifest)
    shards = {kind: out / kind / "shard000" for kind in ("stream", "motion")}
    for shard in shards.values():
        shard.mkdir(parents=True)

    def paths(shard: Path, **names: str) -> dict[str, Path]:
        every = names | {"index_out": "index.parquet", "failures_out": "failures.csv"}
        return {key: shard / name for key, name in every.items()}

    stream, motion = shards["stream"], shards["motion"]
    packed = {
        "blobs_out": "packed.npy",
        "table_out": "packed_frames.npy",
        "marked_out": "marked.csv",
    }
    streams = {"streams": stream / "index.parquet", "streams_failures": stream / "failures.csv"}
    encoding = timed(
        lambda: transcode_video(
            view=STREAM,
            manifest=manifest,
            **paths(stream, array_out="streams.npy", packets_out="packets.npy"),
        )
    )
    storing = timed(
        lambda: extract_motion(view=MOTION, manifest=manifest, **paths(motion, **packed), **streams)
    )
    frames = len(np.load(stream / "packets.npy", mmap_mode="r"))
    failed = (stream / "failures.csv").read_text().count("\n") - 1
    print(
        f"{len(clips)} clips, {failed} failed, {frames} frames; transcode_video {encoding / frames * 1000:.2f} ms a "
        f"frame, extract_motion {storing / frames * 1000:.2f} ms (five signals; the first run compiles)"
    )
    for kind, beside in (("stream", "packets.npy"), ("motion", "packed.npy")):
        index_arrays(
            shards=[shards[kind] / "index.parquet"],
            failures=[shards[kind] / "failures.csv"],
            max_failures=1.0,
            index_out=out / kind / "index.parquet",
            beside=[beside],
        )
    return {kind: out / kind / "index.parquet" for kind in shards}


def drawn(reader: Coded, signal: str, frames: int, at_once: int, seed: int) -> list[tuple[str, np.ndarray]]:
    """(video, numbers) of `frames` in all; a video by its share of the frames that have the signal."""
    rng = np.random.default_rng(seed)
    numbers = {video: reader.numbers(video, signal) for video in reader}
    numbers = {video: have for video, have in numbers.items() if len(have) >= at_once}
    weights = np.array([len(have) for have in numbers.values()], dtype=float)
    videos = rng.choice(list(numbers), frames // at_once, p=weights / weights.sum())
    return [(video, rng.choice(numbers[video], at_once, replace=False)) for video in videos]


def read(kind: str, index: Path, signal: str, asked: list[tuple[str, np.ndarray]]) -> float:
    """Milliseconds a frame."""
    reader = coded(kind, index)
    reader.frames(*asked[0], signal)  # maps, tables and code are there
    fresh = coded(kind, index)
    seconds = timed(lambda: [fresh.frames(video, numbers, signal) for video, numbers in asked])
    return seconds / sum(len(numbers) for _, numbers in asked) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "paths", type=Path, nargs="*", help="clips, or folders of them; left out: made on the spot"
    )
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--repetitions", type=int, default=5)
    given = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        if not given.paths:
            make_clips(out / "clips")
        found = given.paths or [out / "clips"]
        clips = [p for path in found for p in (sorted(path.rglob("*")) if path.is_dir() else [path])]
        indices = make_views([clip for clip in clips if clip.suffix.lower() in SUFFIXES], out)
        table = np.load(out / "motion/shard000/packed_frames.npy", mmap_mode="r")
        stream_bytes = (out / "stream/shard000/streams.npy").stat().st_size / len(table)
        print(
            f"{'':14} {'stored':>12} {'decoded':>12}   {'ms a frame, one at a time':>26} {'three of a video':>20}"
        )
        print(
            f"{'':14} {'bytes':>12} {'bytes':>12}   {'stored':>13}{'decoded':>13} {'stored':>10}{'decoded':>10}"
        )
        listed = coded("motion", indices["motion"])
        for signal in SIGNALS:
            lengths = table[signal][table[signal] > 0]
            times = {}
            for at_once in (1, 3):
                draws = [drawn(listed, signal, given.frames, at_once, n) for n in range(given.repetitions)]
                for kind, index in indices.items():
                    runs = [read(kind, index, signal, asked) for asked in draws]
                    times[kind, at_once] = statistics.median(runs)
            print(
                f"{signal:14} {lengths.mean():12,.0f} {stream_bytes:12,.0f}   {times['motion', 1]:13.2f}"
                f"{times['stream', 1]:13.2f} {times['motion', 3]:10.2f}{times['stream', 3]:10.2f}"
            )


if __name__ == "__main__":
    main()
