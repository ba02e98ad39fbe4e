"""AVA's rules step by step, one class and one picture after the other; slow, and kept for comparison."""

import numpy as np

Box = tuple[float, float, float, float]


def iou(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def right_ones(answers: list[tuple[Box, float]], truth: list[Box], least: float) -> list[bool]:
    """Whether each answer of one class in one picture is right; in the order given."""
    right, found = [False] * len(answers), [False] * len(truth)
    for n in sorted(range(len(answers)), key=lambda n: -answers[n][1]):
        if not truth:
            continue
        shared = [iou(answers[n][0], box) for box in truth]
        most = shared.index(max(shared))
        if shared[most] >= least and not found[most]:
            right[n] = found[most] = True
    return right


def area(scores: list[float], right: list[bool], num_truth: int) -> float:
    """The area under precision over recall, precision made monotone from the end."""
    order = sorted(range(len(scores)), key=lambda n: -scores[n])
    recall, precision, hits = [0.0], [0.0], 0
    for seen, n in enumerate(order, start=1):
        hits += right[n]
        recall.append(hits / num_truth)
        precision.append(hits / seen)
    recall, precision = [*recall, 1.0], [*precision, 0.0]
    for n in range(len(precision) - 2, -1, -1):
        precision[n] = max(precision[n], precision[n + 1])
    steps = range(1, len(recall))
    return sum((recall[n] - recall[n - 1]) * precision[n] for n in steps if recall[n] != recall[n - 1])


def average_precisions(
    answers: list[tuple[int, Box, list[float]]],
    truth: list[tuple[int, Box, int]],
    num_classes: int,
    least: float = 0.5,
) -> np.ndarray:
    """answers: (picture, box, a score a class); truth: (picture, box, label). NaN where a class has no truth."""
    found = np.full(num_classes, np.nan)
    for label in range(num_classes):
        mine = [row for row in truth if row[2] == label]
        if not mine:
            continue
        right = [False] * len(answers)
        for picture in {row[0] for row in answers}:
            rows = [n for n, row in enumerate(answers) if row[0] == picture]
            here = [(answers[n][1], answers[n][2][label]) for n in rows]
            boxes = [box for at, box, _ in mine if at == picture]
            for n, is_right in zip(rows, right_ones(here, boxes, least), strict=True):
                right[n] = is_right
        found[label] = area([row[2][label] for row in answers], right, len(mine))
    return found
