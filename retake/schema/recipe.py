"""What a method's recipe.yaml may say, and how its names must fit together.

Every model here forbids unknown keys; names that point at other parts of the recipe are checked in `Recipe`.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, ValidationInfo, model_validator

from retake.schema.banks import Bank, Detector, Memory, Stored, check_banks, check_detectors, check_read
from retake.schema.costs import Cost, CostRow, System
from retake.schema.figures import Figure, LabelledFigure, ScoredFigure, StillsFigure
from retake.schema.figures_measured import MeasuredFigure, Scales, check_measured
from retake.schema.fused import Part, check_fused, joined
from retake.schema.labels import RELEASE, Labeller
from retake.schema.protocol import Protocol
from retake.schema.quality import QualityRow
from retake.schema.sample import Sample
from retake.schema.strict import Strict, did_you_mean
from retake.schema.tasks import METRICS, TASKS, TRAINED, TRAINING, metrics_of
from retake.schema.training import Batch, BatchNorm, BatchPlan, Length, Optimiser, Schedule
from retake.schema.views import (
    Name,
    Signal,
    View,
    check_signal,
    check_stream,
    check_views,
)

LAID = {"over": "a checked recipe"}  # the context of what a variant or a data set changes of one


class Source(Strict):
    """One entry of a stage's data: rows of a data set, seen through a view or read from a bank."""

    dataset: str = "target"  # "target": the data set that the run is for
    # one, or several whose rows are learnt together
    split: str | Annotated[list[str], Field(min_length=2)] = "train"
    view: Name | None = None
    signal: Signal | None = None  # which one of a view of kind stream or motion
    bank: Name | None = None
    text: bool = False  # rows alone, nothing is shown
    labels: Name = RELEASE  # whose references are learnt: the release's, or those that a labeller wrote
    share: PositiveFloat = 1.0  # weight in a mixture
    # every reference, one of each item, or item by item
    rows: Literal["all", "one_per_item", "by_item"] = "all"
    sample: Sample | None = None  # which frames of the view, and which part of them; left out: all, whole
    memory: Memory | None = None  # what a bank holds of the time around, or before, each example
    stored: Stored | None = None  # a bank whose rows are read in the place of the sample's clips

    @model_validator(mode="after")
    def one_medium(self) -> "Source":
        if [self.view is not None, self.bank is not None, self.text].count(True) != 1:
            raise ValueError("expected exactly one of view, bank and text: true")
        if self.signal is not None and self.view is None:
            raise ValueError(f"signal: {'a text' if self.text else 'a bank'} has none, not {self.signal!r}")
        if self.sample is not None and self.view is None:
            raise ValueError("sample: frames are cut from a view")
        if self.sample is not None and self.sample.labels == "frame" and self.rows != "all":
            raise ValueError(f"rows: labels of frames take all rows of an item together, not {self.rows!r}")
        if self.memory is not None and self.view is None:
            raise ValueError("memory: stands beside what a view shows")
        if self.stored is not None and (self.sample is None or self.sample.clip is None):
            raise ValueError("stored: rows of a bank stand for clips; expected sample.clip")
        if self.labels != RELEASE and self.split != "train":
            raise ValueError(f"split: what a labeller writes is all of split 'train', not {self.split!r}")
        if len(set(self.splits)) < len(self.splits):
            raise ValueError(f"split: {', '.join(self.splits)}: each is named once")
        return self

    @property
    def splits(self) -> list[str]:
        return [self.split] if isinstance(self.split, str) else list(self.split)


class Start(Strict):
    """Where weights come from: published or pre-trained ones, or another stage's checkpoint."""

    weights: Name | None = None
    variant: Name | None = None
    dataset: str | None = None
    stage: Name | None = None  # alone: that stage of the same variant
    seed: PositiveInt | None = None  # the checkpoint of this seed; left out: of the run's own
    into: str = ""  # prefix put before the names in the file
    leave_out: list[str] = []  # patterns over the file's names that are not read

    @model_validator(mode="after")
    def one_origin(self) -> "Start":
        if (self.weights is None) == (self.variant is None and self.stage is None):
            raise ValueError("expected weights, or a variant or stage")
        if self.weights is not None and self.seed is not None:
            raise ValueError(f"seed: weights have none, not {self.seed}")
        return self


