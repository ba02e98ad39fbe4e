"""A table for people: Markdown, one line a printed row."""

from typing import TYPE_CHECKING

from retake.report.reported import KINDS
from retake.schema.costs import PARTS
from retake.schema.tasks import METRICS, MS

if TYPE_CHECKING:
    from retake.report.tables import Cell

PLACES = {
    "percent": 1,
    "GFLOPs": 1,
    "steps": 1,
    MS: 2,
    "times": 2,
}  # unit -> digits after the point; of others three


def _shown(value: float | None, places: int) -> str:
    return "" if value is None else f"{value:.{places}f}"


def _ours_shown(cell: "Cell", places: int) -> str:
    if cell.ours is None:
        return "" if cell.kind == "Q" else cell.verdict
    error = "" if cell.standard_error is None else f" ± {cell.standard_error:.{places}f}"
    word = "" if cell.scale == "mini" else f" ({cell.verdict})"
    return f"{cell.ours:.{places}f}{error}{word}"


def _decimals(metric: str) -> int:
    return 0 if metric in PARTS else PLACES.get(METRICS[metric].unit, 3)


def _headings(cells: list["Cell"], metrics: list[str]) -> dict[tuple[str, str], str]:
    """(metric, column) -> what stands above its cells, in printed order."""
    units = {
        m: f"{METRICS[m].name} [{METRICS[m].unit}]" if METRICS[m].unit else METRICS[m].name for m in metrics
    }
    columns = dict.fromkeys(cell.column for cell in cells)
    there = {(cell.metric, cell.column) for cell in cells}
    alone = len({m for m, column in there if column}) < 2 and all(column for _, column in there)
    head = {
        (m, column): column if alone else f"{column}, {units[m]}" if column else units[m]
        for m in metrics
        for column in columns
    }
    return {place: name for place, name in head.items() if place in there}


def readable(title: str, cells: list["Cell"], metrics: list[str], scale: str) -> str:
    """The table as Markdown."""
    headings = _headings(cells, metrics)
    head = [
        "system",
        "kind",
        "data",
        *(f"{name}, {who}" for name in headings.values() for who in ("paper", "ours")),
        "seeds",
        "items",
    ]
    lines = [f"# {title}", "", "| " + " | ".join(head) + " |", "|" + "---|" * 3 + "---:|" * (len(head) - 3)]
    for number in dict.fromkeys(cell.row for cell in cells):
        row = {(cell.metric, cell.column): cell for cell in cells if cell.row == number}
        first = next(iter(row.values()))
        data = " and ".join(dict.fromkeys(cell.dataset for cell in row.values() if cell.dataset))
        split = next((cell.split for cell in row.values() if cell.split), "")
        kinds = " and ".join(dict.fromkeys(cell.kind for cell in row.values()))
        shown = [first.system, kinds, f"{data} {split}".strip()]
        for metric, column in headings:
            cell = row.get((metric, column))
            shown += (
                [_shown(cell.paper, _decimals(metric)), _ours_shown(cell, _decimals(metric))]
                if cell
                else ["", ""]
            )
        scored = next((cell for cell in row.values() if cell.items is not None), first)
        of = "" if scored.items_of is None else f" of {scored.items_of}"
        ran = max(cell.seeds for cell in row.values())
        shown += [str(ran) if ran else "", "" if scored.items is None else f"{scored.items}{of}"]
        lines.append("| " + " | ".join(text.replace("|", "\\|") for text in shown) + " |")
    above = {METRICS[m].name + (f" [{METRICS[m].unit}]" if METRICS[m].unit else "") for m in metrics}
    said = f" Cells: {above.pop()}." if all(column for _, column in headings) else ""
    lines += ["", f"Scale: {scale}.{said} Ours: mean over seeds ± standard error."]
    if scale == "mini" and any(cell.scale == "mini" and cell.dataset for cell in cells):
        lines.append("Measured at mini scale: these numbers are not compared with the paper's.")
    kinds = dict.fromkeys(cell.kind for cell in cells)
    lines.append("Kinds: " + "; ".join(f"{kind} {KINDS[kind]}" for kind in kinds) + ".")
    lines += [f"Times: {note}; the paper's are of its own." for note in _machines(cells)]
    return "\n".join(lines) + "\n"


def _machines(cells: list["Cell"]) -> list[str]:
    """What times were measured on, each once."""
    timed = (
        cell.note.split("; measured on ")[-1].removeprefix("measured on ")
        for cell in cells
        if cell.ours is not None and METRICS[cell.metric].unit == MS
    )
    return [f"measured on {name}" for name in dict.fromkeys(timed)]
