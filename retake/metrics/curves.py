"""What a training's own record says of how it went: numbers of its curves."""

from collections.abc import Callable, Mapping

import numpy as np

Curve = list[tuple[int, float]]  # (step, value) in order of steps, as far as they were recorded
SPIKE, BEFORE = 1.5, 20  # a spike: more than so many times the median of so many losses before


def last_loss(losses: Curve) -> float:
    """Mean of the last tenth of the losses, of one at least."""
    values = [value for _, value in losses]
    return float(np.mean(values[-max(1, len(values) // 10) :]))


def loss_spikes(losses: Curve) -> float:
    """How many recorded losses are more than SPIKE times the median of the BEFORE ones before."""
    values = np.array([value for _, value in losses])
    return float(
        sum(values[at] > SPIKE * np.median(values[at - BEFORE : at]) for at in range(BEFORE, len(values)))
    )


def grad_spread(norms: Curve) -> float:
    """Standard deviation over mean of the gradient's norm in the second half of what was recorded.

    Raises ValueError where this half holds fewer than two points, or only zeros.
    """
    values = np.array([value for _, value in norms[len(norms) // 2 :]])
    if len(values) < 2 or values.mean() == 0:
        raise ValueError(
            f"the second half of train/grad_norm has {len(values)} points, of mean {values.sum()}"
        )
    return float(values.std() / values.mean())


def diverged(marks: Curve) -> float:
    """1 where the training said that it diverged, else 0."""
    return float(any(value > 0 for _, value in marks))


OF_RECORD: Mapping[str, tuple[str, Callable[[Curve], float]]] = {  # metric -> the curve it is of, and how
    "last_loss": ("train/total", last_loss),
    "loss_spikes": ("train/total", loss_spikes),
    "grad_spread": ("train/grad_norm", grad_spread),
    "diverged": ("train/diverged", diverged),
}
MAY_BE_EMPTY = ("diverged",)  # no mark: it did not
