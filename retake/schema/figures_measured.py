"""Figures of what detectors answered class by class, and of what a longer window gains: see `figures`."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from retake.schema.strict import Strict, did_you_mean
from retake.schema.tasks import METRICS
from retake.schema.views import Name, View

Scales = list[Literal["mini", "paper"]]
Run = tuple[str, str, str, str]  # variant, data set, split, protocol


class _Measured(Strict):
    """A figure of runs that tables measure. `seeds`: left out, those of the configuration."""

    title: str
    scales: Scales = ["mini", "paper"]
    headline: bool = False
    seeds: Annotated[list[PositiveInt], Field(min_length=1)] | None = None


class _OfOneSplit(_Measured):
    """One of detections on a split of one data set."""

    dataset: str
    protocol: Name
    split: str = "val"

    @property
    def datasets(self) -> list[str]:
        return [self.dataset]

    def _runs(self, variants: list[str]) -> list[Run]:
        return [(variant, self.dataset, self.split, self.protocol) for variant in dict.fromkeys(variants)]


class ClassBarsFigure(_OfOneSplit):
    """Average precision of each class by two variants, the classes by how often they are in the references."""

    kind: Literal["class_bars"]
    variants: Annotated[list[Name], Field(min_length=2, max_length=2)]
    labels: dict[str, str] = {}  # what a variant is called; left out: its name

    @model_validator(mode="after")
    def two_that_have_names(self) -> "ClassBarsFigure":
        if len(set(self.variants)) < 2:
            raise ValueError("variants: two different ones are compared")
        if unknown := sorted(self.labels.keys() - set(self.variants)):
            raise ValueError(f"labels: {unknown[0]!r} is none of the variants")
        return self

    @property
    def runs(self) -> list[Run]:
        return self._runs(list(self.variants))


class ClassGain(Strict):
    """What a variant gains over another."""

    label: str
    over: Name
    variant: Name

    @model_validator(mode="after")
    def two(self) -> "ClassGain":
        if self.over == self.variant:
            raise ValueError(f"over: {self.over!r} gains nothing over itself")
        return self


class ClassGainsFigure(_OfOneSplit):
    """Two gains in average precision, a point a class: the first along x, the second along y."""

    kind: Literal["class_gains"]
    gains: Annotated[list[ClassGain], Field(min_length=2, max_length=2)]

    @property
    def runs(self) -> list[Run]:
        return self._runs([name for gain in self.gains for name in (gain.over, gain.variant)])


class Windowed(Strict):
    """A variant that sees a window of so many seconds; `protocol`: left out, that of the figure or line."""

    variant: Name
    window_s: PositiveFloat
    protocol: Name | None = None


def rising(points: list[Windowed]) -> list[Windowed]:
    """`points`. Raises ValueError where windows do not rise."""
    windows = [point.window_s for point in points]
    if any(b <= a for a, b in pairwise(windows)):
        raise ValueError(f"points: windows {windows} do not rise")
    return points


class WindowLine(Strict):
    """One line: what variants of one data set gain over one that has no window."""

    dataset: str
    metric: str
    base: Name
    protocol: Name
    split: str = "val"
    label: str | None = None  # left out: the data set
    points: Annotated[list[Windowed], Field(min_length=1)]

    @model_validator(mode="after")
    def in_order(self) -> "WindowLine":
        rising(self.points)
        if self.metric not in METRICS:
            raise ValueError(f"metric: no metric {self.metric!r}; {did_you_mean(self.metric, METRICS)}")
        if not METRICS[self.metric].higher_is_better:
            raise ValueError(f"metric: {self.metric} is better when it is lower; a gain is of one that rises")
        return self

    @property
    def runs(self) -> list[Run]:
        """The base, then one a point."""
        of = [(self.base, self.protocol), *((p.variant, p.protocol or self.protocol) for p in self.points)]
        return [(variant, self.dataset, self.split, protocol) for variant, protocol in of]


class WindowsFigure(_Measured):
    """Gain over a base, as a share of it, against the window in seconds; a line a data set."""

    kind: Literal["windows"]
    lines: Annotated[list[WindowLine], Field(min_length=1)]
    log: bool = True  # the axis of seconds

    @model_validator(mode="after")
    def told_apart(self) -> "WindowsFigure":
        names = [line.label or line.dataset for line in self.lines]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"lines: two are called {twice[0]!r}")
        return self

    @property
    def datasets(self) -> list[str]:
        return list(dict.fromkeys(line.dataset for line in self.lines))

    @property
    def runs(self) -> list[Run]:
        return [run for line in self.lines for run in line.runs]


class WindowExamplesFigure(_OfOneSplit):
    """Labelled boxes whose class is answered the surer the longer the window is, with their keyframes.

    Shown are those whose class gains most probability from the shortest window to the longest, by the answers of one
    seed; no video twice.
    """

    kind: Literal["examples_by_window"]
    view: Name  # of kind stream or frames
    points: Annotated[list[Windowed], Field(min_length=2)]
    seed: PositiveInt = 1
    count: PositiveInt = 4

    @model_validator(mode="after")
    def in_order(self) -> "WindowExamplesFigure":
        rising(self.points)
        if self.seeds is not None:
            raise ValueError("seeds: the answers of one seed are shown; expected seed")
        return self

    @property
    def runs(self) -> list[Run]:
        of = [(p.variant, p.protocol or self.protocol) for p in self.points]
        return [(variant, self.dataset, self.split, protocol) for variant, protocol in of]


MeasuredFigure = ClassBarsFigure | ClassGainsFigure | WindowsFigure | WindowExamplesFigure


def check_measured(
    where: str,
    figure: MeasuredFigure,
    views: Mapping[str, View],
    known: Callable[[str, str, list[str | None]], None],
) -> None:
    """Whatever the figure names is there: `known` raises where a variant, protocol or view is not.

    Raises ValueError that begins with `where`.
    """
    known(where, "variants", [run[0] for run in figure.runs])
    known(where, "protocols", [run[3] for run in figure.runs])
    if isinstance(figure, WindowExamplesFigure):
        known(where, "views", [figure.view])
        if (kind := views[figure.view].kind) not in ("stream", "frames"):
            raise ValueError(
                f"{where}.view: expected one of kind stream or frames, {figure.view!r} is of kind {kind}"
            )
        if getattr(views[figure.view], "cuts", False):
            raise ValueError(f"{where}.view: {figure.view!r} cuts videos into clips; expected whole ones")
