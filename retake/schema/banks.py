"""What a recipe says of what is written once of whole videos and read by many: detections, banks, and their windows."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from retake.schema.strict import Strict, did_you_mean
from retake.schema.views import Name, View, check_frames

Score = Annotated[float, Field(ge=0, le=1)]
OF_FRAMES = ("weights", "view", "at_once", "precision", "dtype")  # what a bank without rows says to its job
OF_ROWS = (
    "rows",
    "every_s",
    "part",
    "min_score",
    "top",
    "grid",
    "at_once",
    "precision",
    "dtype",
)  # and one with rows


class Detector(Strict):
    """Boxes of every second of a video: those that a network finds, or those that a data set brings."""

    weights: Name | None = None  # a network that detects
    dataset: str | None = None  # a data set whose release has boxes of its own
    elsewhere: Name | None = None  # with dataset: the detector that looks at other releases' videos
    view: Name | None = None  # of kind frames, sampled by the clock: what the network looks at
    classes: list[str] = []  # whose boxes are kept; left out: all
    keep: Score = 0.05  # boxes scored lower are not
    top: PositiveInt | None = None  # of a frame at most so many, the best
    features: bool = False  # whether the network's own features of each box are stored, too
    at_once: PositiveInt = 4  # frames in one forward pass
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"  # of that pass
    dtype: Literal["float32", "float16"] = "float16"  # of stored features

    @model_validator(mode="after")
    def one_origin(self) -> "Detector":
        if (self.weights is None) == (self.dataset is None):
            raise ValueError("expected exactly one of weights and dataset")
        if (self.weights is None) != (self.view is None):
            raise ValueError("view: expected exactly where weights are: a network looks at frames")
        if self.elsewhere is not None and self.dataset is None:
            raise ValueError("elsewhere: a network looks at every release; expected it with dataset")
        if self.features and self.weights is None:
            raise ValueError("features: boxes that a data set brings have none")
        return self

    def told(self) -> dict[str, Any]:
        """What its job reads: of released boxes, the data set and which of them are kept."""
        kept = {"dataset", "classes", "keep", "top"}
        if self.weights is None:
            return self.model_dump(mode="json", include=kept)
        return self.model_dump(mode="json", exclude={"elsewhere"})


class Memory(Strict):
    """A window of a bank around each example of a stage's data, or before it."""

    bank: Name
    window_s: PositiveFloat  # a protocol may say another
    per_step: PositiveInt = 1  # rows of a second at most: drawn in training, the best ones to answer
    direction: Literal["both", "past"] = "both"


class Stored(Strict):
    """Rows of a bank that are read in the place of the clips of a stage's data, which are not shown again.

    The network that made them must be the one that the stage starts from, and no part of it may be trained; nothing of
    a clip is drawn but which of the stored steps within its row it is.
    """

    bank: Name
    # whether answers are made from it, too, where a protocol asks for just what is stored; else they are from frames
    answers: bool = False


