"""Claims for the page: a verdict, and the interval of the difference as a bar over one axis a unit."""

import csv
from pathlib import Path
from typing import Any

from retake.schema.tasks import METRICS

WORDS = ("holds", "contradicted", "undecided", "not run")
SIGNS = {"holds": "✓", "contradicted": "✗", "undecided": "?", "not run": "–"}
NEEDED = ("method", "id", "statement", "metric", "a", "b", "unit", "difference", "low", "high", "verdict")


def _float(text: str) -> float | None:
    return float(text) if text else None


def _signed(value: float | None, unit: str) -> str:
    places = 1 if unit == "percent" else 3
    return "" if value is None else f"{value:+.{places}f}".replace("-", "−")


def _axis(claims: list[dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """Per unit, the ends of an axis that holds zero and every interval."""
    ends: dict[str, tuple[float, float]] = {}
    for claim in claims:
        values = [v for v in (claim["low"], claim["high"], claim["difference"]) if v is not None]
        low, high = ends.get(claim["unit"], (0.0, 0.0))
        ends[claim["unit"]] = (min([low, *values]), max([high, *values]))
    return {unit: (low, high) if high > low else (-1.0, 1.0) for unit, (low, high) in ends.items()}


def _bar(claim: dict[str, Any], ends: tuple[float, float]) -> dict[str, float] | None:
    """Places in percent of the bar's width: zero, low, high, difference. None: nothing to draw."""
    if claim["difference"] is None:
        return None
    span = ends[1] - ends[0]
    values = {"zero": 0.0, "at": claim["difference"]}
    values |= {"low": claim["low"], "high": claim["high"]} if claim["low"] is not None else {}
    return {name: round(3 + 94 * (value - ends[0]) / span, 2) for name, value in values.items()}


def claim_groups(path: Path | None) -> list[dict[str, Any]]:
    """The claims of each method with chips, numbers and bars; empty where there is no file or no claim."""
    if path is None or not Path(path).is_file():
        return []
    with Path(path).open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in NEEDED if name not in (reader.fieldnames or [])]
        if missing:
            raise ValueError(f"{path}: columns {', '.join(missing)} are missing; not a file of claims")
        rows: list[dict[str, Any]] = list(reader)
    groups: dict[str, list[dict[str, Any]]] = {}
    for line, row in enumerate(rows, 2):
        if row["verdict"] not in WORDS:
            raise ValueError(
                f"{path}: line {line}: verdict {row['verdict']!r}: expected one of {', '.join(WORDS)}"
            )
        row |= {name: _float(row[name]) for name in ("difference", "low", "high")}
        row |= {"sign": SIGNS[row["verdict"]], "css": row["verdict"].replace(" ", "-")}
        row |= {
            "size": _signed(_float(row.get("size", "")), row["unit"]),
            "shown": _signed(row["difference"], row["unit"]),
        }
        row["metric_name"] = METRICS[row["metric"]].name if row["metric"] in METRICS else row["metric"]
        row["between"] = [
            _signed(row[name], row["unit"]) for name in ("low", "high") if row[name] is not None
        ]
        groups.setdefault(row["method"], []).append(row)
    for claims in groups.values():
        axes = _axis(claims)
        for claim in claims:
            claim["bar"] = _bar(claim, axes[claim["unit"]])
    return [
        {
            "method": method,
            "claims": claims,
            "counts": {word: sum(c["verdict"] == word for c in claims) for word in WORDS},
        }
        for method, claims in groups.items()
    ]
