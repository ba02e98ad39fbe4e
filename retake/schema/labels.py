"""What a recipe's `labellers:` may say: who captions videos that nobody captioned, and how."""

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from retake.schema.strict import Strict
from retake.schema.views import Name

RELEASE = "release"  # in a stage's `labels`: the references that came with the data
NOT_SAID = {"at_once", "precision"}  # how it is computed, not what is asked


class Labeller(Strict):
    """A frozen captioner that is shown the centre frame of every chunk of a video and samples a sentence.

    Lengths are counted in tokens, those of the prompt among them, as the labellers' own code counts.
    """

    weights: Name
    chunk_s: PositiveFloat  # length of a chunk, seconds; what is left at a video's end is not labelled
    size: PositiveInt  # side of the square picture that it is shown, px
    prompt: str = ""  # what every caption begins with; taken off before it is written
    top_p: Annotated[float, Field(gt=0, le=1)]  # nucleus: the fewest tokens that make up this probability
    top_k: PositiveInt | None = None  # and of those the likeliest so many at most
    repetition_penalty: Annotated[float, Field(ge=1)] = (
        1.0  # what a token that was said is made less likely by
    )
    min_length: NonNegativeInt = 0  # tokens before which it may not end
    max_length: PositiveInt  # tokens after which it ends
    max_repeats: PositiveInt = 3  # one or two tokens more often than this in a row: no caption, a failure
    seed: PositiveInt = 1  # of the sampling; that of a clip is made of it, the video and the clip's start
    at_once: PositiveInt = 32  # pictures in one pass; which ones share a pass changes no label
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"

    @model_validator(mode="after")
    def lengths_fit(self) -> "Labeller":
        if self.min_length > self.max_length:
            raise ValueError(f"min_length: {self.min_length} is more than max_length, {self.max_length}")
        return self

    def asked(self) -> dict[str, Any]:
        """All that decides a label, for `origin` and for people."""
        return self.model_dump(mode="json", exclude=NOT_SAID | {"weights"})
