"""Figures of shared kinds, each drawn from one CSV of the same stem, so that it can be checked.

No method's name stands here. A kind is two functions: one makes the CSV's rows, one draws what the CSV says.
Same inputs, same bytes: no date, no random identifiers, text as text.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from retake.report.figures_bars import bars_svg, bars_table
from retake.report.figures_captions import captions_svg, captions_table
from retake.report.figures_classes import (
    class_bars_svg,
    class_bars_table,
    class_gains_svg,
    class_gains_table,
)
from retake.report.figures_cost import cost_accuracy_svg, cost_accuracy_table
from retake.report.figures_embedding import embedding_svg, embedding_table
from retake.report.figures_examples import examples_by_window_svg, examples_by_window_table
from retake.report.figures_labels import labelled_svg, labelled_table, stills_svg, stills_table
from retake.report.figures_lines import lines_svg, lines_table
from retake.report.figures_signals import signals_svg, signals_table
from retake.report.figures_windows import windows_svg, windows_table

PLACE = re.compile(r"(?P<variant>[^/]+)/(?P<dataset>[^/]+)/seed(?P<seed>\d+)/(?P<protocol>[^/]+)/[^/]+$")
Run = tuple[str, str, int]  # variant, dataset, seed


def runs_of(paths: list[Path]) -> dict[Run, Path]:
    """The files by the run that their path names (.../{variant}/{dataset}/seed{seed}/{protocol}/{file})."""
    found: dict[Run, Path] = {}
    for path in paths:
        place = PLACE.search(Path(path).as_posix())
        if place is None:
            raise ValueError(f"{path}: expected .../VARIANT/DATASET/seedN/PROTOCOL/FILE")
        run = (place["variant"], place["dataset"], int(place["seed"]))
        if run in found:
            raise ValueError(f"{path}: {run[0]} on {run[1]}, seed {run[2]}, is also {found[run]}")
        found[run] = Path(path)
    return found


def draw_figure(
    *,
    method: str,
    figure: str,
    spec: dict[str, Any],
    inputs: Mapping[str, Any],
    out_svg: Path,
    out_csv: Path,
    size: Sequence[int] = (0, 0),
    scale: str = "mini",
) -> None:
    """Write the figure's CSV, then draw the SVG from that CSV.

    spec: the recipe's figure. inputs, by kind:
    captions, lines  predictions and per_item, told apart by their paths; annotations and media, one each for
                     spec["datasets"], in that order
    bars             per_item
    class_bars, class_gains  predictions, and annotations (one), of the runs and seeds of spec
    windows          metrics: files of the runs and seeds of spec
    signals, embedding, examples_by_window  examples and frames, as extract_examples writes them
    labelled         shown, a file a shard as the labelling keeps them, and asr (annotations)
    stills           pictures, as caption_stills writes them
    cost_accuracy    tables (of times, of scores), media (one), with `size` (height, width) of that view's frames
    Raises ValueError on an unknown kind, an input too few, a missing run, or an item without score, prediction or
    frames.
    """
    where = f"{method}: figures.{figure}"
    made = KINDS.get(spec["kind"])
    if made is None:
        raise ValueError(f"{where}: kind {spec['kind']!r}: expected one of {', '.join(KINDS)}")
    table, drawing = made(where, spec, inputs, About(int(size[0]), int(size[1]), scale, method))
    table.to_csv(out_csv, index=False, lineterminator="\n")
    Path(out_svg).write_text(drawing(spec, out_csv), encoding="utf-8", newline="\n")


Made = tuple[pd.DataFrame, Callable[[dict, Path], str]]  # what the CSV says, and what draws it


class About(NamedTuple):
    """What a kind may want to know beside its inputs: height and width of a view's frames, scale, method."""

    height: int
    width: int
    scale: str
    method: str


def _captions(where: str, spec: dict, inputs: Mapping[str, Any], _: About) -> Made:
    media, read = _by_dataset(where, spec, inputs)
    runs = (runs_of(list(inputs["predictions"])), runs_of(list(inputs["per_item"])))
    return captions_table(where, spec, *runs, read, media), captions_svg


