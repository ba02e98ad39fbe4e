"""How a foundation is trained in the graph: what its card's `mini.pretrain` may say."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, model_validator

from retake.schema.recipe import Validation, named
from retake.schema.sample import Sample
from retake.schema.strict import Grown, did_you_mean
from retake.schema.training import Batch, BatchNorm, BatchPlan, Length, Optimiser, Schedule
from retake.schema.views import FramesView, Name


class Pretrain(Grown):
    """A stage of its own, on a data set of its own."""

    LATER = ("sample", "rows")

    task: str
    dataset: str
    split: str = "train"
    view: Name | None = None
    text: bool = False  # rows alone, nothing is shown
    views: dict[Name, FramesView] = {}
    sample: Sample | None = None  # which frames of the view, and which part of them; left out: all, whole
    rows: Literal["all", "one_per_item", "by_item"] = "all"  # of an epoch, in which order
    trainable: list[str] = ["*"]
    fresh: list[str] = []
    batch_norm: BatchNorm = BatchNorm()
    optimiser: Optimiser
    length: Length
    batch: Batch
    schedule: Annotated[Schedule, BeforeValidator(named)] = Schedule()
    plan: Annotated[BatchPlan, BeforeValidator(named)] = BatchPlan()
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    validation: Validation | None = Validation()

    @model_validator(mode="after")
    def sees_what_it_names(self) -> "Pretrain":
        if (self.view is not None) == self.text:
            raise ValueError("expected either view or text: true")
        if self.sample is not None and self.view is None:
            raise ValueError("sample: frames are cut from a view")
        if self.sample is not None and self.sample.detector is not None:
            raise ValueError(f"sample.boxes.detector: a card has none, not {self.sample.detector!r}")
        if self.view is not None and self.view not in self.views:
            raise ValueError(f"view: no view {self.view!r}; {did_you_mean(self.view, self.views)}")
        return self
