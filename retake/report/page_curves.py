"""Loss and validation curves as inline SVG: a panel for losses, one a validated score, seeds together."""

import math
from typing import Any

from markupsafe import Markup, escape

from retake.schema.record import Record
from retake.schema.tasks import METRICS

WIDTH, HEIGHT = 340, 200
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 30
POINTS = 240  # a curve is thinned to about this many
HIDDEN = ("train/lr", "train/items_per_s", "train/grad", "train/diverged")
Curve = list[tuple[float, float]]


def thinned(curve: Curve) -> Curve:
    """At most POINTS points: each stretch gives its lowest and highest, so that no spike is lost."""
    if len(curve) <= POINTS:
        return curve
    step = math.ceil(len(curve) / (POINTS / 2))
    kept: Curve = []
    for at in range(0, len(curve), step):
        part = curve[at : at + step]
        ends = {min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])}
        kept += sorted(ends)
    return kept


def ticks(low: float, high: float, at_most: int = 5) -> list[float]:
    """Round numbers from below `low` to above `high`, one, two or five times a power of ten apart."""
    if high <= low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / (at_most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= rough * (1 - 1e-9))
    first = math.floor(low / step + 1e-9)
    return [round((first + k) * step, 12) for k in range(math.ceil((high - first * step) / step - 1e-9) + 1)]


def _short(value: float) -> str:
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k"
    return f"{value:.6g}"


def panel(name: str, series: dict[str, list[Curve]]) -> Markup:
    """One SVG. series: name -> a curve a seed; the k-th series is drawn in the page's k-th colour."""
    points = [p for curves in series.values() for curve in curves for p in curve]
    ys = ticks(min(p[1] for p in points), max(p[1] for p in points))
    xs = ticks(0, max(p[0] for p in points))
    xs_end = max(p[0] for p in points) or 1.0

    def place(x: float, y: float) -> str:
        across = LEFT + (WIDTH - LEFT - RIGHT) * x / xs_end
        down = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (y - ys[0]) / (ys[-1] - ys[0])
        return f"{across:.1f},{down:.1f}"

    parts = []
    for y in ys:
        down = place(0, y).split(",")[1]
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down}" y2="{down}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{float(down) + 4:.1f}" text-anchor="end">{_short(y)}</text>')
    for x in (x for x in xs if x <= xs_end):
        across = place(x, ys[0]).split(",")[0]
        parts.append(f'<text x="{across}" y="{HEIGHT - 10}" text-anchor="middle">{_short(x)}</text>')
    for number, curves in enumerate(series.values()):
        for curve in curves:
            if len(curve) == 1:
                across, down = place(*curve[0]).split(",")
                parts.append(f'<circle class="s{number % 6} dot" cx="{across}" cy="{down}" r="3"/>')
            else:
                line = " ".join(place(x, y) for x, y in thinned(curve))
                parts.append(f'<polyline class="s{number % 6}" points="{line}"/>')
    label = escape(f"{name}: {', '.join(series)} over steps")
    body = "".join(parts)
    return Markup(
        f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{body}</svg>'
    )


def _panel_of(name: str) -> str:
    measured = name.removeprefix("val/")
    return METRICS[measured].name if name.startswith("val/") and measured in METRICS else "loss"


def finite(record: Record, name: str) -> Curve:
    """(step, value) of one metric without what is no number; a score by the scale that tables print it in."""
    scale = METRICS[name.removeprefix("val/")].scale if _panel_of(name) != "loss" else 1.0
    return [(step, value * scale) for step, value in record.curve(name) if math.isfinite(value)]


def _title(job: dict[str, Any]) -> str:
    skipped = ("seed",)
    return " · ".join(str(v) for k, v in job.get("wildcards", {}).items() if k not in skipped) or job["rule"]


def training_curves(records: list[Record]) -> list[dict[str, Any]]:
    """Every training (its seeds together) that recorded a curve: title, seeds, panels with their legend."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if any(m["name"].startswith(("train/", "val/")) for m in record.metrics):
            groups.setdefault((record.job["rule"], _title(record.job)), []).append(record)
    shown = []
    for (rule, title), members in sorted(groups.items()):
        panels: dict[str, dict[str, list[Curve]]] = {}
        names = dict.fromkeys(m["name"] for record in members for m in record.metrics)
        for name in names:
            curves = [curve for record in members if (curve := finite(record, name))]
            if curves and name.startswith(("train/", "val/")) and not name.startswith(HIDDEN):
                panels.setdefault(_panel_of(name), {})[name] = curves
        seeds = sorted({str(r.job.get("wildcards", {}).get("seed", "")) for r in members} - {""})
        drawn = [
            {"name": name, "svg": panel(name, series), "series": list(series)}
            for name, series in panels.items()
        ]
        if drawn:
            shown.append({"rule": rule, "title": title, "seeds": seeds, "panels": drawn})
    return shown
