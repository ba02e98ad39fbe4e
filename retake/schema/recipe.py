"""What a method's recipe.yaml may say, and how its names must fit together.

Every model here forbids unknown keys; names that point at other parts of the recipe are checked in `Recipe`.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from retake.schema.strict import Strict, did_you_mean
from retake.schema.tasks import METRICS, TASKS, metrics_of

Name = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
Scales = list[Literal["mini", "paper"]]


class FramesView(Strict):
    """RGB frames of a video, resized and cropped, as uint8."""

    kind: Literal["frames"]
    count: PositiveInt | None = None  # frames a video; None keeps all
    sampling: Literal["segment_starts", "segment_centres", "uniform", "all"] = "segment_starts"
    resize: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None  # short side, or height and width
    crop: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None  # centre crop

    @model_validator(mode="after")
    def countable(self) -> "FramesView":
        if (self.count is None) != (self.sampling == "all"):
            raise ValueError("count is left out exactly when sampling is 'all'")
        return self


class Source(Strict):
    """One entry of a stage's data: rows of a data set, seen through a view or read from a bank."""

    dataset: str = "target"  # "target": the data set that the run is for
    split: str = "train"
    view: Name | None = None
    bank: Name | None = None
    labels: Literal["release"] = "release"  # whose references are learnt
    share: PositiveFloat = 1.0  # weight in a mixture
    rows: Literal["all", "one_per_item", "by_item"] = (
        "all"  # every reference, one of each item, or item by item
    )

    @model_validator(mode="after")
    def one_medium(self) -> "Source":
        if (self.view is None) == (self.bank is None):
            raise ValueError("expected exactly one of view and bank")
        return self


class Start(Strict):
    """Where weights come from: published or pre-trained ones, or another stage's checkpoint."""

    weights: Name | None = None
    variant: Name | None = None
    dataset: str | None = None
    stage: Name | None = None  # alone: that stage of the same variant
    into: str = ""  # prefix put before the names in the file
    leave_out: list[str] = []  # patterns over the file's names that are not read

    @model_validator(mode="after")
    def one_origin(self) -> "Start":
        if (self.weights is None) == (self.variant is None and self.stage is None):
            raise ValueError("expected weights, or a variant or stage")
        return self


class Group(Strict):
    match: str  # fnmatch pattern over parameter names
    lr: PositiveFloat
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


class Validation(Strict):
    split: str = "val"
    protocol: Name | None = None  # how to predict, where the monitor is a metric
    at_once: PositiveInt | None = None


class BatchNorm(Strict):
    """Batch normalisations that keep their running statistics; affine says whether scale and shift still train."""

    frozen: list[str] = []  # patterns over module names
    affine: Literal["frozen", "trained"] = "frozen"


class Schedule(Strict):
    name: Literal["constant", "cosine", "linear"] = "constant"
    warmup_steps: NonNegativeInt = 0
    floor: NonNegativeFloat = 0.0  # share of the rate that is left at the end


class BatchPlan(Strict):
    """How large each batch is: constant, or a module that makes a plan of its own."""

    model_config = {**Strict.model_config, "extra": "allow"}
    name: str = "constant"


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class Stage(Strict):
    """One training: on which data, from where, which parameters, how long."""

    data: list[Source] = Field(min_length=1)
    # left out: the stage before, or a random start for the first
    start: Annotated[list[Start], BeforeValidator(_listed)] = []
    fresh: list[str] = []  # parameters that begin at random although the stage starts from something
    model: dict[str, Any] = {}  # sizes that differ in this stage
    trainable: list[str] = Field(min_length=1)
    batch_norm: BatchNorm = BatchNorm()
    optimiser: Optimiser
    length: Length
    batch: Batch
    schedule: Annotated[Schedule, BeforeValidator(_named)] = Schedule()
    plan: Annotated[BatchPlan, BeforeValidator(_named)] = BatchPlan()
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    validation: Validation | None = Validation()


class Pretrain(Strict):
    """How a foundation is trained in the graph: a stage of its own, on a data set of its own."""

    task: str
    dataset: str
    split: str = "train"
    view: Name
    views: dict[Name, FramesView]
    trainable: list[str] = ["*"]
    fresh: list[str] = []
    batch_norm: BatchNorm = BatchNorm()
    optimiser: Optimiser
    length: Length
    batch: Batch
    schedule: Annotated[Schedule, BeforeValidator(_named)] = Schedule()
    plan: Annotated[BatchPlan, BeforeValidator(_named)] = BatchPlan()
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    validation: Validation | None = Validation()


class Protocol(Strict):
    """How a trained model answers. Nothing here retrains anything."""

    beam: PositiveInt | None = None
    max_len: PositiveInt | dict[str, PositiveInt] | None = None  # words; or data set -> words
    permute: bool = False  # the blind control: each item sees another item's video
    sample_k: PositiveInt | None = None
    clips: PositiveInt | None = None
    crops: PositiveInt | None = None
    reduce: Literal["mean", "max", "lse", "prob_mean"] | None = None
    window_s: PositiveFloat | None = None
    candidates: Literal["given", "all_pairs"] | None = None
    at_once: PositiveInt | None = None  # items in one forward pass


