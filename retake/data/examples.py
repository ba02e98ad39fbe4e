"""extract_examples: the frames that a figure shows of coded videos, chosen by a stated rule and decoded once.

Kind signals: one video's picture, motion and residual at a few frames of its first group of pictures, as the codec
has them. Kind embedding: every signal of the first frames of two videos, as a network is shown it, in a few fields.
Kind examples_by_window: keyframes with a box whose class is the surer the longer the window (`examples_by_window`).
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from retake.data.coded import as_input
from retake.data.examples_by_window import gaining
from retake.data.motion import read_coded
from retake.data.streams import Stream, Streams
from retake.schema.strict import did_you_mean

SHOWN = ("rgb", "motion_step", "residual_step", "motion", "residual")  # of kind signals
EMBEDDED = ("rgb", "motion", "residual")
COLUMNS = ("video", "video_id", "number", "position", "time_s")  # of frames


def extract_examples(
    *,
    spec: Mapping[str, Any],
    annotations: Path,
    index: Path,
    arrays_out: Path,
    table_out: Path,
    predictions: Sequence[Path] = (),
) -> None:
    """Write the arrays (npz) and which frame each is (CSV). `spec` is a recipe's figure, `index` its view's.

    signals    arrays SIGNAL (N, H, W, C): uint8 pictures, int16 displacements (pixels) and residuals
    embedding  arrays SIGNAL_0 and SIGNAL_1 (N, values) float32: means over grid x grid fields, values 0 to 255
    examples_by_window  arrays picture_N (H, W, 3) uint8; of predictions one table for each of spec["points"]
    Raises ValueError where no video of the split will do.
    """
    if spec["kind"] == "examples_by_window":
        arrays, rows = gaining(spec, annotations, index, predictions)
        _write(arrays, rows, arrays_out, table_out)
        return
    streams = Streams(index)
    table = pd.read_parquet(annotations)
    table = table[(table["split"] == spec["split"]) & table["video_id"].isin(list(streams))]
    where = f"{annotations}: split {spec['split']!r}"
    if spec["kind"] == "signals":
        arrays, rows = _most_moving(where, sorted(set(table["video_id"])), streams, spec)
    elif spec["kind"] == "embedding":
        arrays, rows = _two_of_a_class(where, table, streams, spec)
    else:
        raise ValueError(f"a figure of kind {spec['kind']!r} shows no frames of its own")
    _write(arrays, rows, arrays_out, table_out)


def _write(
    arrays: dict[str, Any], rows: Sequence[Mapping[str, Any]], arrays_out: Path, table_out: Path
) -> None:
    with Path(arrays_out).open("wb") as file:
        np.savez(file, **arrays)
    with Path(table_out).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _rows(video: int, video_id: str, streams: Streams, frames: Sequence[Any]) -> list[dict[str, Any]]:
    times = streams.segment(video_id)["times_s"]
    keys = [(one.number, one.position, f"{times[one.number]:.3f}") for one in frames]
    return [dict(zip(COLUMNS, (video, video_id, *key), strict=True)) for key in keys]


def first_group(stream: Stream, at: Sequence[int]) -> list[Any]:
    """The frames `at` of a video's first group of pictures, with all signals; empty where one is not in it."""
    last = stream.group(0)[1]
    if max(at) >= last:
        return []
    return list(read_coded(stream.bytes_of(0, last), SHOWN, only=set(at)))


def _most_moving(
    where: str, videos: list[str], streams: Streams, spec: Mapping[str, Any]
) -> tuple[dict, list]:
    """Of the first spec["of"] videos that have the frames, the one whose accumulated displacements are longest."""
    best: tuple[float, str, list[Any]] | None = None
    seen = 0
    for video_id in videos:
        frames = first_group(streams.stream(video_id), spec["at"])
        if not frames or any(one.motion is None or one.residual is None for one in frames):
            continue
        moved = float(
            np.mean([np.hypot(*np.moveaxis(one.motion.astype(np.float64), -1, 0)).mean() for one in frames])
        )
        if best is None or moved > best[0]:
            best = (moved, video_id, frames)
        seen += 1
        if seen == spec["of"]:
            break
    if best is None:
        raise ValueError(f"{where}: no video has frame {max(spec['at'])} in its first group of pictures")
    _, video_id, frames = best
    arrays = {name: np.stack([getattr(one, name) for one in frames]) for name in SHOWN}
    return arrays, _rows(0, video_id, streams, frames)


def _two_of_a_class(
    where: str, table: pd.DataFrame, streams: Streams, spec: Mapping[str, Any]
) -> tuple[dict, list]:
    """The class's first and last video by name."""
    classes = sorted(set(table["text_out"].dropna()))
    videos = sorted(set(table.loc[table["text_out"] == spec["label"], "video_id"]))
    if not videos:
        raise ValueError(
            f"{where}: no video of class {spec['label']!r}; {did_you_mean(spec['label'], classes)}"
        )
    if len(videos) < 2:
        raise ValueError(f"{where}: one video of class {spec['label']!r}, {videos[0]}; two are compared")
    arrays: dict[str, np.ndarray] = {}
    rows: list[dict[str, Any]] = []
    for video, video_id in enumerate((videos[0], videos[-1])):
        frames = []
        for one in read_coded(streams.stream(video_id).data, EMBEDDED):
            if one.motion is not None and one.residual is not None:
                frames.append(one)
            if len(frames) == spec["frames"]:
                break
        if len(frames) < 4:
            raise ValueError(f"{streams.index}: video {video_id!r}: {len(frames)} frames have every signal")
        for name in EMBEDDED:
            fields = [in_fields(as_input(name, getattr(one, name)), spec["grid"]) for one in frames]
            arrays[f"{name}_{video}"] = np.stack(fields)
        rows += _rows(video, video_id, streams, frames)
    return arrays, rows


def in_fields(frame: np.ndarray, grid: int) -> np.ndarray:
    """(grid * grid * C,) float32 means of a frame (H, W, C), cut into fields as even as can be.

    Raises ValueError on a frame with fewer rows or columns than fields.
    """
    height, width, _ = frame.shape
    if min(height, width) < grid:
        raise ValueError(f"a frame of {height} x {width} has no {grid} x {grid} fields")
    sums = frame.astype(np.float64)
    for axis, length in ((0, height), (1, width)):
        edges = np.arange(grid + 1) * length // grid
        counts = np.diff(edges).reshape([-1 if a == axis else 1 for a in range(3)])
        sums = np.add.reduceat(sums, edges[:-1], axis=axis) / counts
    return sums.astype(np.float32).ravel()
