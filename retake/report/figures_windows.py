"""Kind `windows`: what variants gain over one without a window, as a share of it, against the window in seconds.

A line a data set. The gain is taken seed by seed; y is its mean over seeds, low and high are one standard error away.
"""

import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, NullLocator

from retake.report.figures_classes import PERCENT, over_seeds
from retake.report.figures_lines import SETTINGS
from retake.report.measured import Key, Measured, read_measured
from retake.schema.tasks import METRICS

MARKS = ("o", "s", "^", "D", "v", "P")


def windows_table(where: str, spec: dict, metrics: list[Path], *, method: str, scale: str) -> pd.DataFrame:
    """Columns series, metric, base, variant, protocol, x (seconds), y, low, high (percent of the base), seeds.

    Raises ValueError on a seed that is missing, or a base of nought, of which nothing is a share.
    """
    measured = read_measured(metrics, method=method, scale=scale)
    lines = []
    for line in spec["lines"]:
        asked = (line["dataset"], line["split"])
        base = _values(
            where, measured, (line["base"], *asked, line["protocol"]), line["metric"], spec["seeds"]
        )
        if not (base > 0).all():
            raise ValueError(
                f"{where}: {line['metric']} of {line['base']} on {line['dataset']} is not above 0"
            )
        for point in line["points"]:
            protocol = point["protocol"] or line["protocol"]
            key = (point["variant"], *asked, protocol)
            values = _values(where, measured, key, line["metric"], spec["seeds"])
            y, error = over_seeds((values - base) / base * PERCENT)
            row = {"series": line["label"] or line["dataset"], "metric": line["metric"], "base": line["base"]}
            row |= {"variant": point["variant"], "protocol": protocol, "x": float(point["window_s"])}
            lines.append(row | {"y": y, "low": y - error, "high": y + error, "seeds": len(values)})
    return pd.DataFrame(lines)


def _values(where: str, measured: dict[Key, Measured], key: Key, metric: str, seeds: list[int]) -> np.ndarray:
    """(seeds,) of one run."""
    found = measured.get(key, Measured())
    if missing := [seed for seed in seeds if seed not in found.files]:
        variant, dataset, split, protocol = key
        raise ValueError(
            f"{where}: no metrics file of {variant} on {dataset}, {split}, {protocol}, seed {missing[0]}"
        )
    return np.array(found.values(metric, seeds), dtype=np.float64)


def windows_svg(spec: dict, csv: Path) -> str:
    """The figure as SVG text: no date, fixed identifiers."""
    table = pd.read_csv(csv, dtype={"series": str})
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        axes = figure.add_subplot()
        axes.axhline(0, color="#9aa1ab", linewidth=0.8)
        for number, (series, part) in enumerate(table.groupby("series", sort=False)):
            metric = METRICS[part["metric"].iloc[0]].name
            mark = MARKS[number % len(MARKS)]
            (line,) = axes.plot(
                part["x"], part["y"], marker=mark, label=f"{series} ({metric})".replace("$", r"\$")
            )
            band = {"color": line.get_color(), "alpha": 0.2, "linewidth": 0}
            axes.fill_between(part["x"], part["low"], part["high"], **band)
        if spec["log"]:
            axes.set_xscale("log", base=2)
            axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(sorted(set(table["x"])))
        axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        axes.set_xlabel("window (seconds)")
        axes.set_ylabel("gain over no window [percent of it]")
        axes.set_title(spec["title"].replace("$", r"\$"), fontsize=10)
        axes.legend(frameon=False)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Title": spec["title"]})
    return text.getvalue()
