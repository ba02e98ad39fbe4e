"""Scores of classifiers. Plain arrays in, a fraction in [0, 1] out; who prints it puts the unit on."""

import numpy as np


def _checked(scores: np.ndarray, labels: np.ndarray, label_shape: tuple[int, ...]) -> None:
    if scores.ndim != 2 or not len(scores):
        raise ValueError(f"scores must be (N, K) with at least one row, not {scores.shape}")
    if labels.shape != label_shape:
        raise ValueError(f"labels must be {label_shape} for scores {scores.shape}, not {labels.shape}")
    if np.isnan(scores).any():
        raise ValueError(f"row {int(np.isnan(scores).any(axis=1).argmax())} has a score that is no number")


def hits_in_top(scores: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Whether each row's class is among its k surest: (N,) bool.

    scores (N, K) float, higher is surer; labels (N,) class indices. Among equal scores the lower class comes
    first. Raises ValueError on shapes that do not fit, a label that is no class, a NaN, or k outside 1..K.
    """
    _checked(scores, labels, scores.shape[:1])
    num_classes = scores.shape[1]
    if not 1 <= k <= num_classes:
        raise ValueError(f"top {k} of {num_classes} classes; k must be 1 to {num_classes}")
    if ((labels < 0) | (labels >= num_classes)).any():
        raise ValueError(f"labels must be 0 to {num_classes - 1}, not {labels.min()} to {labels.max()}")
    surest = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return (surest == labels[:, None]).any(axis=1)


def top_k_accuracy(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Share of rows whose class is among their k surest; arguments, ties and errors as in `hits_in_top`."""
    return float(hits_in_top(scores, labels, k).mean())


def average_precisions(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each class the area under its precision-recall steps, and how many positives it has: (K,), (K,) int.

    scores (N, K) float, higher is surer; labels (N, K) in {0, 1}. The area is the mean, over the positives, of
    the precision at their rank; it is NaN for a class with no positive. Ties keep the order of rows. Raises
    ValueError if no class has a positive, on other labels, and on a NaN.
    """
    _checked(scores, labels, scores.shape)
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("labels must be 0 or 1")
    order = np.argsort(-scores, axis=0, kind="stable")
    hits = np.take_along_axis(labels, order, axis=0)  # (N, K)
    precision = np.cumsum(hits, axis=0) / np.arange(1, len(hits) + 1)[:, None]
    positives = hits.sum(axis=0)
    if not positives.any():
        raise ValueError("no class has a positive label; is this the split that has annotations?")
    sums = (precision * hits).sum(axis=0)
    return np.where(positives > 0, sums / np.maximum(positives, 1), np.nan), positives


def mean_average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean over classes of `average_precisions`; a class with no positive is left out."""
    return float(np.nanmean(average_precisions(scores, labels)[0]))


def weighted_average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean over classes of `average_precisions`, weighted by how many positives a class has; one without
    any weighs nothing.
    """
    average, positives = average_precisions(scores, labels)
    return float(np.nansum(average * positives) / positives.sum())