class Validation(Strict):
    split: str = "val"
    protocol: Name | None = None  # how to predict, where the monitor is a metric
    at_once: PositiveInt | None = None


def named(value: Any) -> Any:
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
    schedule: Annotated[Schedule, BeforeValidator(named)] = Schedule()
    plan: Annotated[BatchPlan, BeforeValidator(named)] = BatchPlan()
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    parallel: Literal["replicate", "fsdp2"] = "replicate"  # of several processes: each has it all, or a share
    diverged: Literal["fail", "keep"] = "fail"  # keep: it ends there, with the last finite weights
    validation: Validation | None = Validation()

    @model_validator(mode="after")
    def validates_on_another_split(self) -> "Stage":
        if self.validation is not None and self.validation.split in self.data[0].splits:
            raise ValueError(
                f"validation.split: {self.validation.split!r} is learnt from; expected another, or null"
            )
        return self

    @model_validator(mode="after")
    def a_share_for_each_source(self) -> "Stage":
        self.plan.check_sources(len(self.data))
        return self


class Variant(Strict):
    """What is trained: stages in order, or a fusion of other variants' predictions."""

    stages: list[Name] = []
    base: Name | None = None  # another variant, of which this one changes a few values
    set: dict[str, Any] = {}  # what changes: nested as the recipe is (model, stages)
    banks: list[Name] = []
    fuse: dict[Name, float] = {}  # other variants -> weight
    parts: list[Part] = []  # in its place: also of other data sets of the release, or seeds
    combiner: str = "weighted_mean"
    label: str | None = None

    @property
    def joined(self) -> list[Part]:
        return joined(self.fuse, self.parts)


class Row(Strict):
    """One measured row of a table, or several that share everything but the metrics."""

    variant: Name
    over: Name | None = None  # the row is the gain over this variant
    dataset: str  # or the name of a mean over several
    split: str = "test"
    protocol: Name
    metrics: list[str] = Field(min_length=1)
    label: str | None = None

    @property
    def name(self) -> str:
        """The variant as reported.csv calls it: a gain is "a - b"."""
        return self.variant if self.over is None else f"{self.variant} - {self.over}"


def _each(rows: Any) -> Any:
    """Rows that name several variants or data sets as one row a pair, a data set's rows together."""
    if not isinstance(rows, list):
        return rows
    found = []
    for row in rows:
        given = row if isinstance(row, dict) else {}
        variants, datasets = (
            value if isinstance(value, list) else [value]
            for value in (given.get("variant"), given.get("dataset"))
        )
        pairs = [{"variant": v, "dataset": d} for d in datasets for v in variants]
        found += [{**row, **pair} for pair in pairs] if len(pairs) > 1 else [row]
    return found


class Table(Strict):
    title: str
    headline: bool = False
    scales: Scales = ["mini", "paper"]
    seeds: list[PositiveInt] | None = None  # left out: config.yaml's
    # variant or data set -> the heading it is printed under, where a printed row holds several; of one metric
    columns: dict[str, str] = {}
    # a row may list several variants and data sets: each pair is a row of its own
    rows: Annotated[list[Row], BeforeValidator(_each)] = []
    costs: list[CostRow] = []
    labels: list[QualityRow] = []

    @model_validator(mode="after")
    def says_something(self) -> "Table":
        if not self.rows and not self.costs and not self.labels:
            raise ValueError("expected rows, or costs, or both, or labels")
        return self

    @model_validator(mode="after")
    def columns_are_of_one_metric(self) -> "Table":
        metrics = sorted({metric for row in self.rows for metric in row.metrics})
        if self.columns and len(metrics) > 1:
            raise ValueError(
                f"columns: a table of variants or data sets has one metric, not {', '.join(metrics)}"
            )
        return self


class Paper(Strict):
    key: str
    title: str
    authors: str
    venue: str
    arxiv: str | None = None


