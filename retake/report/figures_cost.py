"""Kind `cost_accuracy`: accuracy over milliseconds a frame, a node a system, its area the bytes of its input.

Both are read from tables of the method. A mini score is never put beside a paper's: at mini scale every node stands
at the accuracy that the paper prints, and what was measured is in the CSV alone.
"""

import csv as csv_files
import io
import math
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from retake.report.figures_lines import SETTINGS
from retake.schema.tasks import METRICS

INPUTS = {  # what a system reads -> what it is called, its colour, bytes a pixel (None: the stream's)
    "compressed": ("compressed video", "#2c8c4b", None),
    "rgb": ("RGB", "#1f6fb4", 3),
    "rgb_flow": ("RGB and flow", "#d9622b", 5),  # two displacements of a byte each
}
LARGEST = 900.0  # area of the largest node, points squared


def _cells(path: Path) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv_files.DictReader(file))


def _time(where: str, cells: list[dict[str, str]], path: Path, system: str, metrics: list[str]) -> float:
    found = {c["metric"]: c["ours"] for c in cells if c["variant"] == system and c["metric"] in metrics}
    if missing := [metric for metric in metrics if not found.get(metric)]:
        raise ValueError(f"{where}: {path}: no {missing[0]} of {system!r} was measured")
    return math.fsum(float(found[metric]) for metric in metrics)


def _accuracy(
    where: str, cells: list[dict[str, str]], path: Path, system: str, spec: dict
) -> tuple[str, str]:
    """(printed, ours) as the table has them."""
    asked = {"variant": system, "dataset": spec["dataset"], "metric": spec["metric"]}
    found = [c for c in cells if asked.items() <= c.items()]
    if len(found) != 1:
        raise ValueError(
            f"{where}: {path}: {len(found)} cells of {system!r}, {spec['metric']} on {spec['dataset']}"
        )
    return found[0]["paper"], found[0]["ours"]


def bytes_of_frame(index: Path, kind: str, size: tuple[int, int]) -> float:
    """Of the decoded picture, with flow beside it where there is some; or of the stream, over all its videos."""
    per_pixel = INPUTS[kind][2]
    if per_pixel is not None:
        return float(size[0] * size[1] * per_pixel)
    table = pd.read_parquet(index, columns=["num_rows", "times_s"])
    return float(table["num_rows"].sum()) / sum(len(times) for times in table["times_s"])


def cost_accuracy_table(
    where: str, spec: dict, tables: list[Path], index: Path, size: tuple[int, int], scale: str
) -> pd.DataFrame:
    """A row a system: label, input, ms_per_frame, accuracy (as it is drawn), said_by, paper, ours, bytes_per_frame."""
    times, scores = tables
    timed, scored = _cells(times), _cells(scores)
    lines = []
    for point in spec["points"]:
        printed, ours = _accuracy(where, scored, scores, point["scores"], spec)
        measured = scale == "paper" and bool(ours)
        accuracy = ours if measured else printed
        if not accuracy:
            raise ValueError(f"{where}: {scores}: no accuracy of {point['scores']!r}")
        line = {"label": point["label"], "input": point["input"]}
        line["ms_per_frame"] = _time(where, timed, times, point["times"], spec["metrics"])
        line |= {"accuracy": float(accuracy), "said_by": "measured" if measured else "printed"}
        line |= {
            "paper": printed,
            "ours": ours,
            "bytes_per_frame": bytes_of_frame(index, point["input"], size),
        }
        lines.append(line)
    return pd.DataFrame(lines)


def cost_accuracy_svg(spec: dict, csv: Path) -> str:
    """The figure as SVG text: no date, fixed identifiers."""
    table, metric = pd.read_csv(csv), METRICS[spec["metric"]]
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(6.8, 4.6), layout="constrained")
        axes = figure.add_subplot()
        most = table["bytes_per_frame"].max()
        for kind, (name, colour, _) in INPUTS.items():
            part = table[table["input"] == kind]
            if len(part):
                area = part["bytes_per_frame"] / most * LARGEST
                axes.scatter(
                    part["ms_per_frame"], part["accuracy"], s=area, color=colour, alpha=0.6, linewidths=0
                )
                axes.scatter([], [], s=60, color=colour, alpha=0.6, linewidths=0, label=name)
        for _, row in table.iterrows():
            radius = math.sqrt(row["bytes_per_frame"] / most * LARGEST / math.pi)
            axes.annotate(
                row["label"], (row["ms_per_frame"], row["accuracy"]), xytext=(0, radius + 4), ha="center",
                textcoords="offset points", fontsize=9,
            )  # fmt: skip
        axes.set_xscale("log")
        axes.margins(0.2)
        axes.set_xlabel("time (ms per frame, measured)")
        said = " and ".join(sorted(set(table["said_by"]), reverse=True))
        axes.set_ylabel(f"{metric.name} [{metric.unit}], {said}")
        axes.set_title(spec["title"], fontsize=10)
        axes.legend(frameon=False, title="node: bytes a frame", loc="best")
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Title": spec["title"]})
    return text.getvalue()
