"""How long tracing motion takes beside bare decoding that exports vectors, and beside TV-L1 optical flow.

    python benchmarks/motion.py [VIDEO ...] [--repetitions 9] [--processes 2] [--flow 8]

Videos are encoded anew by what `transcode_video` uses (MPEG-4 part 2, 340x256, groups of 12, quality 1), and read
from memory by one thread on one CPU. In one run, taking turns: decoding
with vectors exported, and nothing done with them; accumulated motion; with accumulated residuals, conversion to
RGB included; the frame-to-frame versions. Printed: milliseconds a frame (median over repetitions) and the ratio
to bare decoding (median, smallest to largest), by the clock and in processor time; on a busy machine only the
latter means anything. Targets: 2.5 and 5. Then the parts, each as what it adds to decoding without vectors.
With --processes also frames a second of motion with residuals, of 1 to so many processes. With --flow TV-L1
(opencv-contrib-python-headless) between so many pairs of frames of each video. Without videos one is made.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain, pairwise
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags2
from av.video.reformatter import Interpolation, VideoReformatter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from retake.data.motion import read_coded
from retake.data.transcoding import WHOLE, Encoder
from retake.data.video import EachFrame
from retake.data.views import placement

HEIGHT, WIDTH, GROUP, QUALITY = 256, 340, 12, 1
TARGETS = {"motion": 2.5, "motion and residual": 5.0}


def encoder_of(block: int = WHOLE) -> Encoder:
    return Encoder(size=(HEIGHT, WIDTH), gop=GROUP, quality=QUALITY, block=block)


def encoded(pictures: Iterable[np.ndarray]) -> bytes:
    """The elementary stream of (HEIGHT, WIDTH, 3) frames, as `transcode_video` writes it."""
    encoder = encoder_of()
    return b"".join(data for picture in chain(pictures, (None,)) for data, _ in encoder.encode(picture))


def stream_of(video: Path, block: int = WHOLE) -> bytes:
    """What `transcode_video` makes of a video. `block`: of Encoder."""
    encoder, packets = encoder_of(block), []
    for n, rgb in EachFrame(video, place=partial(placement, {"resize": (HEIGHT, WIDTH)})):
        if n == 0:  # maybe once more: what came before is void
            encoder, packets = encoder_of(block), []
        packets += encoder.encode(rgb)
    return b"".join(data for data, _ in packets + encoder.encode(None))


def made_up(num_frames: int = 240) -> bytes:
    """A textured ground under a camera that moves, shapes that move otherwise, and noise."""
    rng = np.random.default_rng(0)
    ground = np.kron(rng.integers(60, 190, (40, 52, 3)), np.ones((16, 16, 1)))

    def pictures():
        for t in range(num_frames):
            top, left = 40 + round(30 * np.sin(t / 17)), 2 * t % 400
            frame = ground[top : top + HEIGHT, left : left + WIDTH] + rng.integers(-6, 7, (HEIGHT, WIDTH, 1))
            frame[80:150, (3 * t) % 260 : (3 * t) % 260 + 70] = ground[:70, :70]
            yield frame.clip(0, 255).astype(np.uint8)

    return encoded(pictures())


def bare(stream: bytes, vectors: bool = True, rgb: bool = False) -> int:
    """Decodes a stream, and looks at nothing."""
    codec = av.CodecContext.create("mpeg4", "r")
    codec.thread_count, codec.thread_type = 1, "NONE"
    if vectors:
        codec.flags2 |= Flags2.export_mvs
    num_frames, scaler = 0, VideoReformatter()
    for packet in [*codec.parse(stream), *codec.parse(b""), None]:
        for frame in codec.decode(packet):
            num_frames += 1
            if rgb:
                scaler.reformat(frame, format="rgb24", interpolation=Interpolation.BICUBIC, threads=1)
    return num_frames


def traced(*signals: str) -> Callable[[bytes], int]:
    return lambda stream: sum(1 for _ in read_coded(stream, signals))


JOBS = {
    "bare decoding, vectors exported": bare,
    "motion": traced("motion"),
    "motion and residual": traced("motion", "residual"),
    "frame to frame, both": traced("motion_step", "residual_step"),
    "decoding without vectors": lambda stream: bare(stream, vectors=False),
    "decoding to RGB": lambda stream: bare(stream, rgb=True),
    "residual alone": traced("residual"),
}


def timed(job: Callable[[bytes], int], streams: list[bytes]) -> np.ndarray:
    """Milliseconds a frame, by the clock and in processor time."""
    wall, cpu = time.perf_counter(), time.process_time()
    num_frames = sum(job(stream) for stream in streams)
    return np.array([time.perf_counter() - wall, time.process_time() - cpu]) / num_frames * 1000


def compare(streams: list[bytes], repetitions: int) -> None:
    """Prints the table of single-thread times."""
    taken: dict[str, list[np.ndarray]] = {name: [] for name in JOBS}
    for job in JOBS.values():
        timed(job, streams[:1])  # compiled, pages touched
    for n in range(repetitions):
        for name in list(JOBS) if n % 2 == 0 else list(JOBS)[::-1]:
            taken[name].append(timed(JOBS[name], streams))
    first = next(iter(JOBS))
    for name, each in taken.items():
        line = f"{name:33}"
        for column, clock in enumerate(("clock", "processor")):
            ratios = [mine[column] / base[column] for mine, base in zip(each, taken[first], strict=True)]
            line += (
                f" {clock} {statistics.median(one[column] for one in each):.3f} ms, "
                f"x{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f});"
            )
        print(line + (f" target x{TARGETS[name]}" if name in TARGETS else ""))


def _work(streams: list[bytes], rounds: int) -> tuple[int, float]:
    begin = time.process_time()
    frames = sum(JOBS["motion and residual"](stream) for stream in streams * rounds)
    return frames, time.process_time() - begin


def scale(streams: list[bytes], most: int, rounds: int = 3) -> None:
    """Prints frames a second of 1, 2, 4, ... processes, each of which reads all streams."""
    context, alone = multiprocessing.get_context("spawn"), 0.0
    for number in sorted({1, most} | {2**n for n in range(10) if 2**n < most}):
        with context.Pool(number) as pool:
            pool.starmap(_work, [(streams[:1], 1)] * number * 2)  # started and compiled
            begin = time.perf_counter()
            done = pool.starmap(_work, [(streams, rounds)] * number, chunksize=1)
            rate = sum(frames for frames, _ in done) / (time.perf_counter() - begin)
        alone = alone or rate
        spent = statistics.mean(1000 * seconds / frames for frames, seconds in done)
        print(
            f"{number} processes: {rate:.0f} frames/s, {rate / alone:.2f} times one; "
            f"{spent:.3f} ms of processor time a frame"
        )


def flow(streams: list[bytes], pairs: int) -> None:
    """Prints what TV-L1 takes between frames that follow each other."""
    import cv2

    cv2.setNumThreads(1)
    create = getattr(getattr(cv2, "optflow", cv2), "DualTVL1OpticalFlow_create", None)
    if create is None:
        raise SystemExit("TV-L1 is in opencv-contrib-python-headless, not in this OpenCV")
    method, taken = create(), []
    for stream in streams:
        grey = [
            cv2.cvtColor(one.rgb, cv2.COLOR_RGB2GRAY)
            for one in read_coded(stream, ["rgb"], only=range(pairs + 1))
        ]
        for before, after in pairwise(grey):
            begin = time.perf_counter()
            method.calc(before, after, None)
            taken.append((time.perf_counter() - begin) * 1000)
    print(
        f"TV-L1, one thread: {statistics.median(taken):.0f} ms a frame ({min(taken):.0f} to {max(taken):.0f}) "
        f"of {len(taken)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", type=Path, nargs="*", help="left out: one is made")
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--processes", type=int, default=0)
    parser.add_argument("--flow", type=int, default=0, metavar="PAIRS")
    given = parser.parse_args()
    streams = [stream_of(video) for video in given.videos] or [made_up()]
    frames = sum(bare(stream) for stream in streams)
    size = sum(map(len, streams))
    print(f"{len(streams)} videos, {frames} frames, {size / frames:.0f} bytes a frame, one CPU")
    cpus = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cpus)})
    compare(streams, given.repetitions)
    if given.flow:
        flow(streams, given.flow)
    os.sched_setaffinity(0, cpus)
    if given.processes:
        scale(streams, given.processes)


if __name__ == "__main__":
    main()
