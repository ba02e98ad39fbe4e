"""Tables for the page: a line a printed row, the paper's number and ours side by side under each metric."""

import csv
from pathlib import Path
from typing import Any

from retake.report.tables_text import PLACES
from retake.schema.tasks import METRICS

NEEDED = (
    "row",
    "system",
    "kind",
    "dataset",
    "split",
    "metric",
    "unit",
    "paper",
    "ours",
    "standard_error",
    "seeds",
)


def _read(path: Path) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in NEEDED if name not in (reader.fieldnames or [])]
        if missing:
            raise ValueError(f"{path}: columns {', '.join(missing)} are missing; not a table of this project")
        return list(reader)


def _title(path: Path) -> str:
    """The first line of the .md beside the table, else the file's name."""
    beside = path.with_suffix(".md")
    if beside.is_file():
        first = beside.read_text(encoding="utf-8").split("\n", 1)[0].lstrip("# ").strip()
        if first:
            return first
    return path.stem.replace("_", " ")


def _number(text: str, unit: str) -> str:
    return f"{float(text):.{PLACES.get(unit, 3)}f}" if text else ""


def _cell(cell: dict[str, str]) -> dict[str, str]:
    quoted, ours = cell["kind"] == "Q", cell["ours"]
    word = cell.get("verdict", "")
    return {
        "paper": _number(cell["paper"], cell["unit"]),
        "ours": _number(ours, cell["unit"]),
        "error": _number(cell["standard_error"], cell["unit"]),
        "said": "" if quoted or ours else word,
        "verdict": word if ours and cell.get("scale") == "paper" else "",
    }


def _items(cell: dict[str, str]) -> str:
    items, of = cell.get("items", ""), cell.get("items_of", "")
    return f"{items} of {of}" if items and of else items


def shown_tables(tables: list[Path]) -> list[dict[str, Any]]:
    """Each table as method, name, title, metrics and rows of formatted cells, in the order given."""
    shown = []
    for path in tables:
        cells = _read(path)
        metrics = list(dict.fromkeys((c["metric"], c["unit"], c.get("column", "")) for c in cells))
        lines: dict[str, list[dict[str, str]]] = {}
        for cell in cells:
            lines.setdefault(cell["row"], []).append(cell)
        rows = []
        for line in lines.values():
            first, by = line[0], {(c["metric"], c.get("column", "")): _cell(c) for c in line}
            data = " and ".join(dict.fromkeys(c["dataset"] for c in line if c["dataset"]))
            split = next((c["split"] for c in line if c["split"]), "")
            ran = max((int(c["seeds"] or 0) for c in line), default=0)
            rows.append(
                {
                    "system": first["system"],
                    "kind": " and ".join(dict.fromkeys(c["kind"] for c in line)),
                    "data": f"{data} {split}".strip(),
                    "protocol": first.get("protocol", ""),
                    "cells": [by.get((metric, column)) for metric, _, column in metrics],
                    "seeds": str(ran) if ran else "",
                    "scored": next((said for c in line if (said := _items(c))), ""),
                    "note": "; ".join(dict.fromkeys(c.get("note", "") for c in line if c.get("note"))),
                }
            )
        named = [
            {"name": column or (METRICS[m].name if m in METRICS else m), "unit": unit}
            for m, unit, column in metrics
        ]
        shown.append(
            {
                "method": path.parent.name,
                "name": path.stem,
                "title": _title(path),
                "metrics": named,
                "rows": rows,
            }
        )
    return shown
