"""Average precision of boxes that people do things in, by the rules of AVA's own evaluation (PASCAL's).

A box is an answer to every class, with the class's score. An answer is right if the box of its class's truth in its
picture that it overlaps most (of equal ones the first) has an intersection over union of at least 0.5 with it, and no
surer answer has taken that box. Precision is made monotone from the last answer on; the area is summed over all
changes of recall. A class without truth has no precision and is left out of means.

Boxes are (left, top, right, bottom) in shares of the picture; pictures are named by whole numbers.
"""

from typing import NamedTuple

import numpy as np

IOU = 0.5


class Boxes(NamedTuple):
    """Boxes of many pictures, a row each."""

    picture: np.ndarray  # (N,) int
    xyxy: np.ndarray  # (N, 4) float


def overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N,) intersection over union of the boxes a (N, 4) and b (N, 4), row by row."""
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = np.prod(np.maximum(sides, 0.0), axis=1)
    both = np.prod(a[:, 2:] - a[:, :2], axis=1) + np.prod(b[:, 2:] - b[:, :2], axis=1)
    return shared / (both - shared)


def average_precision(answers: Boxes, scores: np.ndarray, truth: Boxes, *, iou: float = IOU) -> float:
    """The average precision of one class in [0, 1]; NaN where `truth` has no row.

    scores (N,) float, higher is surer, of the rows of `answers`. Among equal scores the earlier row is the surer.
    Raises ValueError on shapes that do not fit, a box without area or a score that is no number.
    """
    _check(answers, scores[:, None], truth)
    return _precision(answers, scores, _sorted(truth), iou)


def average_precisions(
    answers: Boxes, scores: np.ndarray, truth: Boxes, labels: np.ndarray, *, iou: float = IOU
) -> np.ndarray:
    """(K,) the average precision of each class; NaN for a class without truth.

    scores (N, K) of the rows of `answers`; labels (M,) the class of each row of `truth`: a box of several classes is
    a row of each. Raises ValueError as `average_precision` does, and on a label that is no class.
    """
    _check(answers, scores, truth)
    if labels.shape != truth.picture.shape:
        raise ValueError(
            f"labels must be {truth.picture.shape}, as many as boxes of truth, not {labels.shape}"
        )
    num_classes = scores.shape[1]
    if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(f"labels must be 0 to {num_classes - 1}, not {labels.min()} to {labels.max()}")
    found = np.full(num_classes, np.nan)
    for label in np.unique(labels):
        mine = _sorted(Boxes(*(column[labels == label] for column in truth)))
        found[label] = _precision(answers, scores[:, label], mine, iou)
    return found


def mean_over(precisions: np.ndarray, classes: np.ndarray | None = None) -> float:
    """Mean over the classes that have a precision, or over those of `classes` (indices).

    Raises ValueError where none has one.
    """
    asked = precisions if classes is None else precisions[classes]
    if not (there := asked[~np.isnan(asked)]).size:
        raise ValueError(f"none of {asked.size} classes has a box of truth")
    return float(there.mean())


def _check(answers: Boxes, scores: np.ndarray, truth: Boxes) -> None:
    for what, boxes in (("answers", answers), ("truth", truth)):
        if boxes.xyxy.shape != (boxes.picture.size, 4) or boxes.picture.ndim != 1:
            shapes = f"{boxes.picture.shape} and {boxes.xyxy.shape}"
            raise ValueError(f"{what}: pictures and boxes must be (N,) and (N, 4), not {shapes}")
        bad = ~(boxes.xyxy[:, :2] < boxes.xyxy[:, 2:]).all(axis=1) | ~np.isfinite(boxes.xyxy).all(axis=1)
        if bad.any():
            row = int(bad.argmax())
            raise ValueError(f"{what}: row {row}: box {boxes.xyxy[row].tolist()} has no area")
    if scores.ndim != 2 or len(scores) != answers.picture.size:
        raise ValueError(f"scores must be ({answers.picture.size}, K), not {scores.shape}")
    if (bad := np.isnan(scores).any(axis=1)).any():
        raise ValueError(f"answers: row {int(bad.argmax())} has a score that is no number")


def _sorted(boxes: Boxes) -> Boxes:
    """By picture; within one the order stays."""
    order = np.argsort(boxes.picture, kind="stable")
    return Boxes(boxes.picture[order], boxes.xyxy[order])


def _precision(answers: Boxes, scores: np.ndarray, truth: Boxes, iou: float) -> float:
    """Of one class; `truth` sorted by picture."""
    if not truth.picture.size:
        return float("nan")
    surest = np.argsort(-scores, kind="stable")
    meant = _best(answers, truth, iou)[surest]
    right = np.zeros(meant.size, dtype=bool)
    taken, first = np.unique(meant, return_index=True)
    right[first[taken >= 0]] = True  # a box is found once, by the surest of those that mean it
    hits = np.flatnonzero(right)
    precision = np.arange(1, hits.size + 1) / (hits + 1)  # recall changes at hits alone, there it is highest
    monotone = np.maximum.accumulate(precision[::-1])[::-1]
    return float(monotone.sum() / truth.picture.size)


def _best(answers: Boxes, truth: Boxes, iou: float) -> np.ndarray:
    """(N,) for each answer the row of `truth` in its picture that it overlaps most, -1 where by less than `iou`.

    `truth` is sorted by picture. All pairs that share a picture stand in one row after the other.
    """
    begin = np.searchsorted(truth.picture, answers.picture, side="left")
    counts = np.searchsorted(truth.picture, answers.picture, side="right") - begin
    best = np.full(answers.picture.size, -1)
    paired = np.flatnonzero(counts)
    if not paired.size:
        return best
    starts = np.cumsum(counts[paired]) - counts[paired]
    answer = np.repeat(paired, counts[paired])
    row = np.arange(answer.size) - np.repeat(starts, counts[paired]) + begin[answer]
    shared = overlaps(answers.xyxy[answer], truth.xyxy[row])
    most = np.maximum.reduceat(shared, starts)
    is_most = np.flatnonzero(shared == np.repeat(most, counts[paired]))
    of = is_most[np.searchsorted(is_most, starts)]  # the first one of each answer
    best[paired] = np.where(most >= iou, row[of], -1)
    return best
