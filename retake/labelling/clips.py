"""The pictures that a labeller is shown: of every whole chunk of a video, the frame that is up at its centre.

Letters  H W S pixels.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch.nn.functional import interpolate

from retake.data.chunks import chunks
from retake.data.video import VideoError, read_frames

AT_ONCE = 32  # frames of one video that are held at their own size
Item = TypeVar("Item")
Made = TypeVar("Made")


class Clip(NamedTuple):
    """A chunk of a video and its picture. Seconds are from the first frame of the file."""

    video_id: str
    number: int  # of the chunk in its video, from 0
    start_s: float
    end_s: float
    time_s: float  # when the frame that is shown came up
    picture: np.ndarray  # (S, S, 3) uint8, or (H, W, 3)


class Centre(NamedTuple):
    number: int
    start_s: float
    end_s: float
    frame: int  # the frame that is up at the centre


def centres(times_s: np.ndarray, chunk_s: float) -> list[Centre]:
    """The whole chunks of a video whose frames come up at the rising `times_s` (N,), N >= 1."""
    count = len(times_s)
    duration_s = count * float(times_s[-1]) / (count - 1) if count > 1 else 0.0  # as the index has it
    found = []
    for number, (start_s, end_s) in enumerate(chunks(duration_s, chunk_s)):
        up = int(np.searchsorted(times_s, start_s + chunk_s / 2 + 1e-6, side="right")) - 1
        found.append(Centre(number, start_s, end_s, max(0, up)))
    return found


def read_clips(
    video_id: str,
    path: Path,
    chunk_s: float,
    shrink: Callable[[np.ndarray], np.ndarray],
    first: int = 0,
    last: int | None = None,
) -> Iterator[Clip]:
    """The clips of a video from chunk `first` to before `last`, their pictures (H, W, 3) made smaller by `shrink`.

    Only what the wanted frames need is decoded. Raises VideoError, also after clips that could be read.
    """
    there: list[Centre] = []
    begin = first

    def choose(times_s: np.ndarray) -> np.ndarray:
        there[:] = centres(times_s, chunk_s)
        if not there:
            raise VideoError(path, f"shorter than one chunk of {chunk_s:g} s")
        return np.array([centre.frame for centre in there[:last][begin : begin + AT_ONCE] or there[-1:]])

    while True:
        frames = read_frames(path, choose, seek=True)
        now = there[:last][begin : begin + AT_ONCE]
        for centre, time_s, rgb in zip(now, frames.times_s, frames.rgb, strict=False):
            yield Clip(video_id, *centre[:3], float(time_s), shrink(rgb))
        begin += AT_ONCE
        if begin >= len(there[:last]):
            return


def square(rgb: np.ndarray, size: int) -> np.ndarray:
    """(size, size, 3) uint8 of (H, W, 3): bicubic, antialiased, the aspect not kept."""
    return _scaled(rgb, size, size, "bicubic")


def thumbnail(rgb: np.ndarray, height: int) -> np.ndarray:
    """(height, W, 3) uint8, the aspect kept; a smaller picture stays as it is."""
    if len(rgb) <= height:
        return rgb
    return _scaled(rgb, height, max(1, round(rgb.shape[1] * height / len(rgb))), "bilinear")


def _scaled(rgb: np.ndarray, height: int, width: int, mode: str) -> np.ndarray:
    """In whole numbers, as imaging libraries do it: a fifth of the time that it takes in floating point."""
    pixels = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1).unsqueeze(0)
    scaled = interpolate(pixels, size=(height, width), mode=mode, antialias=True, align_corners=False)
    return scaled[0].permute(1, 2, 0).contiguous().numpy()


def ahead(items: Iterable[Item], made: Callable[[Item], Made], workers: int) -> Iterator[Made]:
    """`made(item)` of every item in order, the next ones made by threads while one is used."""
    queue = iter(items)
    pool = ThreadPoolExecutor(max_workers=workers)
    try:
        waiting: deque[Future[Made]] = deque(pool.submit(made, one) for one in islice(queue, workers + 1))
        while waiting:
            now = waiting.popleft().result()
            waiting.extend(pool.submit(made, one) for one in islice(queue, 1))
            yield now
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def stacked(pictures: Iterable[np.ndarray], device: Any) -> torch.Tensor:
    """(N, 3, S, S) float32 in [0, 1] of (S, S, 3) uint8 each."""
    whole = torch.from_numpy(np.stack(list(pictures))).to(device)
    return whole.permute(0, 3, 1, 2).float() / 255
