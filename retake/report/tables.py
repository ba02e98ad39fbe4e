"""Tables: the paper's numbers as printed, and beside them ours.

The csv has one line a cell (printed row x metric), full precision, for programs. The md has one line a
printed row, for people.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from retake.report.measured import Gain, Key, Measured, read_measured, runs_of
from retake.report.reported import Reported, read_reported
from retake.report.tables_text import readable
from retake.report.told_costs import Told, read_costs, told_of
from retake.report.told_labels import ToldLabels, read_qualities, told_labels
from retake.report.verdict import in_unit, verdict
from retake.schema.recipe import Row, Table
from retake.schema.strict import checked_as
from retake.schema.tasks import METRICS

WHOLE = 0.9  # share of the paper's items below which a score is not put beside the paper's


@dataclass
class Cell:
    """One line of the csv. paper, ours and standard_error are in `unit`; empty cells are None."""

    row: int
    system: str
    kind: str
    variant: str
    dataset: str
    split: str
    protocol: str
    metric: str
    column: str
    unit: str
    paper: float | None
    ours: float | None
    standard_error: float | None
    seeds: int
    items: int | None
    items_of: int | None
    verdict: str
    scale: str
    where: str
    note: str


def mean_and_error(values: list[float]) -> tuple[float | None, float | None]:
    """Mean, and its standard error from the sample's spread; None where there are too few values."""
    if not values:
        return None, None
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return mean, None
    spread = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return mean, math.sqrt(spread / len(values))


@dataclass(frozen=True)
class Line:
    """One row of the table: what the paper prints in it (metric -> cell), and what measures it, or tells its cost."""

    printed: dict[str, Reported]
    row: Row | None
    told: Told | ToldLabels | None = None

    @property
    def first(self) -> Reported | None:
        return next(iter(self.printed.values()), None)

    @property
    def metrics(self) -> list[str]:
        source = self.row or self.told
        return [*self.printed, *(source.metrics if source else [])]

    def names(self) -> dict[str, str]:
        """The cells that say whose line it is."""
        first, row = self.first, self.row
        if first is None and self.told is not None:
            return dict.fromkeys(("dataset", "split", "protocol", "where"), "") | {
                "system": self.told.label,
                "kind": self.told.kind,
                "variant": self.told.system,
            }
        named: Reported | Row | None = row or first
        assert named is not None
        return {
            "system": first.system if first else (row.label or row.variant) if row else "",
            "kind": first.kind if first else "M",
            "variant": row.name if row else named.variant,
            "dataset": named.dataset,
            "split": named.split,
            "protocol": row.protocol if row else "",
            "where": first.where if first else "",
        }


@dataclass(frozen=True)
class Place:
    """Where a line's cells stand: the printed row's number, and its column where it holds several lines."""

    number: int
    column: str


def _places(table: str, lines: list[Line], columns: Mapping[str, str]) -> list[Place]:
    """One place a line. Lines of one printed row differ in variant or data set, of which `columns` has headings.

    Raises ValueError on a line that has none, or whose place another has.
    """
    if not columns:
        return [Place(number, "") for number in range(1, len(lines) + 1)]
    rows: dict[tuple[str, ...], int] = {}
    found: list[Place] = []
    for line in lines:
        names = line.names()
        by = next((key for key in ("variant", "dataset") if names[key] in columns), None)
        if not names[
            "dataset"
        ]:  # a cost: in the row that the paper prints it in, under no heading but its own
            row = (names["where"] or names["system"], names["variant"])
            found.append(Place(rows.setdefault(row, len(rows) + 1), ""))
            continue
        if by is None:
            raise ValueError(f"{table}: no column is called for {names['variant']} or {names['dataset']}")
        rest = {"variant": names["dataset"], "dataset": names["variant"]}[by]
        label = names["where"] or names["system"] if by == "dataset" else names["where"]
        row = (label, rest) if names["where"] else (label, rest, names["split"])
        place = Place(rows.setdefault(row, len(rows) + 1), columns[names[by]])
        if place in found:
            raise ValueError(
                f"{table}: two cells in column {place.column} of {names['where'] or names['system']}"
            )
        found.append(place)
    return found


