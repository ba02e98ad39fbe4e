"""A view: which frames of a video are kept, at what size. Pure functions of a recipe's `views:` entry.

Sampling follows Yao et al.'s reading of "equally spaced" (METHODS 1.1): the frames are cut into `count`
contiguous segments as even as can be, the longer ones first, and one frame of each is taken. A video with
fewer frames than `count` gives each frame once; who pads is the loader. Size: scaled by area-aware bilinear
interpolation to `resize` (a number is the short side, aspect kept; a pair is height and width, aspect not
kept), then a centred window of `crop`; an odd margin is rounded to even, as torchvision rounds it (314 to
299: 8 pixels off the top, 7 off the bottom).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from retake.data.chunks import CLOSE_S, length_s
from retake.data.video import Placement

SAMPLINGS = ("segment_starts", "segment_centres", "uniform", "all", "clock")
LARGEST = 8190  # pixels of a coded picture's side


def indices(count: int | None, num_frames: int, sampling: str) -> np.ndarray:
    """Which of `num_frames` frames are kept: (min(count, num_frames),) rising indices.

    segment_starts: the first frame of each segment. segment_centres: its middle one, the earlier of two.
    uniform: from the first frame to the last, ends included, halves rounded up. all: every frame.
    """
    if sampling not in SAMPLINGS:
        raise ValueError(f"sampling: no {sampling!r}; expected one of {', '.join(SAMPLINGS)}")
    if sampling == "clock":
        raise ValueError("sampling: which frames a clock picks depends on their times: see `by_clock`")
    if sampling == "all":
        return np.arange(num_frames)
    if count is None or count < 1:
        raise ValueError(f"count: expected a number of at least 1 with sampling {sampling!r}, got {count}")
    kept = min(count, num_frames)
    n = np.arange(kept, dtype=np.int64)
    if sampling == "uniform":
        steps = max(kept - 1, 1)
        return (2 * n * (num_frames - 1) + steps) // (2 * steps)
    short, longer = divmod(num_frames, max(kept, 1))
    starts = n * short + np.minimum(n, longer)
    if sampling == "segment_centres":
        return starts + (short + (n < longer) - 1) // 2
    return starts


def by_clock(times_s: np.ndarray, every_s: float) -> tuple[np.ndarray, np.ndarray]:
    """((T,) numbers of the frames that are up at 0, every_s, 2 every_s, ..., (T,) these times) of one video.

    The last time lies before the video's end. Where frames are further apart than `every_s` a number repeats. A frame
    whose rounded stamp is up to a millisecond late is up.
    """
    count = max(1, int(np.ceil((length_s(times_s) - CLOSE_S) / every_s)))
    ticks = np.arange(count) * every_s
    return np.maximum(np.searchsorted(times_s, ticks + CLOSE_S, side="right") - 1, 0), ticks


def placement(view: Mapping[str, Any], height: int, width: int) -> Placement:
    """Where a frame of `height` x `width` goes; a crop larger than the scaled frame has a negative margin."""
    resize, crop = view.get("resize"), view.get("crop")
    if isinstance(resize, int):
        short = min(height, width)
        height, width = max(1, height * resize // short), max(1, width * resize // short)
    elif resize is not None:
        height, width = resize
    out_height, out_width = (height, width) if crop is None else _pair(crop)
    return Placement(
        height, width, round((height - out_height) / 2), round((width - out_width) / 2), out_height, out_width
    )


def stream_placement(view: Mapping[str, Any], height: int, width: int) -> Placement:
    """Where a frame of `height` x `width` goes in a stream view: to its `size`, or its short side to `short_side`.

    The other side is then the even number nearest to what keeps the aspect, of two the larger.
    """
    if view.get("short_side") is None:
        return placement({"resize": _pair(view["size"])}, height, width)
    short, long = view["short_side"], max(height, width)
    side = min(LARGEST, max(short, 2 * int(long * short / (2 * min(height, width)) + 0.5)))
    return placement({"resize": (short, side) if height <= width else (side, short)}, height, width)


def frame_size(view: Mapping[str, Any]) -> tuple[int, int]:
    """Height and width of the view's frames. Raises ValueError where they would differ between videos."""
    resize, crop = view.get("resize"), view.get("crop")
    if crop is None and (resize is None or isinstance(resize, int)):
        raise ValueError("a view's frames must all have one size; expected crop, or resize: [height, width]")
    size = _pair(crop if crop is not None else resize)
    if resize is not None and any(have < want for have, want in zip(_pair(resize), size, strict=True)):
        raise ValueError(f"crop: {crop} is larger than resize: {resize}")
    return size


def _pair(size: Any) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    height, width = size
    return int(height), int(width)
