"""How good labels are: what a table may ask of a labeller's and of recognised speech, and the file that says it."""

import json
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from retake.schema.strict import Strict
from retake.schema.views import Name

OF_LABELS = (
    *(
        "label_fits",
        "label_better",
        "label_tied",
        "label_greets",
        "label_chat",
        "label_words",
        "label_distinct",
    ),
    *("label_permuted", "label_gain"),
)
Row = Literal["asr", "pseudo"]  # recognised speech that came with the release; what the labeller said
ROWS: tuple[Row, ...] = ("asr", "pseudo")


class QualityRow(Strict):
    """Two rows of a table: of a data set's own captions, and of what a labeller says of its release."""

    labeller: Name
    dataset: str
    metrics: list[str] = Field(min_length=1)

    @model_validator(mode="after")
    def of_labels(self) -> "QualityRow":
        if strange := [name for name in self.metrics if name not in OF_LABELS]:
            raise ValueError(
                f"metrics: {strange[0]!r} is not said of labels; expected some of {', '.join(OF_LABELS)}"
            )
        return self


class Spread(Strict):
    """A difference and its 95% interval."""

    value: float
    low: float
    high: float


class QualityFile(Strict):
    """What was found of one labeller's labels and of the captions that came with a data set. Shares, not percent."""

    labeller: str
    dataset: str
    scale: str
    judged_by: Literal["truth", "people", "nobody"]
    clips: dict[Row, int]  # judged; those that there are, where nobody judged
    values: dict[Row, dict[str, float]]
    gains: dict[Row, Spread] = {}  # label_gain, where a truth tells it
    differences: dict[str, Spread] = {}  # metric -> pseudo less asr, videos drawn anew

    @classmethod
    def read(cls, path: str | Path) -> "QualityFile":
        return cls.model_validate(json.loads(Path(path).read_text(encoding="utf-8")))

    def text(self) -> str:
        return json.dumps(self.model_dump(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
