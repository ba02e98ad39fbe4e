"""Kinds `class_bars` and `class_gains`: average precision of each class, and what it gains by each of two changes.

Classes stand by falling number of labelled boxes, of equal ones the lower label first. One that has none has no
precision: it has a row in the CSV and no place in the drawing. Errors are one standard error over seeds.
"""

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from retake.report.class_precisions import read_precisions, read_truth
from retake.report.figures_lines import SETTINGS
from retake.report.tables import mean_and_error

PERCENT = 100.0
COLOURS = ("#9aa1ab", "#1f6fb4")  # of the first variant, of the second
PER_CLASS = 0.24  # inches of a class along the axis
NAMED = 16  # classes up to which every point of a scatter is named; of more, those that gain most


def _by_class(where: str, spec: dict, runs: dict, annotations: Path, variants: list[str]) -> pd.DataFrame:
    """Columns label, class, boxes, then a variant's column of arrays: its precisions in percent, one a seed."""
    truth = read_truth(annotations, spec["split"])
    found: dict[str, list[np.ndarray]] = {variant: [] for variant in variants}
    num_classes = None
    for variant, of_seeds in found.items():
        for seed in spec["seeds"]:
            path = runs.get((variant, spec["dataset"], seed))
            if path is None:
                raise ValueError(f"{where}: no predictions of {variant} on {spec['dataset']}, seed {seed}")
            precisions = read_precisions(path, truth) * PERCENT
            num_classes = len(precisions) if num_classes is None else num_classes
            if len(precisions) != num_classes:
                raise ValueError(f"{path}: scores of {len(precisions)} classes; others have {num_classes}")
            of_seeds.append(precisions)
    assert num_classes is not None, "a figure has variants and seeds"
    counts, names = truth.counts(num_classes), truth.names(num_classes)
    order = sorted(range(num_classes), key=lambda label: (-counts[label], label))
    lines = [
        {"label": label, "class": names[label], "boxes": int(counts[label])}
        | {variant: np.array([values[label] for values in of_seeds]) for variant, of_seeds in found.items()}
        for label in order
    ]
    return pd.DataFrame(lines)


def over_seeds(values: np.ndarray) -> tuple[float, float]:
    """Mean over seeds and its standard error, which is 0 of one seed."""
    mean, error = mean_and_error(values.tolist())
    assert mean is not None, "a figure has a seed at least"
    return mean, error or 0.0


def class_bars_table(where: str, spec: dict, runs: dict, annotations: Path) -> pd.DataFrame:
    """Columns label, class, boxes, variant, name, ap, error (percent, empty without labelled boxes), seeds."""
    lines = []
    for _, row in _by_class(where, spec, runs, annotations, spec["variants"]).iterrows():
        for variant in spec["variants"]:
            ap, error = over_seeds(row[variant])
            line = {"label": row["label"], "class": row["class"], "boxes": row["boxes"], "variant": variant}
            line |= {"name": spec["labels"].get(variant, variant), "ap": ap, "error": error}
            lines.append(line | {"seeds": len(spec["seeds"])})
    table = pd.DataFrame(lines)
    table.loc[table["boxes"] == 0, ["ap", "error"]] = np.nan
    return table


def class_gains_table(where: str, spec: dict, runs: dict, annotations: Path) -> pd.DataFrame:
    """Columns label, class, boxes, gain_x, error_x, gain_y, error_y (percent; empty without boxes), seeds, pearson.

    A gain is taken seed by seed. pearson is the correlation of the two gains over classes that have boxes, the same in
    every row; empty where there are fewer than three, or one gain is the same for all.
    """
    asked = [name for gain in spec["gains"] for name in (gain["over"], gain["variant"])]
    lines = []
    for _, row in _by_class(where, spec, runs, annotations, asked).iterrows():
        line = {key: row[key] for key in ("label", "class", "boxes")}
        for axis, gain in zip("xy", spec["gains"], strict=True):
            mean, error = over_seeds(row[gain["variant"]] - row[gain["over"]])
            line |= {f"gain_{axis}": mean, f"error_{axis}": error}
        lines.append(line | {"seeds": len(spec["seeds"])})
    table = pd.DataFrame(lines)
    table.loc[table["boxes"] == 0, ["gain_x", "error_x", "gain_y", "error_y"]] = np.nan
    there = table.dropna(subset=["gain_x", "gain_y"])
    return table.assign(pearson=pearson(there["gain_x"].to_numpy(), there["gain_y"].to_numpy()))


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's correlation of two samples; NaN of fewer than three values, or where one does not vary."""
    x, y = x - x.mean() if len(x) else x, y - y.mean() if len(y) else y
    spread = np.sqrt((x * x).sum() * (y * y).sum())
    return float((x * y).sum() / spread) if len(x) > 2 and spread > 0 else float("nan")