def _word(printed: Reported | None, values: list[float], scale: str, part: float) -> str:
    """The verdict on a cell that we measure; none where less than WHOLE of the paper's items was scored."""
    if not values:
        return "not run"
    if scale == "paper" and part < WHOLE:
        return f"no verdict: {part:.0%} of the paper's items"
    if scale == "paper" and (printed is None or printed.value is None):
        return "no verdict: no number in the paper"
    reported = math.nan if printed is None or printed.value is None else printed.value
    return verdict(reported, values, tolerance=printed.tolerance if printed else None, scale=scale)


def _cell(place: Place, line: Line, metric: str, measured: Gain, seeds: list[int], scale: str) -> Cell:
    """The cell of one metric in a line."""
    printed = line.printed.get(metric)
    unit = printed.unit if printed else METRICS[metric].unit
    asked = line.row is not None and metric in line.row.metrics
    values = [in_unit(value, metric, unit) for value in measured.values(metric, seeds)] if asked else []
    ours, error = mean_and_error(values)
    names = line.names()
    notes = [printed.note] if printed and printed.note else []
    if 0 < len(values) < len(seeds):
        notes.append(f"{len(values)} of {len(seeds)} seeds")
    items, items_of = measured.items(seeds)
    part = items / items_of if items and items_of else 1.0
    return Cell(
        row=place.number,
        metric=metric,
        column=place.column,
        unit=unit,
        paper=printed.value if printed else None,
        ours=ours,
        standard_error=error,
        seeds=len(values),
        items=items,
        items_of=items_of,
        verdict="quoted" if names["kind"] == "Q" else _word(printed, values, scale, part),
        scale=scale,
        note="; ".join(notes),
        **names,
    )


def _told_cell(place: Place, line: Line, metric: str, told: Told | ToldLabels, scale: str) -> Cell:
    """The cell of one cost, or of what is said of labels: in the metric's own unit."""
    printed = line.printed.get(metric)
    asked = metric in told.metrics
    value = told.value(metric) if asked else None
    paper = printed.value if printed else None
    said = told.note(metric) if asked else ""
    notes = [note for note in (printed.note if printed else "", said) if note]
    return Cell(
        row=place.number,
        metric=metric,
        column=place.column,
        unit=METRICS[metric].unit,
        paper=paper,
        ours=value,
        standard_error=None,
        seeds=0,
        items=told.items,
        items_of=None,
        verdict=told.word(metric, paper, printed.tolerance if printed else None) if asked else "not run",
        scale=told.scale(scale),
        note="; ".join(notes),
        **line.names(),
    )


def _with_told(lines: list[Line], told: list[Told | ToldLabels]) -> list[Line]:
    """`lines`, printed costs and labels with what tells them; then such as the paper does not print.

    A printed row is a system's where it has no data set and the system's name. Raises ValueError on a printed
    cost that is quoted: it would be no cost of ours.
    """
    left, found = list(told), []
    for line in lines:
        first = line.first
        mine = [one for one in left if first and not first.dataset and one.system == first.variant]
        if mine and first is not None and first.kind == "Q":
            raise ValueError(f"{first.where}: {first.system} is quoted, and its cost is told by the recipe")
        for one in mine[:1]:
            left.remove(one)
        found.append(replace(line, told=mine[0]) if mine else line)
    return found + [Line({}, None, one) for one in left]


