"""What a recipe's `views:` may hold: how the videos of a release become arrays. One class a kind."""

from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from retake.schema.strict import Grown, Strict, did_you_mean

Name = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
Kept = Literal["iframe", "motion", "residual", "motion_step", "residual_step"]  # what a motion view may store
Signal = Literal[Kept, "rgb"]  # rgb: every frame's picture, decoded
SIGNALS: tuple[str, ...] = get_args(Signal)


Side = Annotated[int, Field(ge=2, le=8190)]  # pixels; what MPEG-4 part 2 can say
EvenSide = Annotated[int, Field(ge=2, le=8190, multiple_of=2)]


class FramesView(Grown):
    """RGB frames of a video, or of clips inside it, resized and cropped, as uint8."""

    LATER = ("every_s",)

    kind: Literal["frames"]
    count: PositiveInt | None = None  # frames a video or clip; None keeps all, or as many as the clock says
    sampling: Literal["segment_starts", "segment_centres", "uniform", "all", "clock"] = "segment_starts"
    every_s: PositiveFloat | None = None  # of clock: what is up at 0, every_s, 2 every_s, ... is kept
    resize: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None  # short side, or height and width
    crop: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None  # centre crop
    chunk_s: PositiveFloat | None = None  # each video is cut into whole chunks of so many seconds
    segments_of: str | None = None  # a data set of the same release: each (start, end) in its table is a clip

    @model_validator(mode="after")
    def countable(self) -> "FramesView":
        if (self.count is None) != (self.sampling in ("all", "clock")):
            raise ValueError("count is left out exactly when sampling is 'all' or 'clock'")
        if (self.every_s is None) == (self.sampling == "clock"):
            raise ValueError("every_s is given exactly when sampling is 'clock'")
        if self.every_s is not None and self.cuts:
            raise ValueError(
                "sampling: a clock runs through a whole video, not through chunk_s or segments_of"
            )
        if self.chunk_s is not None and self.segments_of is not None:
            raise ValueError("expected at most one of chunk_s and segments_of")
        return self

    @property
    def cuts(self) -> bool:
        """Whether its arrays are of clips, of which a video may have several."""
        return self.chunk_s is not None or self.segments_of is not None


class StreamView(Grown):
    """Videos encoded anew as MPEG-4 part 2, in groups of one length: an I-frame, then P-frames alone."""

    LATER = ("size", "short_side", "block")

    kind: Literal["stream"]
    size: tuple[Side, Side] | None = None  # height and width; the aspect is not kept
    short_side: EvenSide | None = None  # in its place: the aspect is kept, both sides are even
    gop: Annotated[int, Field(ge=2, le=600)] = 12  # frames from one I-frame to the next
    quality: Annotated[int, Field(ge=1, le=31)] = 1  # FFmpeg's -q:v; 1 is the best
    block: Literal[16, 8] = 16  # px a side of the smallest block that may have its own vector

    @model_validator(mode="after")
    def one_size(self) -> "StreamView":
        if (self.size is None) == (self.short_side is None):
            raise ValueError("expected either size or short_side")
        return self


class MotionView(Strict):
    """What a codec knows of a video's frames, read once and stored without loss."""

    kind: Literal["motion"]
    of: Name | None = None  # the stream view that is read; left out: the release's own files
    signals: Annotated[list[Kept], Field(min_length=1)]  # what is stored of each frame that has it

    @model_validator(mode="after")
    def each_once(self) -> "MotionView":
        if len(set(self.signals)) < len(self.signals):
            raise ValueError(f"signals: {max(self.signals, key=self.signals.count)!r} stands twice")
        return self


class FlowView(Strict):
    """Optical flow from a frame to the next, cut off at a bound and stored as uint8."""

    kind: Literal["flow"]
    of: Name | None = None  # the stream view that is read; left out: the release's own files
    method: Literal["tvl1"] = "tvl1"
    bound_px: PositiveFloat = 20.0  # displacements beyond it are stored as if they were it
    every: PositiveInt = 1  # of how many frames one has its flow


View = Annotated[FramesView | StreamView | MotionView | FlowView, Field(discriminator="kind")]
KINDS: tuple[str, ...] = ("frames", "stream", "motion", "flow")


def signals_of(view: View) -> list[str]:
    """The signals of which a stage that looks through `view` names one; none: it names none."""
    if isinstance(view, MotionView):
        return list(view.signals)
    return list(SIGNALS) if isinstance(view, StreamView) else []


def check_views(views: Mapping[str, View]) -> None:
    """Every `of` names a stream view. Raises ValueError of one line."""
    streams = [name for name, view in views.items() if view.kind == "stream"]
    for name, view in views.items():
        of = getattr(view, "of", None)
        if of is not None and of not in streams:
            raise ValueError(f"views.{name}.of: no view {of!r} of kind stream; {did_you_mean(of, streams)}")


def check_frames(where: str, views: Mapping[str, View], name: str) -> None:
    """View `name`, which is there, holds frames that a frozen network can be shown."""
    if views[name].kind != "frames":
        raise ValueError(f"{where}: expected a view of kind frames, {name!r} is of kind {views[name].kind}")


def check_stream(where: str, views: Mapping[str, View], name: str) -> None:
    """View `name`, which is there, holds coded videos."""
    if views[name].kind != "stream":
        raise ValueError(f"{where}: expected a view of kind stream, {name!r} is of kind {views[name].kind}")


def check_signal(where: str, views: Mapping[str, View], name: str, signal: str | None) -> None:
    """View `name`, which is there, has `signal`; one is named exactly where there are several to choose from."""
    have, kind = signals_of(views[name]), views[name].kind
    if signal is None and have:
        raise ValueError(f"{where}: view {name!r} is of kind {kind}; expected signal: {' or '.join(have)}")
    if signal is not None and signal not in have:
        why = f"has no signal {signal!r}; {did_you_mean(signal, have)}" if have else "takes no signal"
        raise ValueError(f"{where}.signal: view {name!r} of kind {kind} {why}")
