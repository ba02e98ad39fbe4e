"""Boxes of keyframes: those that a data set labels, those that a detector found, and what a cut leaves of them.

Letters  N boxes, K classes. Boxes are (N, 4) float64 xyxy in [0, 1] of the whole frame unless said otherwise.
Source   METHODS 8.2: training learns labelled boxes and sure detections, which have the labels of the box they meet.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = ("video_id", "time_s", "box_xyxy", "score")
OUTSIDE = 1e-3  # so far beyond the frame a rounded coordinate may lie
KEPT = 2048  # keyframes whose boxes one reader keeps, as they are learnt
LEAST = 1e-6  # a cut box with a shorter side, as a share of the cut's, has no area

Moment = tuple[
    str, int
]  # video, milliseconds: times that were written twice need not be equal to the last bit


class Boxes(NamedTuple):
    """The boxes of one keyframe, and the classes of each."""

    xyxy: np.ndarray
    labels: tuple[tuple[int, ...], ...]


def moment(video_id: str, time_s: float) -> Moment:
    return video_id, round(time_s * 1000)


def checked(boxes: Any, where: str, *, some_area: bool = True) -> np.ndarray:
    """(N, 4) of `boxes`, cut to the frame. Raises ValueError that begins with `where`, also on one without area.

    some_area  False: boxes without area pass, for who lists them
    """
    found = np.asarray(boxes, dtype=np.float64)
    if found.ndim != 2 or found.shape[1] != 4:
        raise ValueError(f"{where}: expected boxes of four numbers, found shape {found.shape}")
    near = (found >= -OUTSIDE) & (found <= 1 + OUTSIDE)  # what is no number is not near
    wrong = ~near.all(axis=1) | (found[:, :2] > found[:, 2:]).any(axis=1)
    if wrong.any():
        number = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"{where}: box {number} is {found[number].tolist()}; expected left, top, right, bottom in [0, 1], rising"
        )
    inside = found.clip(0, 1)
    empty = (inside[:, :2] >= inside[:, 2:]).any(axis=1)
    if some_area and empty.any():
        number = int(np.flatnonzero(empty)[0])
        raise ValueError(f"{where}: box {number} is {found[number].tolist()}; expected one of some area")
    return inside


def overlaps(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N, M) intersection over union of `some` (N, 4) and `others` (M, 4); 0 where neither has an area."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    both = np.prod(np.maximum(high - low, 0), axis=-1)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1) for boxes in (some, others)]
    union = areas[0][:, None] + areas[1][None] - both
    return np.divide(both, union, out=np.zeros_like(both), where=union > 0)


def matched(found: np.ndarray, truth: Boxes, at_least: float) -> tuple[tuple[int, ...], ...]:
    """Of each of `found` (N, 4) the classes of the labelled box that it meets best, of two the first.

    None where the best overlap is below `at_least`.
    """
    if not len(truth.xyxy):
        return ((),) * len(found)
    over = overlaps(found, truth.xyxy)
    best = over.argmax(axis=1)
    good = over[np.arange(len(found)), best] >= at_least
    return tuple(truth.labels[b] if ok else () for b, ok in zip(best, good, strict=True))


def cut_to(
    boxes: np.ndarray, frame: tuple[int, int], part: tuple[int, int, int, int], *, mirror: bool
) -> tuple[np.ndarray, np.ndarray]:
    """((M,) which of `boxes` show in a part of a frame, (M, 4) where, in [0, 1] of it).

    frame   (height, width) in pixels; part: (top, left, height, width) of it; mirror: left and right are exchanged
    A box that crosses the edge ends there; one without any area left is not shown.
    """
    (height, width), (top, left, rows, columns) = frame, part
    shown = (boxes * (width, height, width, height) - (left, top, left, top)) / (columns, rows, columns, rows)
    shown = shown.clip(0, 1)
    keep = np.flatnonzero((shown[:, 2:] - shown[:, :2] > LEAST).all(axis=1))
    shown = shown[keep]
    if mirror:
        shown[:, [0, 2]] = 1 - shown[:, [2, 0]]
    return keep, shown


def truth_of(rows: Sequence[Mapping[str, Any]], where: str) -> Boxes:
    """The labelled boxes of one keyframe's rows; a row without a box says that it has none.

    Raises ValueError that begins with `where` and the row's ref_id.
    """
    boxed = [row for row in rows if row["box_xyxy"] is not None]
    found = [checked([row["box_xyxy"]], f"{where}: {row['ref_id']}") for row in boxed]
    labels = tuple(tuple(row["labels"]) if row["labels"] is not None else () for row in boxed)
    return Boxes(np.concatenate([np.zeros((0, 4)), *found]), labels)


def detections(path: Path, moments: Iterable[Moment], min_score: float) -> dict[Moment, np.ndarray]:
    """Moment -> (N, 4) boxes of at least `min_score` that a detector found then, surest first.

    Only what is found at `moments` is kept of a table of any size. Raises ValueError that names file and row.
    """
    wanted, found = set(moments), dict[Moment, list[tuple[float, np.ndarray]]]()
    with pq.ParquetFile(path) as file:
        if absent := [name for name in COLUMNS if name not in file.schema_arrow.names]:
            raise ValueError(f"{path}: no column {absent[0]}; expected {', '.join(COLUMNS)}")
        first = 0
        for batch in file.iter_batches(columns=list(COLUMNS)):
            scores = batch["score"].to_numpy(zero_copy_only=False)
            if not ((scores >= 0) & (scores <= 1)).all():
                row = int(np.flatnonzero(~((scores >= 0) & (scores <= 1)))[0])
                raise ValueError(f"{path}: row {first + row}: score {scores[row]}; expected 0 to 1")
            rows = np.flatnonzero(scores >= min_score)
            columns = batch.take(pa.array(rows)).to_pydict()
            for row, *values in zip(rows, *(columns[name] for name in COLUMNS), strict=True):
                video_id, time_s, box, score = values
                if (at := moment(video_id, time_s)) in wanted:
                    box = checked([box], f"{path}: row {first + row}")[0]
                    found.setdefault(at, []).append((-score, box))
            first += len(batch)
    return {
        at: np.stack([box for _, box in sorted(pairs, key=lambda p: p[0])]) for at, pairs in found.items()
    }


class Keyframes:
    """Which boxes the keyframes of a split have: as they are learnt, and as they are asked about.

    settings  `boxes` of a recipe's sample
    path      the detector's table (parquet: video_id, time_s, box_xyxy, score, ...); None where none is named
    items     rows joined by item, each with its labelled boxes under "truth"
    """

    def __init__(self, settings: Mapping[str, Any], path: Path | None, items: Sequence[Mapping[str, Any]]):
        if (settings["detector"] is None) != (path is None):
            raise ValueError(f"data: boxes: detector is {settings['detector']!r}, its table {path}")
        self.settings, self.path = settings, path
        self.moments = {moment(item["video_id"], item["start_s"]) for item in items}
        self._found: dict[float, dict[Moment, np.ndarray]] = {}
        self._last: OrderedDict[Moment, tuple[Boxes, Boxes]] = OrderedDict()  # labelled boxes, and all learnt

    def _detected(self, item: Mapping[str, Any], min_score: float) -> np.ndarray:
        if self.path is None:
            return np.zeros((0, 4))
        if min_score not in self._found:  # one table is kept: a source is learnt from or asked, rarely both
            self._found = {min_score: detections(self.path, self.moments, min_score)}
        return self._found[min_score].get(moment(item["video_id"], item["start_s"]), np.zeros((0, 4)))

    def any_learnt(self, item: Mapping[str, Any]) -> bool:
        """Whether `learnt` has a box."""
        of_truth = self.settings["truth"] and len(item["truth"].xyxy) > 0
        return of_truth or len(self._detected(item, self.settings["min_score"])) > 0

    def learnt(self, item: Mapping[str, Any]) -> Boxes:
        """Labelled boxes as far as the settings want them, then detections by falling score."""
        truth, settings = item["truth"], self.settings
        key = moment(item["video_id"], item["start_s"])
        if key in self._last and self._last[key][0] is truth:
            return self._last[key][1]
        found = self._detected(item, settings["min_score"])
        labels = matched(found, truth, settings["match_iou"])
        if settings["truth"]:
            found, labels = np.concatenate([truth.xyxy, found]), (*truth.labels, *labels)
        learnt = Boxes(found, ((0,),) * len(found) if settings["one_class"] else labels)
        self._last[key] = truth, learnt
        if len(self._last) > KEPT:
            self._last.popitem(last=False)
        return learnt

    def asked(self, item: Mapping[str, Any], min_score: float | None) -> Boxes:
        """Detections of at least `min_score` (None: as learnt), or the labelled boxes where there is no detector."""
        truth, settings = item["truth"], self.settings
        found, labels = truth
        if self.path is not None:
            found = self._detected(item, settings["min_score"] if min_score is None else min_score)
            labels = matched(found, truth, settings["match_iou"])
        return Boxes(found, ((0,),) * len(found) if settings["one_class"] else labels)