def _written(figure: Figure, spec: dict) -> str:
    """The figure as SVG text: no date, fixed identifiers."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Title": spec["title"]})
    return text.getvalue()


def _plain(name: str) -> str:
    """A name as text: matplotlib reads what stands between dollar signs as a formula."""
    return name.replace("$", r"\$")


def _left_out(table: pd.DataFrame) -> str:
    """What is said of classes that are not drawn."""
    classes = table[table["boxes"] == 0]["label"].nunique()
    return f" ({classes} without any left out)" if classes else ""


def class_bars_svg(spec: dict, csv: Path) -> str:
    """The figure as SVG text."""
    table = pd.read_csv(
        csv, dtype={"class": str, "name": str}, keep_default_na=False, na_values={"ap": "", "error": ""}
    )
    drawn = table[table["boxes"] > 0]
    classes = drawn["class"][drawn["variant"] == spec["variants"][0]].tolist()
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(max(6.4, PER_CLASS * len(classes) + 1.2), 5.2), layout="constrained")
        axes = figure.add_subplot()
        for number, variant in enumerate(spec["variants"]):
            part = drawn[drawn["variant"] == variant]
            at = [n + (number - 0.5) * 0.4 for n in range(len(part))]
            errors = part["error"] if part["seeds"].max() > 1 else None
            axes.bar(
                at, part["ap"], 0.38, color=COLOURS[number], label=_plain(part["name"].iloc[0]), yerr=errors,
                error_kw={"linewidth": 0.8},
            )  # fmt: skip
        axes.set_xticks(range(len(classes)), [_plain(name) for name in classes], rotation=90, fontsize=8)
        axes.set_xlim(-0.7, len(classes) - 0.3)
        axes.grid(axis="x", visible=False)
        axes.set_xlabel(f"class, by falling number of labelled boxes{_left_out(table)}", fontsize=9)
        axes.set_ylabel("AP [percent]")
        axes.set_title(_plain(spec["title"]), fontsize=10)
        axes.legend(frameon=False)
        return _written(figure, spec)


def class_gains_svg(spec: dict, csv: Path) -> str:
    """The figure as SVG text."""
    numbers = dict.fromkeys(["gain_x", "error_x", "gain_y", "error_y", "pearson"], "")
    table = pd.read_csv(csv, dtype={"class": str}, keep_default_na=False, na_values=numbers)
    drawn = table[table["boxes"] > 0]
    correlation = table["pearson"].iloc[0]
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(6.4, 5.4), layout="constrained")
        axes = figure.add_subplot()
        axes.axhline(0, color="#9aa1ab", linewidth=0.8)
        axes.axvline(0, color="#9aa1ab", linewidth=0.8)
        errors = {"xerr": drawn["error_x"], "yerr": drawn["error_y"]} if table["seeds"].max() > 1 else {}
        axes.errorbar(
            drawn["gain_x"], drawn["gain_y"], fmt="o", color=COLOURS[1], markersize=4, elinewidth=0.6, alpha=0.75,
            **errors,
        )  # fmt: skip
        middle = sum(axes.get_xlim()) / 2
        for _, row in _named(drawn).iterrows():
            side, away = ("right", -4) if row["gain_x"] > middle else ("left", 4)  # names stay inside
            place: dict[str, Any] = {
                "xytext": (away, 3),
                "textcoords": "offset points",
                "fontsize": 7,
                "ha": side,
            }
            axes.annotate(_plain(row["class"]), (row["gain_x"], row["gain_y"]), **place)
        said = "not defined" if np.isnan(correlation) else f"{correlation:+.2f}"
        axes.text(
            0.99, 0.01, f"Pearson's correlation over {len(drawn)} classes: {said}", transform=axes.transAxes,
            ha="right", va="bottom", fontsize=9,
        )  # fmt: skip
        along, up = (f"{_plain(gain['label'])} [points of AP]" for gain in spec["gains"])
        axes.set_xlabel(along, fontsize=9)
        axes.set_ylabel(up, fontsize=9)
        axes.set_title(_plain(spec["title"]), fontsize=10)
        return _written(figure, spec)


def _named(drawn: pd.DataFrame) -> pd.DataFrame:
    """The classes whose names are written: all, or of more than NAMED those furthest from no gain."""
    if len(drawn) <= NAMED:
        return drawn
    far = np.hypot(drawn["gain_x"], drawn["gain_y"])
    return drawn.loc[far.sort_values(ascending=False, kind="stable").index[:NAMED]].sort_index()