class Bank(Strict):
    """Features that are written once and read by many: of a view's frames, or rows of each second of a video.

    Left out `rows`: a frozen foundation's of every frame of a view. Else a model's of the boxes of each second, of a
    clip around it, or a detector's own of the objects it found.
    """

    weights: Name | None = None  # a foundation that makes them
    variant: Name | None = None  # or a variant of this recipe: the checkpoint of its last stage
    detector: Name | None = None  # whose boxes; of rows: objects, whose features, too
    rows: Literal["boxes", "clips", "objects"] | None = None
    view: Name | None = None  # of frames; where rows are named, what shows the clips says it
    like: Name | None = None  # weights that make rows are shown the clips of this variant's last stage
    dataset: str | None = None  # where the variant was trained; left out: where the bank is read
    stage: Name | None = None  # of the variant; left out: its last
    seed: PositiveInt | None = None  # of the variant's training; left out: that of the run that reads
    every_s: PositiveFloat = 1.0  # from one second, or part of one, that has rows to the next
    part: Literal["video", "annotated"] = (
        "video"  # which seconds: all, or from the first row to the last row's end
    )
    min_score: Score = 0.0  # boxes scored lower are not looked at
    top: PositiveInt | None = None  # boxes of a second at most, the best
    # of rows: clips. Cells a side, each a row; or steps: a row of each of the network's steps of time; left out: of all
    grid: PositiveInt | Literal["steps"] | None = None
    at_once: PositiveInt = 64  # frames, or clips, in one forward pass
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"  # of that pass
    dtype: Literal["float32", "float16"] = "float32"  # of what is stored

    @model_validator(mode="after")
    def one_producer(self) -> "Bank":
        made_by = [name for name in ("weights", "variant") if getattr(self, name) is not None]
        given = self.model_fields_set - {n for n in self.model_fields_set if getattr(self, n) is None}
        if self.rows is None:
            if made_by != ["weights"] or self.view is None:
                raise ValueError("expected weights and view, or rows and what makes them")
            if extra := sorted(name for name in given - set(OF_FRAMES) if self._differs(name)):
                raise ValueError(f"{extra[0]}: is of banks with rows: boxes, clips or objects")
            return self
        if self.view is not None:
            raise ValueError(f"view: a bank of {self.rows} looks as its variant, `like` or detector does")
        if self.rows == "objects" and (made_by or self.detector is None):
            raise ValueError("rows: objects are a detector's own; expected detector, no weights, no variant")
        if self.rows != "objects" and len(made_by) != 1:
            raise ValueError(f"rows: {self.rows} are of weights or of a variant; expected exactly one")
        if (self.rows == "clips") != (self.detector is None):
            raise ValueError(
                f"detector: rows of {self.rows} {'have no' if self.detector else 'need the'} boxes"
            )
        if (self.like is not None) != (self.weights is not None):
            raise ValueError("like: expected exactly where weights make rows: whose clips they are shown")
        if self.variant is None and (bad := [n for n in ("dataset", "stage", "seed") if getattr(self, n)]):
            raise ValueError(f"{bad[0]}: is of a variant's checkpoint, which makes no rows here")
        if self.grid is not None and self.rows != "clips":
            raise ValueError(f"grid: fields are of rows: clips, not {self.rows}")
        if self.detector is None and (self.min_score or self.top):
            raise ValueError("min_score and top: are of boxes, of which clips have none")
        return self

    def _differs(self, name: str) -> bool:
        return bool(getattr(self, name) != type(self).model_fields[name].default)

    def told(self) -> dict[str, Any]:
        """What its job reads; who fills a bank of rows stands elsewhere."""
        return self.model_dump(mode="json", include=set(OF_FRAMES if self.rows is None else OF_ROWS))


def check_detectors(detectors: Mapping[str, Detector], views: Mapping[str, View]) -> None:
    """What a detector looks at is there, and sampled by the clock. Raises ValueError of one line."""
    for name, detector in detectors.items():
        if detector.elsewhere is not None:
            _known(f"detectors.{name}.elsewhere", "detector", detector.elsewhere, detectors)
            if detectors[detector.elsewhere].weights is None:
                raise ValueError(
                    f"detectors.{name}.elsewhere: {detector.elsewhere!r} is no network that looks"
                )
        if detector.view is None:
            continue
        where = f"detectors.{name}.view"
        _known(where, "view", detector.view, views)
        check_frames(where, views, detector.view)
        view = views[detector.view]
        if getattr(view, "sampling", None) != "clock" or getattr(view, "cuts", False):
            raise ValueError(f"{where}: expected whole videos, sampling: clock; {detector.view!r} is not")


def check_banks(
    banks: Mapping[str, Bank], views: Mapping[str, View], detectors: Mapping[str, Detector],
    variants: Mapping[str, Any], stages: Mapping[str, Any],
) -> None:  # fmt: skip
    """What a bank names is there, and can make what it asks for. Raises ValueError of one line."""
    for name, bank in banks.items():
        where = f"banks.{name}"
        if bank.view is not None:
            _known(where, "view", bank.view, views)
            check_frames(f"{where}.view", views, bank.view)
        for key, kind, have in (
            ("variant", "variant", variants), ("like", "variant", variants), ("stage", "stage", stages),
            ("detector", "detector", detectors),
        ):  # fmt: skip
            if (value := getattr(bank, key)) is not None:
                _known(f"{where}.{key}", kind, value, have)
        for key in ("variant", "like"):
            value = getattr(bank, key)
            if value is not None and variants[value].fuse:
                raise ValueError(f"{where}.{key}: {value!r} is fused and has no checkpoint")
        if bank.rows is not None and bank.detector is not None:
            _check_times(where, bank, detectors[bank.detector], views)


