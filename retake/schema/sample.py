"""What a recipe's `sample:` may say: which frames of a video an example is made of, and how they are cut."""

from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from retake.schema.strict import Strict


class Colour(Strict):
    """How far training moves each picture's colours, at most, either way; answering moves none."""

    hue: NonNegativeFloat  # of 180 steps round the circle
    light: NonNegativeFloat  # of 255
    saturation: NonNegativeFloat  # of 255


class Sample(Strict):
    """Frames of a video and the part of them that a network is shown.

    Training draws a frame of each segment, a cut, a flip and colours; where nothing is drawn (validation), frame
    and cut are the middle ones. How answers are asked for (how many frames and cuts) stands in the protocol.
    """

    segments: PositiveInt  # parts of a video, of even length; an example has a frame of each
    stack: PositiveInt = 1  # frames that follow one another, whose channels are joined
    crop: PositiveInt  # side of the square that the network is shown, px
    scales: list[PositiveFloat] = [1.0]  # sides of the cut, as shares of a frame's short side; one is drawn
    distort: NonNegativeInt = 1  # how many places in `scales` a cut's height and width may be apart
    flip: bool = False  # every second example is mirrored
    colour: Colour | None = None
    # item: every example has all its item's labels; frame: a frame has those of the rows that go on at its time
    labels: Literal["item", "frame"] = "item"

    @model_validator(mode="after")
    def cuts_lie_within_frames(self) -> "Sample":
        if not self.scales or max(self.scales) > 1:
            raise ValueError(f"scales: expected shares of at most 1, at least one, not {self.scales}")
        return self
