"""Which frames of a video an example is made of: one of each of its segments, drawn or the middle one.

Source   METHODS 5.1; the numbers are those of the published loader.
Letters  S segments, N frames to choose from.

A video's last frame but for very short ones is in no segment: the bounds cut N - 1 frames, not N. Halves are
rounded to even.
"""

import numpy as np


def bounds(count: int, segments: int) -> list[tuple[int, int]]:
    """First frame of each segment and one past its last, of `count` frames; a segment has one frame at least.

    Where a video has fewer frames than segments, some share a frame. Raises ValueError where there is none.
    """
    if count < 1:
        raise ValueError(f"expected at least one frame to choose from, found {count}")
    edges = [round((count - 1) / segments * s) for s in range(segments + 1)]
    return [(begin, max(end, begin + 1)) for begin, end in zip(edges[:-1], edges[1:], strict=True)]


def drawn(count: int, segments: int, rng: np.random.Generator) -> np.ndarray:
    """(S,) numbers below `count`: a frame of each segment, each as likely as another."""
    return np.array([rng.integers(begin, end) for begin, end in bounds(count, segments)])


def centres(count: int, segments: int) -> np.ndarray:
    """(S,) numbers below `count`: the middle of each segment. Raises ValueError where there is no frame."""
    if count < 1:
        raise ValueError(f"expected at least one frame to choose from, found {count}")
    return np.array([round((count - 1) / segments * (s + 0.5)) for s in range(segments)])


def at_or_before(numbers: np.ndarray, have: np.ndarray) -> np.ndarray:
    """For each of `numbers` the last of `have` (rising) that does not come after it, else the first of `have`.

    An I-frame's number gives the P-frame before it, a P-frame's the I-frame that its group begins with.
    """
    places = np.searchsorted(have, numbers, side="right") - 1
    return have[np.maximum(places, 0)]


def frame_numbers(
    have: np.ndarray, span: tuple[int, int], segments: int, *, stack: int, rng: np.random.Generator | None
) -> np.ndarray:
    """(S, stack) frames of a part of a video, segment by segment; drawn where there is an `rng`.

    have    the numbers of the frames that can be had, rising: all, the I-frames, or those that have vectors
    span    the part: its first frame and one past its last
    stack   frames that follow one another among `have`; where they run out, the last is repeated

    Where the video begins with frames that cannot be had, as the I-frame is for vectors, they are not counted: of a
    whole video N - 1 frames are cut into segments, from the second on. Raises ValueError where there is none.
    """
    if not len(have):
        raise ValueError("no frame of the video has what is asked for")
    first, last = max(span[0], int(have[0])), span[1]
    count = max(1, last - first - (stack - 1))
    chosen = first + (centres(count, segments) if rng is None else drawn(count, segments, rng))
    starts = np.searchsorted(have, at_or_before(chosen, have))
    return have[np.minimum(starts[:, None] + np.arange(stack), len(have) - 1)]
