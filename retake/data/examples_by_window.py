"""Keyframes of a figure: boxes whose class is answered the surer the longer the window is.

A labelled box is answered by the predicted box that overlaps it most, of equal ones the first, if by half at least.
Looked at is every class of every labelled box that all predictions answer. Shown are those whose class gains most
probability from the first predictions (the shortest window) to the last (the longest); of equal gains the first by
item, reference and class. No video is shown twice, and none that the view does not have.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from retake.data.array_index import Arrays
from retake.data.boxes import overlaps
from retake.data.coded import coded
from retake.schema.classes import class_names

IOU = 0.5
COLUMNS = ["item_id", "ref_id", "video_id", "start_s", "box_xyxy", "labels", "text_out"]
Answers = dict[str, tuple[np.ndarray, np.ndarray]]  # item_id -> boxes (N, 4), scores (N, K)


class Example(NamedTuple):
    """One class of one labelled box, and its probability in each of the predictions."""

    row: dict[str, Any]  # of the annotations
    label: int
    probabilities: tuple[float, ...]

    @property
    def gain(self) -> float:
        return self.probabilities[-1] - self.probabilities[0]


def gaining(
    spec: Mapping[str, Any], annotations: Path, index: Path, predictions: Sequence[Path]
) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """(picture_N (H, W, 3) uint8 of example N, a row for each example and window).

    spec         split, count, points (variant, protocol, window_s, with rising windows), view_kind
    predictions  a table for each of the points
    Raises ValueError where files and points do not fit, or no labelled box is answered by all.
    """
    points = spec["points"]
    if len(points) != len(predictions):
        raise ValueError(f"{len(points)} windows are shown, and predictions are of {len(predictions)}")
    rows = [
        row
        for row in pq.read_table(
            annotations, columns=COLUMNS, filters=[("split", "=", spec["split"])]
        ).to_pylist()
        if row["box_xyxy"] is not None and row["labels"]
    ]
    pictures = Pictures(index, spec["view_kind"])
    seen = [row for row in rows if row["video_id"] in pictures]
    shown = chosen(_answered(seen, [read_answers(path) for path in predictions]), spec["count"])
    if not shown:
        where = f"{annotations}: split {spec['split']!r}"
        raise ValueError(
            f"{where}: none of {len(seen)} labelled boxes in videos of {index} is answered for every window"
        )
    most = max(label for row in rows for label in row["labels"])
    names = class_names(rows, most + 1)
    arrays, lines = {}, []
    for number, example in enumerate(shown):
        arrays[f"picture_{number}"], time_s = pictures.at(example.row["video_id"], example.row["start_s"])
        line = {"example": number, "item_id": example.row["item_id"], "ref_id": example.row["ref_id"]}
        line |= {"video_id": example.row["video_id"], "time_s": f"{time_s:.3f}"}
        line |= dict(zip(("left", "top", "right", "bottom"), example.row["box_xyxy"], strict=True))
        line |= {"label": example.label, "class": names[example.label]}
        for point, probability in zip(points, example.probabilities, strict=True):
            asked = {"variant": point["variant"], "window_s": point["window_s"]}
            lines.append(line | asked | {"probability": f"{probability:.6f}"})
    return arrays, lines


def read_answers(path: Path) -> Answers:
    """The predicted boxes of each item and their scores. Raises ValueError naming file and item."""
    table = pq.read_table(path, columns=["item_id", "box_xyxy", "scores"])
    sizes = pc.coalesce(pc.list_value_length(table["box_xyxy"]), 0)
    table = table.filter(pc.greater(sizes, 0))  # the others' items were seen and have no box
    names = table["item_id"].to_pylist()
    if not names:
        return {}
    boxes = _numbers(path, names, table["box_xyxy"], 4)
    scores = _numbers(path, names, table["scores"], len(table["scores"][0].as_py() or ()))
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    return {name: (boxes[mine], scores[mine]) for name, mine in rows.items()}


def _numbers(path: Path, names: list[str], column: pa.ChunkedArray, width: int) -> np.ndarray:
    """(N, width) of a column of lists, which as Python's numbers would be most of the memory."""
    lists = column.combine_chunks()
    lengths = np.array([length or 0 for length in pc.list_value_length(lists).to_pylist()])
    if (odd := lengths != max(width, 1)).any():
        item, found = names[int(odd.argmax())], lengths[odd][0]
        raise ValueError(f"{path}: item {item!r}: expected {max(width, 1)} numbers, not {found}")
    return lists.flatten().to_numpy(zero_copy_only=False).astype(np.float64).reshape(len(names), -1)


def _answered(rows: Sequence[dict[str, Any]], answers: Sequence[Answers]) -> Iterator[Example]:
    """Every class of every box that all predictions answer. Raises ValueError on a class that has no score."""
    for row in rows:
        box = np.array([row["box_xyxy"]], dtype=np.float64)
        scores = []
        for found in answers:
            boxes, of_boxes = found.get(row["item_id"], (np.zeros((0, 4)), np.zeros((0, 0))))
            shared = overlaps(boxes, box)[:, 0]
            if len(boxes) and shared.max() >= IOU:
                scores.append(of_boxes[int(shared.argmax())])
        if len(scores) < len(answers):
            continue
        for label in row["labels"]:
            if label >= min(map(len, scores)):
                raise ValueError(
                    f"{row['ref_id']}: label {label}; there are scores of {min(map(len, scores))} classes"
                )
            yield Example(row, label, tuple(float(of_box[label]) for of_box in scores))


def chosen(examples: Iterator[Example], count: int) -> list[Example]:
    """The `count` with the largest gains, each of another video."""
    ranked = sorted(examples, key=lambda e: (-e.gain, e.row["item_id"], e.row["ref_id"], e.label))
    found: dict[str, Example] = {}
    for example in ranked:
        if len(found) < count:
            found.setdefault(example.row["video_id"], example)
    return list(found.values())


class Pictures:
    """Pictures of a view: stored ones of kind frames, decoded ones of kind stream."""

    def __init__(self, index: Path, kind: str):
        self.kind = kind
        self.reader: Any = coded("stream", index) if kind == "stream" else Arrays(index)

    def __contains__(self, video_id: object) -> bool:
        return video_id in self.reader

    def at(self, video_id: str, time_s: float) -> tuple[np.ndarray, float]:
        """(the picture (H, W, 3) shown nearest to `time_s`, when it is shown)."""
        times = self.reader.times_s(video_id)
        place = nearest(times, time_s)
        if self.kind == "stream":
            return self.reader.frames(video_id, [place], "rgb")[0], float(times[place])
        return np.array(self.reader.rows(video_id)[place]), float(times[place])


def nearest(times_s: np.ndarray, time_s: float) -> int:
    """The place of the time closest to `time_s`; of two as close the earlier."""
    return int(np.abs(times_s - time_s).argmin())
