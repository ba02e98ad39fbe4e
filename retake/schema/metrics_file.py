"""One row's score: the values of one prediction table, with what they came from. No times, no commit."""

import json
from pathlib import Path
from typing import Any

from pydantic import field_serializer, field_validator

from retake.schema.strict import Strict

UP_TO_RESULTS = 7  # parts of .../metrics/{method}/{variant}/{dataset}/seed{seed}/{protocol}/{split}.json


def items_of(metrics: str | Path) -> Path:
    """Where the scores of a metrics file's single items lie: under `items`, where DVC does not look for metrics.

    Raises ValueError where the path is not that of a metrics file.
    """
    path = Path(metrics)
    if len(path.parts) < UP_TO_RESULTS or path.parts[-UP_TO_RESULTS] != "metrics" or path.suffix != ".json":
        raise ValueError(f"{path}: expected .../metrics/METHOD/VARIANT/DATASET/seedN/PROTOCOL/SPLIT.json")
    results = path.parents[UP_TO_RESULTS - 1]
    return (results / "items" / path.relative_to(results / "metrics")).with_suffix(".parquet")


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

    @field_serializer("digests", "record")
    def _in_a_list(self, told: dict[str, str]) -> list[str]:
        """Of `name: digest`: DVC shows as a metric whatever text or number stands in no list."""
        return [f"{name}: {text}" for name, text in sorted(told.items())]

    @field_validator("digests", "record", mode="before")
    @classmethod
    def _from_a_list(cls, told: Any) -> Any:
        return dict(line.split(": ", 1) for line in told) if isinstance(told, list) else told

    @classmethod
    def read(cls, path: str | Path) -> "MetricsFile":
        return cls.model_validate(json.loads(Path(path).read_text(encoding="utf-8")))

    def text(self) -> str:
        values: dict[str, Any] = self.model_dump()
        return json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
