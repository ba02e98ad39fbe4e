"""How sure a difference is: a paired bootstrap over seeds and test items.

A metric of a set is a function of statistics that add up over its items: a mean of item scores, or BLEU-4
and METEOR from their counts. Drawing items with replacement is then a weight an item, and a draw costs one
product of matrices.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 2000
AT_ONCE = 250  # draws whose weights are in memory together: 250 x 3,000 items are 6 MB


def mean_of(sums: np.ndarray) -> np.ndarray:
    """sums (..., 2): of the values, and of their number; NaN where nothing was drawn that has a value."""
    with np.errstate(invalid="ignore"):
        return sums[..., 0] / sums[..., 1]


def bleu4_of(sums: np.ndarray) -> np.ndarray:
    """sums (..., 10): tokens, closest references' tokens, n-grams, n-grams matched; COCO's constants."""
    tokens, closest = sums[..., 0], sums[..., 1]
    share = (sums[..., 6:10] + 1e-15) / (sums[..., 2:6] + 1e-9)
    ratio = (tokens + 1e-15) / (closest + 1e-9)
    return np.prod(share, axis=-1) ** 0.25 * np.where(ratio < 1, np.exp(1 - 1 / ratio), 1.0)


def meteor_of(sums: np.ndarray) -> np.ndarray:
    """sums (..., 23): METEOR 1.5 for English from metrics/meteor.py's statistics; 0 without a match.

    Tokens of caption and reference, function words of both; for each of four matchers the content words of
    both and the function words of both; chunks (none of an item that matches whole); matched words of both.
    alpha 0.85, beta 0.2, gamma 0.6, delta 0.75.
    """
    matches = sums[..., 4:20].reshape(*sums.shape[:-1], 4, 4)
    weighted = np.tensordot(matches, np.array([1.0, 0.6, 0.8, 0.6]), axes=([-2], [0]))
    found = 0.75 * weighted[..., :2] + 0.25 * weighted[..., 2:]
    there = 0.75 * (sums[..., :2] - sums[..., 2:4]) + 0.25 * sums[..., 2:4]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, recall = np.moveaxis(found / there, -1, 0)
        mean = 1 / (0.15 / precision + 0.85 / recall)
        broken = sums[..., 20] / sums[..., 21:23].mean(axis=-1)
        score = mean * (1 - 0.6 * broken**0.2)
    return np.where(np.isnan(score), 0.0, np.maximum(score, 0.0))


@dataclass(frozen=True)
class Interval:
    """difference a - b on all of it, and the middle 95% of its draws (None: too few seeds)."""

    difference: float
    low: float | None
    high: float | None


Of = Callable[[np.ndarray], np.ndarray]


def _interval(difference: float, draws: np.ndarray) -> Interval:
    low, high = np.percentile(draws[~np.isnan(draws)], [2.5, 97.5])
    return Interval(float(difference), float(low), float(high))


def _weights(rng: np.random.Generator, draws: int, size: int) -> np.ndarray:
    """How often each of `size` things is drawn in `size` draws with replacement: (draws, size) float."""
    return rng.multinomial(size, np.full(size, 1 / size), size=draws).astype(np.float64)


def paired_bootstrap(
    a: np.ndarray, b: np.ndarray | float, of: Of, *, rng: np.random.Generator, draws: int = DRAWS
) -> Interval:
    """Difference a - b of the mean over seeds of a metric, and its 95% interval.

    a, b   (seeds, items, statistics); seed i and item j of both belong together and are drawn together.
           b may be one number instead, as another paper prints it
    of     statistics summed over items (..., statistics) -> the metric (...)
    Raises ValueError on shapes that differ or hold nothing.
    """
    return mean_bootstrap([(a, b)], of, rng=rng, draws=draws)


def mean_bootstrap(
    parts: Sequence[tuple[np.ndarray, np.ndarray | float]],
    of: Of,
    *,
    rng: np.random.Generator,
    draws: int = DRAWS,
) -> Interval:
    """The same of the mean over data sets, each counting alike; parts are the a and b of each.

    The items of a data set are drawn apart from another's.
    """
    found = [_paired(a, b, of, rng, draws) for a, b in parts]
    every = np.stack([drawn for _, drawn in found])
    return _interval(math.fsum(difference for difference, _ in found) / len(found), every.mean(axis=0))


def _paired(
    a: np.ndarray, b: np.ndarray | float, of: Of, rng: np.random.Generator, draws: int
) -> tuple[float, np.ndarray]:
    """(difference on all of it, differences of the draws) of one data set."""
    if a.ndim != 3 or 0 in a.shape or (isinstance(b, np.ndarray) and b.shape != a.shape):
        raise ValueError(
            f"a {a.shape} and b {np.shape(b)}: expected equal (seeds, items, statistics), none of them 0"
        )
    num_seeds, num_items, _ = a.shape
    sides = (a, b) if isinstance(b, np.ndarray) else (a,)

    def differences(items: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """items (draws, items), seeds (draws, seeds): weights."""
        values = [of(np.einsum("dn,snk->dsk", items, side, optimize=True)) for side in sides]
        gap = values[0] - (values[1] if len(values) > 1 else b)  # (draws, seeds)
        return (gap * seeds).sum(axis=1) / num_seeds

    difference = differences(np.ones((1, num_items)), np.ones((1, num_seeds)))[0]
    parts = []
    for start in range(0, draws, AT_ONCE):
        size = min(AT_ONCE, draws - start)
        parts.append(differences(_weights(rng, size, num_items), _weights(rng, size, num_seeds)))
    return float(difference), np.concatenate(parts)


def seed_bootstrap(
    a: np.ndarray, b: np.ndarray | float, *, rng: np.random.Generator, draws: int = DRAWS
) -> Interval:
    """The same for a metric that does not decompose over items: a, b (seeds,); only seeds are drawn.

    With one seed there is no interval.
    """
    if a.ndim != 1 or not len(a) or (isinstance(b, np.ndarray) and b.shape != a.shape):
        raise ValueError(f"a {a.shape} and b {np.shape(b)}: expected one value a seed")
    gap = a - b
    if len(gap) == 1:
        return Interval(float(gap[0]), None, None)
    return _interval(gap.mean(), _weights(rng, draws, len(gap)) @ gap / len(gap))
