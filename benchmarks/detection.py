"""How long AVA's average precision takes, beside its rules followed step by step.

    python benchmarks/detection.py [--boxes 50000] [--classes 60] [--repetitions 3] [--literal 1]

Made up: pictures with three boxes of truth each, of two classes, about as many answers as boxes, half of them near one
of them; every answer has a score for each class. Printed: processor time of all classes on one core (median over
repetitions; the target is 20 s for 50,000 boxes and 60 classes), then in the same run that of the literal rules on the
first --literal classes, taken times the number of classes, and the largest difference of the precisions both give.
"""

import argparse
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from retake.metrics.detection import Boxes, average_precisions
from tests.unit.metrics.literal_detection import area, right_ones

TARGET_S = 20.0


def made_up(num_boxes: int, num_classes: int) -> tuple[Boxes, np.ndarray, Boxes, np.ndarray]:
    """Answers, their scores, truth and its labels."""
    rng = np.random.default_rng(0)
    corner, size = rng.random((num_boxes, 2)) * 0.6, 0.1 + 0.3 * rng.random((num_boxes, 2))
    boxes = np.concatenate([corner, corner + size], axis=1)
    pictures = np.arange(num_boxes) // 3
    moved = boxes + rng.normal(0, 0.02, boxes.shape) * (rng.random((num_boxes, 1)) < 0.5)
    away = rng.permutation(num_boxes)
    near = np.where(rng.random((num_boxes, 1)) < 0.5, np.clip(moved, 0, 1), boxes[away])
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 0.01)
    truth = Boxes(np.repeat(pictures, 2), np.repeat(boxes, 2, axis=0))
    labels = rng.integers(0, num_classes, truth.picture.size)
    return Boxes(pictures, near), rng.random((num_boxes, num_classes)), truth, labels


def literal(answers: Boxes, scores: np.ndarray, truth: Boxes, labels: np.ndarray, label: int) -> float:
    """The precision of one class, by the rules as they are written."""
    rows, boxes = defaultdict(list), defaultdict(list)
    for n, picture in enumerate(answers.picture.tolist()):
        rows[picture].append(n)
    for n in np.flatnonzero(labels == label).tolist():
        boxes[int(truth.picture[n])].append(tuple(truth.xyxy[n].tolist()))
    right = [False] * len(scores)
    for picture, mine in rows.items():
        here = [(tuple(answers.xyxy[n].tolist()), float(scores[n, label])) for n in mine]
        for n, is_right in zip(mine, right_ones(here, boxes[picture], 0.5), strict=True):
            right[n] = is_right
    return area(scores[:, label].tolist(), right, int((labels == label).sum()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--boxes", type=int, default=50_000)
    parser.add_argument("--classes", type=int, default=60)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--literal", type=int, default=1, help="classes scored by the literal rules, too")
    asked = parser.parse_args()
    made = made_up(asked.boxes, asked.classes)
    taken = []
    for _ in range(asked.repetitions):
        begin = time.process_time()
        found = average_precisions(*made)
        taken.append(time.process_time() - begin)
    ours = statistics.median(taken)
    print(f"{asked.boxes} boxes x {asked.classes} classes: {ours:.2f} s; target {TARGET_S:.0f} s")
    print(f"mean AP {np.nanmean(found):.4f}")
    begin = time.process_time()
    others = [literal(*made, label) for label in range(asked.literal)]
    spent = (time.process_time() - begin) / max(asked.literal, 1) * asked.classes
    if others:
        apart = np.abs(found[: asked.literal] - others).max()
        print(
            f"literal rules: {spent:.0f} s for all classes, {spent / ours:.0f} times; largest difference {apart:.1e}"
        )


if __name__ == "__main__":
    main()
