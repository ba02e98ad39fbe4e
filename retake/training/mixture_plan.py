"""Training on a mixture of sources, as many devices do it that each draw their own.

A step is made of parts, one a worker. A worker is the paper's device: it draws one source, and sees so many
examples of it as its memory holds. Parts are dealt to whatever processes there are, so that a step is the
same on one as on many.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from retake.schema.strict import checked_as
from retake.schema.training import Mixture
from retake.training.batch_plan import BatchShape, Part


@dataclass(frozen=True)
class MixturePlan:
    """options: see Mixture. `at_once` is of a source that the options give none; `batches` steps an epoch."""

    options: Mixture
    at_once: int
    batches: int
    seed: int

    def drawn(self, epoch: int, step: int) -> list[int]:
        """The source of every worker in one step of an epoch: a function of (seed, epoch, step)."""
        rng = np.random.default_rng([self.seed % 2**63, epoch, step])
        edges = np.cumsum(self.options.shares)[:-1]
        turns = rng.random(1 if self.options.draw == "together" else self.options.workers)
        sources = np.searchsorted(edges, turns, side="right").tolist()
        return sources if self.options.draw == "each" else sources * self.options.workers

    def shapes(self, epoch: int) -> Iterator[BatchShape]:
        """The shape of every step of one epoch."""
        sizes = self.options.at_once or [self.at_once] * len(self.options.shares)
        for step in range(self.batches):
            sources = self.drawn(epoch, step)
            parts = tuple(Part(source, self.options.items[source], sizes[source]) for source in sources)
            yield BatchShape(items=sum(p.items for p in parts), at_once=max(sizes), parts=parts)

    def steps(self, epoch: int) -> int:  # noqa: ARG002 - every epoch is as long
        return self.batches


def make(options: dict[str, Any], batch: dict[str, int], examples: tuple[int, ...], seed: int) -> MixturePlan:
    """The plan of a stage whose sources have `examples` in an epoch.

    batch.effective is what a step has about: it decides nothing, but must lie between the smallest step and
    the largest. Raises ValueError on shares that do not sum to 1, another number of sources, or such a batch.
    """
    mixture = checked_as(Mixture, options, "stage: plan")
    if len(mixture.shares) != len(examples):
        raise ValueError(f"stage: plan.shares: {len(mixture.shares)} shares for {len(examples)} data sources")
    low, high = mixture.workers * min(mixture.items), mixture.workers * max(mixture.items)
    if not low <= batch["effective"] <= high:
        told = f"{low} to {high} examples a step"
        raise ValueError(f"stage: batch.effective: {batch['effective']}, but the plan makes {told}")
    mean = mixture.workers * sum(s * n for s, n in zip(mixture.shares, mixture.items, strict=True))
    steps = mixture.steps_per_epoch or ceil(sum(examples) / mean)
    return MixturePlan(mixture, batch["at_once"], steps, seed)