def _lines(table: str, rows: list[Row], reported: list[Reported]) -> list[Line]:
    """Printed rows in printed order, each with what measures it; then rows that only we have."""
    printed: dict[tuple, dict[str, Reported]] = {}
    for cell in reported:
        if cell.table == table:
            printed.setdefault(cell.row, {})[cell.metric] = cell
    first = {key: next(iter(cells.values())) for key, cells in printed.items()}
    taken: dict[tuple, Row] = {}
    own: list[Row] = []
    for row in rows:
        place = (row.name, row.dataset, row.split)
        fits = [k for k, c in first.items() if c.kind != "Q" and (c.variant, c.dataset, c.split) == place]
        if len(fits) > 1:
            fits = [key for key in fits if first[key].system == row.label]
            if len(fits) != 1:
                raise ValueError(f"{table}: several printed rows are of {' '.join(place)}: label says which")
        if not fits:
            own.append(row)
        elif fits[0] in taken:
            raise ValueError(f"{table}: two rows of the recipe measure {first[fits[0]].where}")
        else:
            taken[fits[0]] = row
    return [Line(cells, taken.get(key)) for key, cells in printed.items()] + [Line({}, row) for row in own]


def _runs(line: Line, means: Mapping[str, list[str]], measured: Mapping[Key, Measured]) -> Gain:
    """What measures a line; without a row of the recipe, nothing."""
    row = line.row
    if row is None:
        return Gain([])
    sides = [
        runs_of((variant, row.dataset, row.split, row.protocol), means, measured)
        for variant in (row.variant, row.over)
        if variant is not None
    ]
    return Gain(*sides)


def _check_used(
    rows: list[Row], means: Mapping[str, list[str]], seeds: list[int], measured: dict[Key, Measured]
) -> None:
    asked = {
        (variant, dataset, row.split, row.protocol)
        for row in rows
        for variant in (row.variant, row.over)
        for dataset in means.get(row.dataset, [row.dataset])
    }
    for key, found in measured.items():
        for seed, path in found.paths.items():
            if key not in asked or seed not in seeds:
                raise ValueError(f"{path}: no row of the table asks for it")


def tabulate(
    *,
    method: str,
    table: str,
    spec: dict,
    metrics_files: list[Path],
    reported: Path,
    scale: str,
    out_csv: Path,
    out_md: Path,
    means: Mapping[str, list[str]] = MappingProxyType({}),
    cost_files: Sequence[Path] = (),
    systems: Mapping[str, Any] = MappingProxyType({}),
    quality_files: Sequence[Path] = (),
) -> list[Cell]:
    """Write the table `table` of `method`: printed rows in printed order, then rows that only we measure.

    spec is the recipe's table (schema.recipe.Table) with its seeds. means says of which data sets a row's data
    set is the mean, `systems` what those whose cost is told are called; quality_files say how good labels are.
    A row of which no metrics file is given is "not run". Raises ValueError or SettingError: unknown key of spec,
    no seeds, a metrics, cost or quality file that no row asks for or that lacks the row's metric, another method
    or scale, seeds with different numbers of items, ambiguous rows.
    """
    asked = checked_as(Table, spec, f"{method}: tables.{table}")
    told: list[Told | ToldLabels] = [*told_of(asked.costs, read_costs(cost_files, method), systems)]
    told += told_labels(asked.labels, read_qualities(quality_files, scale))
    if not asked.seeds:
        raise ValueError(f"{method}: tables.{table}: seeds: expected at least one")
    measured = read_measured(metrics_files, method=method, scale=scale)
    _check_used(asked.rows, means, asked.seeds, measured)
    lines = _with_told(_lines(table, asked.rows, read_reported(reported)), told)
    metrics = list(dict.fromkeys(metric for line in lines for metric in line.metrics))  # in printed order
    cells = [
        _told_cell(place, line, metric, line.told, scale)
        if line.told is not None
        else _cell(place, line, metric, _runs(line, means, measured), asked.seeds, scale)
        for line, place in zip(lines, _places(table, lines, asked.columns), strict=True)
        for metric in metrics
        if metric in line.metrics
    ]
    cells.sort(key=lambda cell: cell.row)  # stable: a printed row's cells together
    with out_csv.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Cell)], lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: "" if v is None else v for k, v in asdict(cell).items()} for cell in cells)
    out_md.write_text(readable(asked.title, cells, metrics, scale), encoding="utf-8")
    return cells
