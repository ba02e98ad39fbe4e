"""Kind `lines`: one metric over a swept value, a line a data set, a band of one standard error over seeds.

spec["x"] gives each variant's place on the axis: {label: frames, values: {few: 8, many: 16}, log: false}.
"""

import io
import math
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from retake.schema.tasks import METRICS

SETTINGS = {
    "svg.hashsalt": "retake",
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
}


def lines_table(where: str, spec: dict, items: dict) -> pd.DataFrame:
    """Columns series (data set), x, y, low, high (printed unit), seeds; sorted by series, then x.

    y is the mean over seeds of the mean over items; low and high are one standard error over seeds away, and
    equal to y for one seed.
    """
    metric, values = spec["metric"], (spec.get("x") or {}).get("values", {})
    if missing := [variant for variant in spec["variants"] if variant not in values]:
        raise ValueError(f"{where}: x.values: no place on the axis for {', '.join(missing)}")
    lines = []
    for dataset in spec["datasets"]:
        for variant in spec["variants"]:
            means = []
            for path in (items[run] for run in sorted(items) if run[:2] == (variant, dataset)):
                table = pd.read_parquet(path)
                if metric not in table:
                    raise ValueError(f"{path}: no column {metric!r}; have {', '.join(table.columns)}")
                means.append(math.fsum(table[metric].astype(float)) / len(table) * METRICS[metric].scale)
            if not means:
                raise ValueError(f"{where}: no items file of {variant} on {dataset}")
            y, n = math.fsum(means) / len(means), len(means)
            error = math.sqrt(math.fsum((m - y) ** 2 for m in means) / (n - 1) / n) if n > 1 else 0.0
            line = {"series": dataset, "x": float(values[variant]), "y": y}
            lines.append(line | {"low": y - error, "high": y + error, "seeds": n})
    return pd.DataFrame(lines).sort_values(["series", "x"], kind="stable").reset_index(drop=True)


def lines_svg(spec: dict, csv: Path) -> str:
    """The figure as SVG text: no date, fixed identifiers."""
    metric, table = METRICS[spec["metric"]], pd.read_csv(csv)
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.add_subplot()
        for series, part in table.groupby("series", sort=True):
            (line,) = axes.plot(part["x"], part["y"], marker="o", label=str(series))
            band = {"color": line.get_color(), "alpha": 0.2, "linewidth": 0}
            axes.fill_between(part["x"], part["low"], part["high"], **band)
        if spec["x"].get("log"):
            axes.set_xscale("log", base=2)
        axes.set_xlabel(spec["x"].get("label", ""))
        axes.set_ylabel(f"{metric.name} [{metric.unit}]" if metric.unit else metric.name)
        axes.set_title(spec["title"])
        axes.legend(frameon=False)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Title": spec["title"]})
    return text.getvalue()
