"""One row's score: the values of one prediction table, with what they came from. No times, no commit."""

import json
from pathlib import Path
from typing import Any

from retake.schema.strict import Strict


class MetricsFile(Strict):
    method: str
    variant: str
    dataset: str
    split: str
    protocol: str
    seed: int
    scale: str
    items: int | None  # scored; a training has none
    items_of: int | None  # that the data set's split has at this scale: by its card, else by its annotations
    digests: dict[str, str]  # checkpoint, annotations, predictions, recipe
    record: dict[str, str]  # path and digest of the record of the job that predicted
    values: dict[str, float]

    @classmethod
    def read(cls, path: str | Path) -> "MetricsFile":
        return cls.model_validate(json.loads(Path(path).read_text(encoding="utf-8")))

    def text(self) -> str:
        values: dict[str, Any] = self.model_dump()
        return json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
