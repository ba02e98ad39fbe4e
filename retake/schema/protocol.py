"""What a recipe's `protocols:` may say: how a trained model is asked."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from retake.schema.sample import Share
from retake.schema.strict import Grown

Sides = Annotated[list[PositiveInt], Field(min_length=1)]


class Protocol(Grown):
    """How a trained model answers. Nothing here retrains anything."""

    LATER = ("short_sides", "flip", "min_score")

    beam: PositiveInt | None = None
    max_len: PositiveInt | dict[str, PositiveInt] | None = None  # words; or data set -> words
    permute: bool = False  # the blind control: each item sees another item's video
    sample_k: PositiveInt | None = None
    clips: PositiveInt | None = None  # frames, stacks or clips of each item, evenly; each is asked alone
    # cuts of each: centre; and mirrored; centre and corners; and mirrored. Of clips: centre; the long side's ends, too
    crops: Literal[1, 2, 3, 5, 10] | None = None
    short_sides: Sides | None = None  # of clips, px: each is asked alone
    flip: bool = False  # of clips: each cut once more, mirrored
    min_score: Share | None = None  # of detected boxes that are asked about; left out: the sample's
    # height and width of the frames before they are cut
    resize: tuple[PositiveInt, PositiveInt] | None = None
    reduce: Literal["mean", "max", "lse", "prob_mean"] | None = None
    window_s: PositiveFloat | None = None
    candidates: Literal["given", "all_pairs"] | None = None
    at_once: PositiveInt | None = None  # items, or cuts where an item has several, in one forward pass

    @model_validator(mode="after")
    def cuts_are_joined(self) -> "Protocol":
        if (self.clips is None) != (self.crops is None):
            raise ValueError("clips and crops: expected both or neither")
        if self.resize is not None and self.clips is None:
            raise ValueError("resize: frames are resized where clips and crops say how they are cut")
        if self.resize is not None and self.short_sides is not None:
            raise ValueError("resize and short_sides: expected at most one of them")
        if self.short_sides is not None and len(set(self.short_sides)) < len(self.short_sides):
            raise ValueError(f"short_sides: {max(self.short_sides, key=self.short_sides.count)} stands twice")
        ways = (self.clips or 1) * (self.crops or 1) * len(self.short_sides or [0]) * (1 + self.flip)
        if ways > 1 and self.reduce is None:
            raise ValueError("reduce: missing; several clips or crops of an item are joined by one")
        return self