class Recipe(Strict):
    """How a method is trained, asked and reported."""

    paper: Paper
    task: str | list[str]  # of several, a data set is asked the first that its card has
    model: dict[str, Any] = {}
    card_sizes: dict[str, str] = {}  # size of the model -> which count of the data set's card it is
    views: dict[Name, View] = {}
    detectors: dict[Name, Detector] = {}
    banks: dict[Name, Bank] = {}
    labellers: dict[Name, Labeller] = {}
    stages: dict[Name, Stage]
    variants: dict[Name, Variant] = Field(min_length=1)
    protocols: dict[Name, Protocol] = {}
    tables: dict[Name, Table] = {}
    figures: dict[Name, Figure] = {}
    systems: dict[Name, System] = {}  # ours, by the variant's name, and others whose cost stands beside
    costs: dict[Name, Cost] = {}
    # data set or release -> what is laid over model, stages, views and banks on it
    per_dataset: dict[str, dict[str, Any]] = {}
    means: dict[Name, list[str]] = {}  # a name in tables and claims -> data sets, each counting alike
    learns_by_heart: dict[str, float] = {}  # steps, lr, factor of the contract test
    pads: list[str] = []  # batch keys whose padding the model promises to mask
    mini: dict[str, Any] = {}  # laid over the above at mini scale

    @property
    def tasks(self) -> list[str]:
        return [self.task] if isinstance(self.task, str) else list(self.task)

    def datasets_of(self, name: str) -> list[str]:
        """The data sets of a mean, or the one that `name` is."""
        return self.means.get(name, [name])

    @model_validator(mode="after")
    def names_exist(self, info: ValidationInfo) -> "Recipe":
        """Of a recipe with a variant laid over it (context: LAID), what names only stages, variants and the like is not
        asked again: names are added there, and none goes.
        """
        whole = info.context is not LAID
        for task in self.tasks:
            if task not in TASKS:
                raise ValueError(f"task: no task {task!r}; {did_you_mean(task, TASKS)}")
        if TRAINING in self.protocols:
            raise ValueError(f"protocols.{TRAINING}: the name is taken by what a table says of a training")
        for name, stage in self.stages.items():
            self._check_stage(name, stage)
        for name, variant in self.variants.items() if whole else ():
            self._check_variant(name, variant)
        check_views(self.views)
        if RELEASE in self.labellers:
            raise ValueError(f"labellers.{RELEASE}: that name stands for the labels of the release")
        check_detectors(self.detectors, self.views)
        check_banks(self.banks, self.views, self.detectors, self.variants, self.stages)
        for name, table in self.tables.items() if whole else ():
            for row in table.rows:
                self._check_row(f"tables.{name}", row)
            for told in table.costs:
                self._check_cost_row(f"tables.{name}.costs", told)
        for name, cost in self.costs.items() if whole else ():
            self._known(f"costs.{name}", "systems", list(cost.systems))
            for one in cost.systems:
                if not getattr(self.systems[one], cost.of):
                    raise ValueError(
                        f"costs.{name}: kind {cost.kind} is told of a system's {cost.of}; {one!r} has none"
                    )
        for name, figure in self.figures.items():
            self._check_figure(f"figures.{name}", figure)
        return self

    def _check_figure(self, where: str, figure: Figure) -> None:
        if isinstance(figure, ScoredFigure):
            self._known(where, "variants", list(figure.variants))
            self._known(where, "protocols", [figure.protocol])
            return
        if isinstance(figure, LabelledFigure | StillsFigure):  # its labeller: see the plan
            return
        if isinstance(figure, MeasuredFigure):
            check_measured(where, figure, self.views, self._known)
            return
        self._known(where, "views", [figure.view])
        check_stream(f"{where}.view", self.views, figure.view)
        if figure.kind == "cost_accuracy":
            self._known(where, "tables", [figure.times, figure.scores])
            for metric in [*figure.metrics, figure.metric]:
                if metric not in METRICS:
                    raise ValueError(f"{where}: no metric {metric!r}; {did_you_mean(metric, METRICS)}")

    def _check_cost_row(self, where: str, row: CostRow) -> None:
        self._known(where, "costs", [row.cost])
        cost = self.costs[row.cost]
        for name in row.systems:
            if name not in cost.systems:
                raise ValueError(
                    f"{where}: cost {row.cost!r} has no system {name!r}; {did_you_mean(name, cost.systems)}"
                )
        for metric in row.metrics:
            if metric not in cost.metrics:
                raise ValueError(
                    f"{where}: a cost of kind {cost.kind} has no {metric!r}; {did_you_mean(metric, cost.metrics)}"
                )

    def _known(self, where: str, kind: str, names: list[str | None]) -> None:
        have = getattr(self, kind)
        for name in names:
            if name is not None and name not in have:
                raise ValueError(f"{where}: no {kind.rstrip('s')} {name!r}; {did_you_mean(name, have)}")

    def _check_stage(self, name: str, stage: Stage) -> None:
        where = f"stages.{name}"
        for source in stage.data:
            self._known(where, "views", [source.view])
            check_read(f"{where}.data", source, self.banks, self.detectors)
            self._known(where, "labellers", [source.labels if source.labels != RELEASE else None])
            if source.view is not None:
                check_signal(f"{where}.data", self.views, source.view, source.signal)
                self._check_clip(f"{where}.data", source)
                if source.sample is not None and getattr(self.views[source.view], "cuts", False):
                    raise ValueError(f"{where}.data: sample: view {source.view!r} is cut into clips already")
        for start in stage.start:
            self._known(where, "variants", [start.variant])
            self._known(where, "stages", [start.stage])
        if stage.validation is not None:
            self._known(where, "protocols", [stage.validation.protocol])
            if stage.data[0].labels != RELEASE:
                raise ValueError(
                    f"{where}.validation: a labeller writes no split to validate on; expected null"
                )
        monitor = stage.length.monitor
        if monitor is not None and stage.validation is None:
            raise ValueError(f"{where}.length.monitor: {monitor!r} needs a validation")
        if monitor is not None and monitor.removeprefix("val/") in METRICS:
            self._scores(f"{where}.length.monitor", monitor.removeprefix("val/"))
            if stage.validation is None or stage.validation.protocol is None:
                raise ValueError(f"{where}.length.monitor: {monitor!r} needs validation.protocol")

    def _check_clip(self, where: str, source: Source) -> None:
        """Clips are cut from pictures, which are scaled and mirrored as such."""
        kind = self.views[source.view].kind if source.view is not None else None
        if source.sample is None or source.sample.clip is None or kind == "frames" or source.signal == "rgb":
            return
        raise ValueError(
            f"{where}: sample.clip: expected a view of kind frames, or signal rgb of one of kind stream"
        )

    def _check_variant(self, name: str, variant: Variant) -> None:
        where = f"variants.{name}"
        self._known(where, "stages", list(variant.stages))
        self._known(where, "banks", list(variant.banks))
        self._known(where, "variants", [variant.base, *(part.variant for part in variant.joined)])
        check_fused(where, self.variants, name)

    def _check_row(self, where: str, row: Row) -> None:
        self._known(where, "variants", [row.variant, row.over])
        of_training = row.protocol == TRAINING
        self._known(where, *(("stages", [row.split]) if of_training else ("protocols", [row.protocol])))
        for metric in row.metrics:
            if metric not in METRICS:
                raise ValueError(f"{where}: no metric {metric!r}; {did_you_mean(metric, METRICS)}")
            if of_training != (metric in TRAINED):
                raise ValueError(f"{where}: metric {metric!r} is not of protocol {row.protocol!r}")
            if not of_training:
                self._scores(where, metric)

    def _scores(self, where: str, metric: str) -> None:
        """A metric is of one of the tasks; that it is of its data set's is seen where cards are known."""
        if not any(metric in metrics_of(task) for task in self.tasks):
            tasks = " or ".join(repr(task) for task in self.tasks)
            raise ValueError(f"{where}: metric {metric!r} does not score task {tasks}")
