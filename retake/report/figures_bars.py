"""Kind `bars`: one metric of several variants, a bar a variant and data set, and how far each is from the first.

spec["labels"] says what stands under a variant's bar; without one its name.
"""

import io
import math
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from retake.report.figures_lines import SETTINGS
from retake.schema.tasks import METRICS

COLOURS = ("#1f6fb4", "#d9622b", "#2c8c4b", "#8a5fb0")  # of data sets
WIDTH = 0.7  # of all bars of a variant, of the room that it has


def bars_table(where: str, spec: dict, items: dict) -> pd.DataFrame:
    """Columns dataset, variant, label, value and gap (printed unit), items; in the spec's order.

    value is the mean over items, gap that of the first variant less it. Raises ValueError on a run that is missing,
    or a metric that items do not have.
    """
    metric, lines = spec["metric"], []
    for dataset in spec["datasets"]:
        first = None
        for variant in spec["variants"]:
            path = items.get((variant, dataset, spec["seed"]))
            if path is None:
                raise ValueError(f"{where}: no items file of {variant} on {dataset}, seed {spec['seed']}")
            table = pd.read_parquet(path)
            if metric not in table:
                raise ValueError(f"{path}: no column {metric!r}; have {', '.join(table.columns)}")
            value = math.fsum(table[metric].astype(float)) / len(table) * METRICS[metric].scale
            first = value if first is None else first
            line = {"dataset": dataset, "variant": variant, "label": spec["labels"].get(variant, variant)}
            lines.append(line | {"value": value, "gap": first - value, "items": len(table)})
    return pd.DataFrame(lines)


def bars_svg(spec: dict, csv: Path) -> str:
    """The figure as SVG text: no date, fixed identifiers."""
    metric, table = METRICS[spec["metric"]], pd.read_csv(csv, dtype={"label": str})
    datasets = list(dict.fromkeys(table["dataset"]))
    labels = table[table["dataset"] == datasets[0]]["label"].tolist()
    wide = WIDTH / len(datasets)
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.add_subplot()
        for number, dataset in enumerate(datasets):
            part = table[table["dataset"] == dataset]
            at = [n + (number - (len(datasets) - 1) / 2) * wide for n in range(len(part))]
            drawn = axes.bar(
                at, part["value"], wide * 0.9, color=COLOURS[number % len(COLOURS)], label=dataset
            )
            said = [_said(value, gap) for value, gap in zip(part["value"], part["gap"], strict=True)]
            axes.bar_label(drawn, said, padding=2, fontsize=9)
        axes.set_xticks(range(len(labels)), labels)
        axes.grid(axis="x", visible=False)
        axes.margins(y=0.12)
        axes.set_ylabel(f"{metric.name} [{metric.unit}]" if metric.unit else metric.name)
        axes.set_title(spec["title"], fontsize=10)
        if len(datasets) > 1:
            axes.legend(frameon=False)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Title": spec["title"]})
    return text.getvalue()


def _said(value: float, gap: float) -> str:
    """What stands over a bar: its value and, where it is not the first, how far it is from that."""
    return f"{value:.1f}" if gap == 0 else f"{value:.1f} ({-gap:+.1f})"
