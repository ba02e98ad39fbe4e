"""What a recipe's `figures:` may hold. One class a kind; how each is drawn stands in retake/report."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from retake.schema.figures_measured import MeasuredFigure, Scales
from retake.schema.strict import Strict
from retake.schema.views import Name


class Pick(Strict):
    dataset: str  # or "any"
    rule: Literal["largest_gain", "largest_loss"]


class ScoredFigure(Strict):
    """A figure of what variants answered, or of their scores."""

    kind: Literal["captions", "lines", "bars"]
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
    labels: dict[str, str] = {}  # of bars: what stands under a variant's; left out: its name

    @model_validator(mode="after")
    def bars_are_of_a_metric(self) -> "ScoredFigure":
        if self.kind == "bars" and self.metric is None:
            raise ValueError("metric: missing; bars are as high as one")
        if unknown := sorted(self.labels.keys() - set(self.variants)):
            raise ValueError(f"labels: {unknown[0]!r} is none of the variants")
        return self


class _OfFrames(Strict):
    """A figure of what a codec knows of a few frames; no network is asked."""

    title: str
    scales: Scales = ["mini", "paper"]
    headline: bool = False
    dataset: str
    split: str = "test"
    view: Name  # of kind stream

    @property
    def datasets(self) -> list[str]:
        return [self.dataset]


class SignalsFigure(_OfFrames):
    """Frames of the first group of pictures of one video, and under each its signals.

    Of the split's first `of` videos by name that have all the frames, the one in which most moves is shown.
    """

    kind: Literal["signals"]
    at: Annotated[list[PositiveInt], Field(min_length=1)]  # frames after the I-frame
    of: PositiveInt = 20


class EmbeddingFigure(_OfFrames):
    """Frames of two videos of one class in the plane, by t-SNE: each video alone, and both together.

    The videos are the first and the last of the class by name.
    """

    kind: Literal["embedding"]
    label: str  # the class's name
    frames: Annotated[int, Field(ge=8)]  # of each video, from its beginning; those that have every signal
    grid: PositiveInt  # a signal is seen as the means of so many by so many fields
    perplexity: PositiveFloat = 15.0
    seed: NonNegativeInt = 0


class Point(Strict):
    """One system: what it reads, which row of the table of times is its own, which of the table of scores."""

    label: str
    input: Literal["compressed", "rgb", "rgb_flow"]
    times: Name
    scores: Name


class CostAccuracyFigure(Strict):
    """Accuracy over time, a node a system, as large as its input."""

    kind: Literal["cost_accuracy"]
    title: str
    scales: Scales = ["mini", "paper"]
    headline: bool = False
    dataset: str  # or a mean over several: whose scores are shown
    view: Name  # of kind stream, whose bytes a frame are the compressed input
    times: Name  # a table of this recipe, and the metrics whose sum is a system's time
    metrics: Annotated[list[str], Field(min_length=1)]
    scores: Name  # a table of this recipe, and its metric
    metric: str
    points: Annotated[list[Point], Field(min_length=1)]

    @property
    def datasets(self) -> list[str]:
        return [self.dataset]


class LabelledFigure(Strict):
    """Clips of a release with what was spoken in them and what a labeller says."""

    kind: Literal["labelled"]
    title: str
    scales: Scales = ["mini", "paper"]
    headline: bool = False
    labeller: Name
    dataset: str  # whose captions are what was spoken
    clips: PositiveInt = 3

    @property
    def datasets(self) -> list[str]:
        """None that must be chosen: it is drawn wherever the method is run."""
        return []


class Group(Strict):
    """Pictures of one sort, told by words of what people said of them."""

    label: str
    words: list[str] = Field(min_length=1)  # one of them stands in a reference
    also: list[str] = []  # and one of these, if there are any
    never: list[str] = []  # none of these in any


class StillsFigure(Strict):
    """A picture of each group, and several sentences that a labeller says of it."""

    kind: Literal["stills"]
    title: str
    scales: Scales = ["mini", "paper"]
    headline: bool = False
    labeller: Name
    dataset: str
    split: str = "val"
    groups: list[Group] = Field(min_length=1)
    samples: PositiveInt = 3

    @property
    def datasets(self) -> list[str]:
        return []


Figure = Annotated[
    ScoredFigure
    | SignalsFigure
    | EmbeddingFigure
    | CostAccuracyFigure
    | LabelledFigure
    | StillsFigure
    | MeasuredFigure,
    Field(discriminator="kind"),
]
