"""Tables: the paper's numbers as printed, and beside them ours.

The csv has one line a cell (printed row x metric), full precision, for programs. The md has one line a
printed row, for people.
"""

import csv
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from retake.report.measured import Key, Measured, read_measured
from retake.report.reported import KINDS, Reported, read_reported
from retake.report.verdict import in_unit, verdict
from retake.schema.recipe import Row, Table
from retake.schema.strict import checked_as
from retake.schema.tasks import METRICS

NOTHING = Measured()
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
    """One row of the table: what the paper prints in it (metric -> cell), and what measures it."""

    printed: dict[str, Reported]
    row: Row | None

    @property
    def first(self) -> Reported | None:
        return next(iter(self.printed.values()), None)

    @property
    def key(self) -> Key | None:
        row = self.row
        return (row.variant, row.dataset, row.split, row.protocol) if row else None

    @property
    def metrics(self) -> list[str]:
        return [*self.printed, *(self.row.metrics if self.row else [])]

    def names(self) -> dict[str, str]:
        """The cells that say whose line it is."""
        first, row = self.first, self.row
        named: Reported | Row | None = row or first
        assert named is not None
        return {
            "system": first.system if first else (row.label or row.variant) if row else "",
            "kind": first.kind if first else "M",
            "variant": named.variant,
            "dataset": named.dataset,
            "split": named.split,
            "protocol": row.protocol if row else "",
            "where": first.where if first else "",
        }


def _items(measured: Measured, seeds: list[int]) -> tuple[int | None, int | None]:
    counts = {(measured.files[s].items, measured.files[s].items_of) for s in seeds if s in measured.files}
    if len(counts) > 1:
        paths = ", ".join(str(measured.paths[s]) for s in seeds if s in measured.paths)
        raise ValueError(f"seeds scored different numbers of items {sorted(counts)}: {paths}")
    return counts.pop() if counts else (None, None)


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


def _cell(number: int, line: Line, metric: str, measured: Measured, seeds: list[int], scale: str) -> Cell:
    """The cell of one metric in line `number`."""
    printed = line.printed.get(metric)
    unit = printed.unit if printed else METRICS[metric].unit
    asked = line.row is not None and metric in line.row.metrics
    values = [in_unit(value, metric, unit) for value in measured.values(metric, seeds)] if asked else []
    ours, error = mean_and_error(values)
    names = line.names()
    notes = [printed.note] if printed and printed.note else []
    if 0 < len(values) < len(seeds):
        notes.append(f"{len(values)} of {len(seeds)} seeds")
    items, items_of = _items(measured, seeds)
    part = items / items_of if items and items_of else 1.0
    return Cell(
        row=number,
        metric=metric,
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
        place = (row.variant, row.dataset, row.split)
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


def _check_used(rows: list[Row], seeds: list[int], measured: dict[Key, Measured]) -> None:
    asked = {(row.variant, row.dataset, row.split, row.protocol) for row in rows}
    for key, found in measured.items():
        for seed, path in found.paths.items():
            if key not in asked or seed not in seeds:
                raise ValueError(f"{path}: no row of the table asks for it")


def _shown(value: float | None, places: int) -> str:
    return "" if value is None else f"{value:.{places}f}"


def _ours_shown(cell: Cell, places: int) -> str:
    if cell.ours is None:
        return "" if cell.kind == "Q" else cell.verdict
    error = "" if cell.standard_error is None else f" ± {cell.standard_error:.{places}f}"
    word = "" if cell.scale == "mini" else f" ({cell.verdict})"
    return f"{cell.ours:.{places}f}{error}{word}"


def _places(metric: str) -> int:
    return 1 if METRICS[metric].unit == "percent" else 3


def _md(title: str, cells: list[Cell], metrics: list[str], scale: str) -> str:
    names = [
        f"{METRICS[m].name} [{METRICS[m].unit}]" if METRICS[m].unit else METRICS[m].name for m in metrics
    ]
    head = [
        "system",
        "kind",
        "data",
        *(f"{name}, {who}" for name in names for who in ("paper", "ours")),
        "seeds",
        "items",
    ]
    lines = [f"# {title}", "", "| " + " | ".join(head) + " |", "|" + "---|" * 3 + "---:|" * (len(head) - 3)]
    for number in dict.fromkeys(cell.row for cell in cells):
        row = {cell.metric: cell for cell in cells if cell.row == number}
        first = next(iter(row.values()))
        shown = [first.system, first.kind, f"{first.dataset} {first.split}"]
        for metric in metrics:
            cell = row.get(metric)
            shown += (
                [_shown(cell.paper, _places(metric)), _ours_shown(cell, _places(metric))]
                if cell
                else ["", ""]
            )
        of = "" if first.items_of is None else f" of {first.items_of}"
        ran = max(cell.seeds for cell in row.values())
        shown += [str(ran) if ran else "", "" if first.items is None else f"{first.items}{of}"]
        lines.append("| " + " | ".join(text.replace("|", "\\|") for text in shown) + " |")
    lines += ["", f"Scale: {scale}. Ours: mean over seeds ± standard error."]
    if scale == "mini":
        lines.append("Measured at mini scale: these numbers are not compared with the paper's.")
    kinds = dict.fromkeys(cell.kind for cell in cells)
    lines.append("Kinds: " + "; ".join(f"{kind} {KINDS[kind]}" for kind in kinds) + ".")
    return "\n".join(lines) + "\n"


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
) -> list[Cell]:
    """Write the table `table` of `method`: printed rows in printed order, then rows that only we measure.

    spec is the recipe's table (schema.recipe.Table) with its seeds. A row of which no metrics file is given
    is "not run". Raises ValueError or SettingError: unknown key of spec, no seeds, a metrics file that no
    row asks for or that lacks the row's metric, another method or scale, seeds with different numbers of
    items, ambiguous rows.
    """
    asked = checked_as(Table, spec, f"{method}: tables.{table}")
    if not asked.seeds:
        raise ValueError(f"{method}: tables.{table}: seeds: expected at least one")
    measured = read_measured(metrics_files, method=method, scale=scale)
    _check_used(asked.rows, asked.seeds, measured)
    lines = _lines(table, asked.rows, read_reported(reported))
    metrics = list(dict.fromkeys(metric for line in lines for metric in line.metrics))  # in printed order
    cells = [
        _cell(
            number, line, metric, measured.get(line.key, NOTHING) if line.key else NOTHING, asked.seeds, scale
        )
        for number, line in enumerate(lines, 1)
        for metric in metrics
        if metric in line.metrics
    ]
    with out_csv.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Cell)], lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: "" if v is None else v for k, v in asdict(cell).items()} for cell in cells)
    out_md.write_text(_md(asked.title, cells, metrics, scale), encoding="utf-8")
    return cells