def _lines(where: str, spec: dict, inputs: Mapping[str, Any], _: About) -> Made:
    _by_dataset(where, spec, inputs)
    return lines_table(where, spec, runs_of(list(inputs["per_item"]))), lines_svg


def _bars(where: str, spec: dict, inputs: Mapping[str, Any], _: About) -> Made:
    return bars_table(where, spec, runs_of(list(inputs["per_item"]))), bars_svg


def _class_bars(where: str, spec: dict, inputs: Mapping[str, Any], _: About) -> Made:
    runs, annotations = _answered(where, inputs)
    return class_bars_table(where, spec, runs, annotations), class_bars_svg


def _class_gains(where: str, spec: dict, inputs: Mapping[str, Any], _: About) -> Made:
    runs, annotations = _answered(where, inputs)
    return class_gains_table(where, spec, runs, annotations), class_gains_svg


def _answered(where: str, inputs: Mapping[str, Any]) -> tuple[dict[Run, Path], Path]:
    """(predictions by run, the one annotation table)."""
    if len(annotations := list(inputs["annotations"])) != 1:
        raise ValueError(f"{where}: expected one annotation table")
    return runs_of(list(inputs["predictions"])), annotations[0]


def _windows(where: str, spec: dict, inputs: Mapping[str, Any], about: About) -> Made:
    files = list(inputs["metrics"])
    return windows_table(where, spec, files, method=about.method, scale=about.scale), windows_svg


def _examples_by_window(where: str, spec: dict, inputs: Mapping[str, Any], _: About) -> Made:  # noqa: ARG001
    return examples_by_window_table(where, inputs["examples"], inputs["frames"]), examples_by_window_svg


def _by_dataset(where: str, spec: dict, inputs: Mapping[str, Any]) -> tuple[dict, dict]:
    """(media index, annotations) by data set."""
    media, annotations = list(inputs["media"]), list(inputs["annotations"])
    if not len(media) == len(annotations) == len(spec["datasets"]):
        raise ValueError(
            f"{where}: expected one annotation table and one media index a data set {spec['datasets']}"
        )
    return dict(zip(spec["datasets"], media, strict=True)), dict(
        zip(spec["datasets"], annotations, strict=True)
    )


def _signals(where: str, spec: dict, inputs: Mapping[str, Any], _: About) -> Made:  # noqa: ARG001
    return signals_table(where, inputs["examples"], inputs["frames"]), signals_svg


def _embedding(where: str, spec: dict, inputs: Mapping[str, Any], _: About) -> Made:
    return embedding_table(where, spec, inputs["examples"], inputs["frames"]), embedding_svg


def _cost_accuracy(where: str, spec: dict, inputs: Mapping[str, Any], about: About) -> Made:
    tables, media = list(inputs["tables"]), list(inputs["media"])
    if len(tables) != 2 or len(media) != 1:
        raise ValueError(f"{where}: expected a table of times, one of scores, and one media index")
    return cost_accuracy_table(where, spec, tables, media[0], about[:2], about.scale), cost_accuracy_svg


def _labelled(where: str, spec: dict, inputs: Mapping[str, Any], _: About) -> Made:
    return labelled_table(where, spec, list(inputs["shown"]), inputs["asr"]), labelled_svg


def _stills(where: str, spec: dict, inputs: Mapping[str, Any], _: About) -> Made:  # noqa: ARG001
    return stills_table(where, inputs["pictures"]), stills_svg


KINDS = {
    "captions": _captions,
    "lines": _lines,
    "bars": _bars,
    "signals": _signals,
    "embedding": _embedding,
    "cost_accuracy": _cost_accuracy,
    "labelled": _labelled,
    "stills": _stills,
    "class_bars": _class_bars,
    "class_gains": _class_gains,
    "windows": _windows,
    "examples_by_window": _examples_by_window,
}
