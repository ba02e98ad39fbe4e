"""How large the next batch is. Multigrid is one of these; everything else uses `Constant`."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from math import ceil
from typing import Any, Protocol


@dataclass(frozen=True)
class Part:
    """What one worker sees of an optimiser step: examples of one source."""

    source: int
    items: int
    at_once: int | None = None  # examples of one mini-batch; None: as the shape says


@dataclass(frozen=True)
class BatchShape:
    """The examples of one optimiser step and how they are seen; None leaves a thing as it lies on the
    disk.
    """

    items: int  # examples of the step, over all processes and accumulated mini-batches
    at_once: int  # examples of one mini-batch on one device
    frames: int | None = None  # frames of a clip
    size_px: int | None = None  # side of the square crop
    source: int | None = None  # the data source it is taken from; None: as their shares say
    stride: tuple[int, int] = (1, 1)  # step between the frames kept, drawn from this range
    short_side_px: tuple[int, int] | None = None  # short side before the crop, drawn from this range
    bn_splits: int = 1  # parts of a mini-batch that are normalised apart
    lr_scale: float = 1.0
    parts: tuple[Part, ...] | None = (
        None  # the step's examples worker by worker, `items` in all; None: as they come
    )

    def __post_init__(self) -> None:
        if self.parts is not None and sum(part.items for part in self.parts) != self.items:
            raise ValueError(f"a step of {self.items} examples cannot have parts of {self.parts}")


class BatchPlan(Protocol):
    def shapes(self, epoch: int) -> Iterator[BatchShape]:
        """The shape of every optimiser step of one epoch, in order."""

    def steps(self, epoch: int) -> int:
        """How many these are."""


@dataclass(frozen=True)
class Constant:
    shape: BatchShape
    batches: int

    def shapes(self, epoch: int) -> Iterator[BatchShape]:  # noqa: ARG002 - every epoch is the same
        for _ in range(self.batches):
            yield self.shape

    def steps(self, epoch: int) -> int:  # noqa: ARG002
        return self.batches


def plan_of(
    options: dict[str, Any], batch: dict[str, int], examples: tuple[int, ...], seed: int
) -> BatchPlan:
    """The plan a stage names: `constant`, or a module with `make(options, batch, examples, seed)`.

    examples: those of one epoch of each source, shares counted; seed: the run's, for a plan that draws.
    """
    name, rest = options["name"], {k: v for k, v in options.items() if k != "name"}
    if name == "constant":
        shape = BatchShape(items=batch["effective"], at_once=batch["at_once"], **rest)
        return Constant(shape, ceil(sum(examples) / batch["effective"]))
    return import_module(name).make(rest, batch, examples, seed)
