"""Milliseconds that preparing a frame takes, in one process and in many at the same time.

Processes are started as `python -m retake.costs.preparing`: each says when it is ready, begins when told, and says
when it began and ended by a clock that all processes share. So neither start nor compilation is counted.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import cv2

from retake.costs.clip import coded, pictures
from retake.data.flow import METHODS
from retake.data.motion import read_coded

Work = tuple[Callable[[], Any], int]  # what is done once, and how many frames that is


def work_of(prepare: dict[str, Any], clip: dict[str, Any]) -> Work:
    """prepare: schema.costs.Prepare. clip: size, frames, gop, quality, pairs of schema.costs.TimeCost.

    Flow is computed between frames that lie decoded; signals are read from the stream, decoding included.
    """
    size = (int(clip["size"][0]), int(clip["size"][1]))
    if prepare["flow"] is not None:
        cv2.setNumThreads(1)
        method = METHODS[prepare["flow"]]()
        greys = [cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) for rgb in pictures(size, clip["pairs"] + 1)]
        pairs = list(pairwise(greys))
        return lambda: [method.calc(one, two, None) for one, two in pairs], len(pairs)
    stream = coded(size, clip["frames"], clip["gop"], clip["quality"])
    return lambda: sum(1 for _ in read_coded(stream, prepare["signals"])), clip["frames"]


def warm(prepare: dict[str, Any], clip: dict[str, Any], repeats: int) -> tuple[Callable[[], Any], int, int]:
    """What is to be done, its frames, how often. Flow has nothing to compile, and once is dear enough."""
    work, frames = work_of(prepare, clip)
    if prepare["flow"] is not None:
        return work, frames, 1
    work()
    return work, frames, repeats


def one_process(prepare: dict[str, Any], clip: dict[str, Any], repeats: int) -> float:
    """Milliseconds a frame on one thread, the median of `repeats` after one that is not counted; of flow, of one."""
    work, frames, repeats = warm(prepare, clip, repeats)
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken) / frames * 1000


def many_processes(prepare: dict[str, Any], clip: dict[str, Any], repeats: int, processes: int) -> float:
    """Milliseconds a frame where `processes` work at the same time: from the first's begin to the last's end."""
    asked = json.dumps({"prepare": prepare, "clip": clip, "repeats": repeats})
    command = [sys.executable, "-m", "retake.costs.preparing", asked]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]  # fmt: skip
    try:
        for process in started:
            _line(process)
        for process in started:
            process.stdin.write("begin\n")
            process.stdin.flush()
        done = [json.loads(_line(process)) for process in started]
    finally:
        for process in started:
            process.kill()
            process.communicate()
    wall = max(one["end"] for one in done) - min(one["begin"] for one in done)
    return wall / sum(one["frames"] for one in done) * 1000


def _line(process: subprocess.Popen) -> str:
    """The next line that a process says. Raises RuntimeError where it ended instead."""
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"a process that prepares frames ended with status {process.wait()}; see above")
    return line


def main(asked: str) -> None:
    """One of many processes."""
    told = json.loads(asked)
    work, frames, repeats = warm(told["prepare"], told["clip"], told["repeats"])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    begin = time.monotonic()
    for _ in range(repeats):
        work()
    answer = {"begin": begin, "end": time.monotonic(), "frames": frames * repeats}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
