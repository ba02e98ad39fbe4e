"""What papers print: a method's reported.csv, and which table a line of it belongs to."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from retake.schema.tasks import METRICS

COLUMNS = [
    *("where", "system", "kind", "variant", "dataset", "split", "metric", "value", "unit", "said_by"),
    *("tolerance", "note"),
]
KINDS = {
    "M": "measured: the paper's own method",
    "B": "baseline that the authors ran, measured here",
    "Q": "quoted: another group's number",
    "C": "computed without data",
}


@dataclass(frozen=True)
class Reported:
    """One printed cell; value (None: blank in the paper) and tolerance are in unit."""

    where: str
    system: str
    kind: str
    variant: str
    dataset: str
    split: str
    metric: str
    value: float | None
    unit: str
    said_by: str
    tolerance: float | None
    note: str

    @property
    def table(self) -> str:
        """The target's name: "Table 4.1, row 2" stands in table_4_1."""
        return re.sub(r"[^a-z0-9]+", "_", self.where.split(",")[0].lower()).strip("_")

    @property
    def row(self) -> tuple[str, str, str, str, str]:
        """What the cells of one printed row share."""
        return (self.where, self.system, self.variant, self.dataset, self.split)


def read_csv(path: Path, columns: list[str]) -> list[dict[str, str]]:
    """The lines of `path`, stripped. Raises ValueError unless its columns are `columns`, in any order."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        names = reader.fieldnames or []
        if missing := [name for name in columns if name not in names]:
            raise ValueError(f"{path}: no column {missing[0]!r}")
        if extra := [name for name in names if name not in columns]:
            raise ValueError(f"{path}: unknown column {extra[0]!r}; expected {', '.join(columns)}")
        rows = list(reader)
    for number, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise ValueError(f"{path}: line {number}: expected {len(columns)} cells")
    return [{name: value.strip() for name, value in row.items()} for row in rows]


def number(text: str, what: str) -> float | None:
    """`text` as a number, None when empty. Raises ValueError that begins with `what`."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{what}: {text!r} is no number") from None
    if not abs(value) < float("inf"):
        raise ValueError(f"{what}: {text!r} is no finite number")
    return value


def read_reported(path: Path) -> list[Reported]:
    """Every printed cell, in the file's order.

    Raises ValueError with file and line: unknown kind or metric, value that is no number, a cell that stands
    twice, a tolerance without a note that gives its reason.
    """
    cells: list[Reported] = []
    seen: set[tuple] = set()
    for line, row in enumerate(read_csv(path, COLUMNS), 2):
        place = f"{path}: line {line}"
        if row["kind"] not in KINDS:
            raise ValueError(f"{place}: kind {row['kind']!r}: expected one of {', '.join(KINDS)}")
        if row["metric"] not in METRICS:
            raise ValueError(f"{place}: no metric {row['metric']!r}; have {', '.join(METRICS)}")
        value, tolerance = (number(row.pop(name), f"{place}: {name}") for name in ("value", "tolerance"))
        if tolerance is not None and (tolerance < 0 or not row["note"]):
            raise ValueError(f"{place}: a tolerance is not negative, and its reason stands in note")
        cell = Reported(**row, value=value, tolerance=tolerance)
        if (*cell.row, cell.metric) in seen:
            raise ValueError(f"{place}: {cell.where}: {cell.system} has {cell.metric} twice")
        seen.add((*cell.row, cell.metric))
        cells.append(cell)
    return cells
