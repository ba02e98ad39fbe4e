"""What systems cost, beside what a paper prints of it: the part of tables and claims that no data set stands behind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retake.report.verdict import verdict
from retake.schema.costs import CostFile, CostRow

COUNTED_SCALE = "paper"  # networks are counted at the paper's size, whatever the scale of what is trained


@dataclass(frozen=True)
class Told:
    """One system's cost as a row of a table asks for it."""

    system: str
    label: str
    kind: str  # reported.KINDS, where the paper prints no such row
    file: CostFile
    metrics: list[str]

    @property
    def timed(self) -> bool:
        return self.file.timed

    def value(self, metric: str) -> float | None:
        """None where the system has no such cost: one that prepares nothing has no time of preparing."""
        return self.file.values[self.system].get(metric)

    def scale(self, scale: str) -> str:
        return scale if self.timed else COUNTED_SCALE

    @property
    def items(self) -> int | None:
        return None

    def note(self, metric: str) -> str:  # noqa: ARG002  every time was taken on the same machine
        return f"measured on {self.file.machine}" if self.timed else ""

    def word(self, metric: str, reported: float | None, tolerance: float | None) -> str:
        value = self.value(metric)
        if value is None:
            return "none"
        if self.timed:
            return "another machine: not compared"
        if reported is None:
            return "no verdict: no number in the paper"
        return verdict(reported, [value], tolerance=tolerance, scale=COUNTED_SCALE)


def read_costs(paths: Sequence[Path], method: str) -> dict[str, CostFile]:
    """Cost files of `method` by name. Raises ValueError on another method's, or on one that stands twice."""
    found: dict[str, CostFile] = {}
    for path in paths:
        file = CostFile.read(path)
        if file.method != method:
            raise ValueError(f"{path}: is of {file.method}; expected {method}")
        if file.cost in found:
            raise ValueError(f"{path}: cost {file.cost!r} stands twice")
        found[file.cost] = file
    return found


def told_of(rows: list[CostRow], files: Mapping[str, CostFile], systems: Mapping[str, Any]) -> list[Told]:
    """One a system and row. `systems`: label and kind by name. Raises ValueError where a file or a value is missing."""
    found: list[Told] = []
    for row in rows:
        if row.cost not in files:
            raise ValueError(f"costs: no file of {row.cost!r}; have {', '.join(files) or 'none'}")
        file = files[row.cost]
        for name in row.systems or list(file.values):
            if name not in file.values:
                raise ValueError(f"cost {row.cost!r}: no system {name!r}; has {', '.join(file.values)}")
            named = systems.get(name, {"label": name, "kind": "B"})
            found.append(Told(name, named["label"], named["kind"], file, list(row.metrics)))
    if unused := sorted(set(files) - {row.cost for row in rows}):
        raise ValueError(f"cost {unused[0]!r}: no row of the table asks for it")
    return found