def _check_times(where: str, bank: Bank, detector: Detector, views: Mapping[str, View]) -> None:
    if bank.rows == "objects" and not detector.features:
        raise ValueError(f"{where}.detector: {bank.detector!r} stores no features; expected features: true")
    every_s = getattr(views[detector.view], "every_s", None) if detector.view is not None else None
    if every_s is not None and abs(bank.every_s / every_s - round(bank.every_s / every_s)) > 1e-6:
        raise ValueError(
            f"{where}.every_s: {bank.every_s:g} s is no multiple of the {every_s:g} s of detector {bank.detector!r}"
        )


def detector_of(source: Any) -> str | None:
    """Whose boxes the examples of a stage's data entry have; None: none, or only those of the table."""
    boxes = getattr(source.sample, "boxes", None)
    return getattr(boxes, "detector", None)


def banks_read(source: Any) -> list[str]:
    """The banks of rows that a stage's data entry reads."""
    return [one.bank for one in (source.memory, source.stored) if one is not None]


def check_read(where: str, source: Any, banks: Mapping[str, Bank], detectors: Mapping[str, Detector]) -> None:
    """What a stage's data entry reads is there: a bank of rows as a memory, one of frames as the data itself.

    Raises ValueError of one line.
    """
    bank, memory = source.bank, source.memory
    if source.stored is not None:
        _known(f"{where}.stored", "bank", source.stored.bank, banks)
        check_stored(f"{where}.stored", source, banks[source.stored.bank])
    if (detector := detector_of(source)) is not None:
        _known(f"{where}.sample.boxes", "detector", detector, detectors)
    if bank is not None:
        _known(where, "bank", bank, banks)
        if banks[bank].rows is not None:
            raise ValueError(f"{where}.bank: {bank!r} has rows of {banks[bank].rows}; expected it in memory")
    if memory is not None:
        _known(f"{where}.memory", "bank", memory.bank, banks)
        read = banks[memory.bank]
        if read.rows is None:
            raise ValueError(f"{where}.memory: bank {memory.bank!r} is of frames; expected one with rows")
        if round(memory.window_s / read.every_s) < 1:
            said = f"{memory.window_s:g} s is less than a step of {memory.bank!r}, {read.every_s:g} s"
            raise ValueError(f"{where}.memory.window_s: {said}")


def check_stored(where: str, source: Any, bank: Bank) -> None:
    """What a data entry's clips would show is what its bank has rows of. Raises ValueError of one line."""
    name, sample, boxes = source.stored.bank, source.sample, source.sample.boxes
    wanted = "clips" if boxes is None else "boxes"
    if bank.rows != wanted or isinstance(bank.grid, int):
        have = "frames" if bank.rows is None else "cells" if bank.grid is not None else bank.rows
        raise ValueError(f"{where}: examples are {wanted}; bank {name!r} has rows of {have}")
    low, high = sample.short_side or (0, 0)
    if sample.flip or low != high:
        what = "flip" if sample.flip else "short_side"
        raise ValueError(f"{where}: {what}: is drawn in training, and what is stored is not shown again")
    if source.stored.answers and sample.at != "start":
        raise ValueError(
            f"{where}.answers: a clip asked about lies in its row's middle, where none is stored"
        )
    if boxes is None:
        return
    if boxes.truth:
        raise ValueError(f"{where}: boxes.truth: rows are of detections alone; expected false")
    if boxes.detector != bank.detector:
        raise ValueError(
            f"{where}: boxes of {boxes.detector!r}; bank {name!r} has those of {bank.detector!r}"
        )
    if boxes.min_score < bank.min_score:
        said = f"boxes.min_score {boxes.min_score:g}"
        raise ValueError(f"{where}: {said}; bank {name!r} has boxes of at least {bank.min_score:g}")


def _known(where: str, kind: str, name: str, have: Mapping[str, Any]) -> None:
    if name not in have:
        raise ValueError(f"{where}: no {kind} {name!r}; {did_you_mean(name, have)}")
