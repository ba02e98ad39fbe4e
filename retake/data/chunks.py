"""Clips inside long videos: chunks of one length, or the segments that another table speaks of.

A clip is [start_s, end_s) of a video, in seconds from its first frame; an end of None is the video's end.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from retake.data.array_index import CLIP, window
from retake.data.rows import READ

Clip = tuple[float, float | None]
CLOSE_S = 1e-3  # a video this much shorter than whole chunks has them: its stamps are rounded


def chunks(duration_s: float, chunk_s: float) -> list[tuple[float, float]]:
    """(start, end) of the whole chunks of `chunk_s` seconds that a video holds, from 0 on; the rest is left out.

    The middle of a chunk is at start + chunk_s / 2. Raises ValueError on a length that is not positive.
    """
    if not chunk_s > 0:
        raise ValueError(f"chunk_s: expected seconds above 0, not {chunk_s}")
    whole = int((duration_s + CLOSE_S) // chunk_s)
    return [(k * chunk_s, (k + 1) * chunk_s) for k in range(whole)]


def length_s(times_s: np.ndarray) -> float:
    """How long frames shown at rising `times_s` last, as the index says it of a video."""
    num_frames = len(times_s)
    return num_frames * float(times_s[-1]) / (num_frames - 1) if num_frames > 1 else 0.0


def segments_of(annotations: Path, videos: Iterable[str] | None = None) -> dict[str, list[Clip]]:
    """video_id -> its distinct (start_s, end_s) in an annotation table, in order of time; of these videos, or of all."""
    wanted = None if videos is None else set(videos)
    found: dict[str, set[Clip]] = {}
    with pq.ParquetFile(annotations) as file:  # pq.read_table would import pandas
        for batch in file.iter_batches(READ, columns=["video_id", "start_s", "end_s"]):
            for video_id, start_s, end_s in zip(*batch.to_pydict().values(), strict=True):
                if wanted is None or video_id in wanted:
                    found.setdefault(video_id, set()).add((start_s, end_s))
    return {video_id: sorted(clips, key=_in_time) for video_id, clips in sorted(found.items())}


def clips_of(
    view: Mapping[str, Any], segments: Mapping[str, list[Clip]] | None, video_id: str, duration_s: float
) -> list[Clip]:
    """The clips that a view cuts out of a video of `duration_s` seconds; none where it is too short for one.

    segments  as of `segments_of`, where the view names a data set
    """
    if segments is not None:
        return list(segments.get(video_id, ()))
    return [*chunks(duration_s, view["chunk_s"])]


def frames_in(times_s: np.ndarray, clip: Clip) -> tuple[int, int]:
    """First and one past the last of rising `times_s` in a clip; the same where there is none.

    A clip that starts where it ends is a picture: the frame that is up.
    """
    first, last = window(times_s, *clip)  # at least the frame that is up at the start
    start_s, end_s = clip
    if end_s == start_s or times_s[first] >= start_s - 1e-6:
        return first, last
    return first, first


def named(clip: Clip) -> str:
    """A clip in words, as failures.csv names it."""
    start_s, end_s = clip
    return f"{CLIP}{start_s:.3f} s to {'the end' if end_s is None else f'{end_s:.3f} s'}"


def _in_time(clip: Clip) -> tuple[float, float]:
    return clip[0], float("inf") if clip[1] is None else clip[1]


def joined(rows: Iterable[np.ndarray]) -> np.ndarray:
    """The rising union of arrays of frame numbers."""
    return np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *rows]))
