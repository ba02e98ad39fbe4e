"""What a recipe's `sample:` may say: which frames of a video an example is made of, and how they are cut."""

from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_serializer,
    model_validator,
)

from retake.schema.strict import Strict

Share = Annotated[float, Field(ge=0, le=1)]
OF_CLIPS = ("clip", "at", "short_side", "boxes")  # keys that speak of clips alone
OF_SEGMENTS = ("segments", "stack", "scales", "distort", "colour")  # and of segments alone


class Colour(Strict):
    """How far training moves each picture's colours, at most, either way; answering moves none."""

    hue: NonNegativeFloat  # of 180 steps round the circle
    light: NonNegativeFloat  # of 255
    saturation: NonNegativeFloat  # of 255


class Clip(Strict):
    """Frames of a video at even steps of time; of each time the frame that is nearest."""

    frames: PositiveInt
    step_s: NonNegativeFloat  # from one frame to the next

    @model_validator(mode="after")
    def steps_lead_somewhere(self) -> "Clip":
        if (self.step_s == 0) != (self.frames == 1):
            raise ValueError("step_s: expected seconds above 0 exactly where there are several frames")
        return self


class Boxes(Strict):
    """Which boxes an example has: those that the data set labels, and those that a detector found at its time."""

    truth: bool = True
    detector: str | None = None  # a recipe's; None: answers are about the data set's own boxes
    min_score: Share = 0.9  # of detections that are learnt
    # a detection has the labels of the box that it meets best, if it meets it so well
    match_iou: Annotated[float, Field(gt=0, le=1)] = 0.9
    one_class: bool = False  # every box is of class 0, whatever it is labelled with: what a detector learns

    @model_validator(mode="after")
    def there_are_some(self) -> "Boxes":
        if not self.truth and self.detector is None:
            raise ValueError("expected truth: true, or a detector, or both")
        return self


class Sample(Strict):
    """Frames of a video and the part of them that a network is shown.

    Either a frame of each of the `segments`, or a `clip`. Training draws frames, a cut, a flip and colours; where
    nothing is drawn (validation), frames and cut are the middle ones. How answers are asked for (how many frames,
    clips and cuts) stands in the protocol.
    """

    segments: PositiveInt | None = None  # parts of a video, of even length; an example has a frame of each
    stack: PositiveInt = 1  # frames that follow one another, whose channels are joined
    clip: Clip | None = None
    # where a clip lies. start: frame T // 2 is up at the item's start; any: drawn within the item, its middle otherwise
    at: Literal["start", "any"] = "start"
    # of a clip, px: frames are scaled to 1 / U(1 / high, 1 / low) and cut, or, undrawn, to low and not cut smaller
    short_side: tuple[PositiveInt, PositiveInt] | None = None
    # side of the square that the network is shown, px; null, of a clip: frames stay whole
    crop: PositiveInt | None
    scales: list[PositiveFloat] = [1.0]  # sides of the cut, as shares of a frame's short side; one is drawn
    distort: NonNegativeInt = 1  # how many places in `scales` a cut's height and width may be apart
    flip: bool = False  # every second example is mirrored
    colour: Colour | None = None
    # item: all the item's labels; frame: a frame has those of the rows that go on at its time, a clip its frames' ones
    labels: Literal["item", "frame"] = "item"
    boxes: Boxes | None = None  # of a clip

    @model_validator(mode="after")
    def cuts_lie_within_frames(self) -> "Sample":
        if not self.scales or max(self.scales) > 1:
            raise ValueError(f"scales: expected shares of at most 1, at least one, not {self.scales}")
        if self.short_side is not None:
            low, high = self.short_side
            if not (self.crop or high + 1) <= low <= high:
                raise ValueError(
                    f"short_side: expected crop <= low <= high, not {low}, {high} with crop {self.crop}"
                )
        return self

    @model_validator(mode="after")
    def segments_or_a_clip(self) -> "Sample":
        if (self.segments is None) == (self.clip is None):
            raise ValueError("expected exactly one of segments and clip")
        other, what = (OF_CLIPS, "a clip") if self.clip is None else (OF_SEGMENTS, "segments")
        if said := [
            name for name in other if name in self.model_fields_set and getattr(self, name) is not None
        ]:
            raise ValueError(f"{said[0]}: is of {what} alone")
        if self.clip is None and self.crop is None:
            raise ValueError("crop: frames of segments are cut; expected pixels")
        return self

    @property
    def detector(self) -> str | None:
        """The detector whose table its boxes are read from."""
        return None if self.boxes is None else self.boxes.detector

    @model_serializer(mode="wrap")
    def _of_its_kind(self, dump: Any) -> dict[str, Any]:
        """Without the keys of the other kind, so that digests of samples from before there were clips stay."""
        other = OF_CLIPS if self.clip is None else OF_SEGMENTS
        return {name: value for name, value in dump(self).items() if name not in other}