class Variant(Strict):
    """What is trained: stages in order, or a fusion of other variants' predictions."""

    stages: list[Name] = []
    base: Name | None = None  # another variant, of which this one changes a few values
    set: dict[str, Any] = {}  # what changes: nested as the recipe is (model, stages)
    banks: list[Name] = []
    fuse: dict[Name, float] = {}
    combiner: str = "weighted_mean"
    label: str | None = None


class Bank(Strict):
    """Features of a frozen foundation, written once and read by many."""

    weights: Name
    view: Name
    at_once: PositiveInt = 64  # frames in one forward pass
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"


class Row(Strict):
    """One measured row of a table, or several that share everything but the metrics."""

    variant: Name
    dataset: str
    split: str = "test"
    protocol: Name
    metrics: list[str] = Field(min_length=1)
    label: str | None = None


class Table(Strict):
    title: str
    headline: bool = False
    scales: Scales = ["mini", "paper"]
    seeds: list[PositiveInt] | None = None  # left out: config.yaml's
    rows: list[Row] = Field(min_length=1)


class Pick(Strict):
    dataset: str  # or "any"
    rule: Literal["largest_gain", "largest_loss"]


class Figure(Strict):
    """A figure of a shared kind; which keys a kind reads stands with the kind in retake/report."""

    kind: Literal["captions", "lines"]
    title: str
    scales: Scales = ["mini", "paper"]
    headline: bool = False
    variants: list[Name] = Field(min_length=1)
    datasets: list[str] = Field(min_length=1)
    protocol: Name
    split: str = "test"
    seed: PositiveInt = 1
    metric: str | None = None
    pick: list[Pick] = []


class Paper(Strict):
    key: str
    title: str
    authors: str
    venue: str
    arxiv: str | None = None


class Recipe(Strict):
    """How a method is trained, asked and reported."""

    paper: Paper
    task: str
    model: dict[str, Any] = {}
    views: dict[Name, FramesView] = {}
    banks: dict[Name, Bank] = {}
    stages: dict[Name, Stage]
    variants: dict[Name, Variant] = Field(min_length=1)
    protocols: dict[Name, Protocol] = {}
    tables: dict[Name, Table] = {}
    figures: dict[Name, Figure] = {}
    learns_by_heart: dict[str, float] = {}  # steps, lr, factor of the contract test
    pads: list[str] = []  # batch keys whose padding the model promises to mask
    mini: dict[str, Any] = {}  # laid over the above at mini scale

    @model_validator(mode="after")
    def names_exist(self) -> "Recipe":
        if self.task not in TASKS:
            raise ValueError(f"task: no task {self.task!r}; {did_you_mean(self.task, TASKS)}")
        for name, stage in self.stages.items():
            self._check_stage(name, stage)
        for name, variant in self.variants.items():
            self._check_variant(name, variant)
        for name, bank in self.banks.items():
            self._known(f"banks.{name}", "views", [bank.view])
        for name, table in self.tables.items():
            for row in table.rows:
                self._check_row(f"tables.{name}", row)
        for name, figure in self.figures.items():
            self._known(f"figures.{name}", "variants", figure.variants)
            self._known(f"figures.{name}", "protocols", [figure.protocol])
        return self

    def _known(self, where: str, kind: str, names: list[str | None]) -> None:
        have = getattr(self, kind)
        for name in names:
            if name is not None and name not in have:
                raise ValueError(f"{where}: no {kind.rstrip('s')} {name!r}; {did_you_mean(name, have)}")

    def _check_stage(self, name: str, stage: Stage) -> None:
        where = f"stages.{name}"
        for source in stage.data:
            self._known(where, "views", [source.view])
            self._known(where, "banks", [source.bank])
        for start in stage.start:
            self._known(where, "variants", [start.variant])
            self._known(where, "stages", [start.stage])
        if stage.validation is not None:
            self._known(where, "protocols", [stage.validation.protocol])
        monitor = stage.length.monitor
        if monitor is not None and stage.validation is None:
            raise ValueError(f"{where}.length.monitor: {monitor!r} needs a validation")
        if monitor is not None and monitor.removeprefix("val/") in METRICS:
            if monitor.removeprefix("val/") not in metrics_of(self.task):
                raise ValueError(f"{where}.length.monitor: {monitor!r} does not score task {self.task!r}")
            if stage.validation is None or stage.validation.protocol is None:
                raise ValueError(f"{where}.length.monitor: {monitor!r} needs validation.protocol")

    def _check_variant(self, name: str, variant: Variant) -> None:
        where = f"variants.{name}"
        self._known(where, "stages", list(variant.stages))
        self._known(where, "banks", list(variant.banks))
        self._known(where, "variants", [variant.base, *variant.fuse])
        trains = variant.stages or variant.base
        if bool(trains) == bool(variant.fuse):
            raise ValueError(f"{where}: expected either stages (or a base) to train, or others to fuse")
        seen, at = {name}, variant
        while at.base is not None:
            if at.base in seen:
                raise ValueError(f"{where}: its bases go in a circle")
            seen.add(at.base)
            at = self.variants[at.base]

    def _check_row(self, where: str, row: Row) -> None:
        self._known(where, "variants", [row.variant])
        self._known(where, "protocols", [row.protocol])
        for metric in row.metrics:
            if metric not in METRICS:
                raise ValueError(f"{where}: no metric {metric!r}; {did_you_mean(metric, METRICS)}")
            if metric not in metrics_of(self.task):
                raise ValueError(f"{where}: metric {metric!r} does not score task {self.task!r}")
