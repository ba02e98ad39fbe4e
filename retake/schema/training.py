"""What a stage may say of how it is trained: the optimiser, its rate over time, how long, how many at once."""

import math
from typing import Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from retake.schema.strict import Strict, checked_as

MIXTURE = "retake.training.mixture_plan"


class Group(Strict):
    match: str  # fnmatch pattern over parameter names
    lr: PositiveFloat  # times the optimiser's own lr
    weight_decay: NonNegativeFloat = 0.0


class Clip(Strict):
    """Gradient clipping: every element to [-value, value], or the whole to a norm."""

    value: PositiveFloat | None = None
    norm: PositiveFloat | None = None

    @model_validator(mode="after")
    def one_kind(self) -> "Clip":
        if (self.value is None) == (self.norm is None):
            raise ValueError("expected exactly one of value and norm")
        return self


class Optimiser(Strict):
    name: Literal["adam", "adamw", "sgd", "adadelta"]
    groups: list[Group] = Field(min_length=1)
    lr: PositiveFloat = 1.0  # times each group's: where groups have shares of one rate
    clip: Clip | None = None
    betas: tuple[float, float] = (0.9, 0.999)
    eps: PositiveFloat = 1e-8
    momentum: float = 0.9
    nesterov: bool = False
    amsgrad: bool = False


class Every(Strict):
    epochs: PositiveInt | None = None
    steps: PositiveInt | None = None

    @model_validator(mode="after")
    def one_unit(self) -> "Every":
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("expected exactly one of epochs and steps")
        return self


class Length(Strict):
    """How long a stage trains, and what may end it earlier."""

    epochs: PositiveInt | None = None
    steps: PositiveInt | None = None
    patience: PositiveInt | None = None  # validations without a better value
    monitor: str | None = None  # val/<loss> or val/<metric>
    evaluate_every: Every = Every(epochs=1)

    @model_validator(mode="after")
    def ends(self) -> "Length":
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("expected exactly one of epochs and steps")
        if self.patience is not None and self.monitor is None:
            raise ValueError("patience needs a monitor")
        if self.monitor is not None and not self.monitor.startswith("val/"):
            raise ValueError("monitor: expected val/<loss or metric>")
        return self


class Batch(Strict):
    effective: PositiveInt  # examples an optimiser step, over all processes
    at_once: PositiveInt  # examples on one device at a time

    @model_validator(mode="after")
    def divides(self) -> "Batch":
        if self.effective % self.at_once:
            raise ValueError(f"effective {self.effective} is no multiple of at_once {self.at_once}")
        return self


class BatchNorm(Strict):
    """Batch normalisations that keep their running statistics; affine says whether scale and shift still train."""

    frozen: list[str] = []  # patterns over module names
    affine: Literal["frozen", "trained"] = "frozen"


class Schedule(Strict):
    name: Literal["constant", "cosine", "linear", "steps"] = "constant"
    warmup_steps: NonNegativeInt = 0
    floor: NonNegativeFloat = 0.0  # share of the rate that is left at the end
    # steps: after how many epochs (or steps, as the length counts) the rate drops
    drops: list[PositiveInt] = []
    factor: PositiveFloat = 0.1  # what a drop leaves of the rate

    @model_validator(mode="after")
    def drops_come_in_order(self) -> "Schedule":
        if (self.name == "steps") != bool(self.drops):
            raise ValueError("drops are given exactly where the schedule is called steps")
        if self.drops != sorted(set(self.drops)):
            raise ValueError(f"drops: expected rising numbers, not {self.drops}")
        return self


class Mixture(Strict):
    """A step made of parts, one a worker; each part is of one source (retake/training/mixture_plan.py)."""

    workers: PositiveInt  # parts of a step, however many processes there are
    shares: list[PositiveFloat]  # how likely a part is of each source
    items: list[PositiveInt]  # examples of a part, by its source
    # on one device at a time, of one part or of whole parts of one source; left out: batch.at_once
    at_once: list[PositiveInt] | None = None
    draw: Literal["each", "together"] = "each"  # a source for every worker, or one a step for all
    # optimiser steps of an epoch; left out: as many as show as many examples as the sources have
    steps_per_epoch: PositiveInt | None = None

    @field_validator("shares")
    @classmethod
    def whole(cls, shares: list[float]) -> list[float]:
        if abs(math.fsum(shares) - 1) > 1e-9:
            raise ValueError(f"expected numbers that sum to 1, not to {math.fsum(shares):g}")
        return shares

    @field_validator("items", "at_once")
    @classmethod
    def one_a_share(cls, values: list[int] | None, info: ValidationInfo) -> list[int] | None:
        shares = info.data.get("shares", values)
        if values is not None and len(values) != len(shares):
            raise ValueError(f"expected one for each of {len(shares)} shares, not {len(values)}")
        return values


class BatchPlan(Strict):
    """How large each batch is: constant, or a module that makes a plan of its own."""

    model_config = {**Strict.model_config, "extra": "allow"}
    name: str = "constant"

    @property
    def mixture(self) -> Mixture | None:
        """The options of a mixture; None of another plan. Raises SettingError on what they cannot be."""
        return checked_as(Mixture, self.model_extra or {}, "plan") if self.name == MIXTURE else None

    def check_sources(self, sources: int) -> None:
        """Raises ValueError on a mixture that cannot be, or of another number of sources."""
        mixture = self.mixture
        if mixture is not None and len(mixture.shares) != sources:
            raise ValueError(f"plan.shares: {len(mixture.shares)} shares for {sources} data sources")
