"""Figures of shared kinds, each drawn from one CSV of the same stem, so that it can be checked.

No method's name stands here. A kind is two functions: one makes the CSV's rows, one draws what the CSV says.
Same inputs, same bytes: no date, no random identifiers, text as text.
"""

import re
from pathlib import Path
from typing import Any

from retake.report.figures_captions import captions_svg, captions_table
from retake.report.figures_lines import lines_svg, lines_table

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
    predictions: list[Path],
    metrics_items: list[Path],
    annotations: list[Path],
    media_index: list[Path],
    out_svg: Path,
    out_csv: Path,
) -> None:
    """Write the figure's CSV, then draw the SVG from that CSV.

    spec: the recipe's figure. `annotations` and `media_index` stand in the order of spec["datasets"], one
    each; predictions and items are told apart by their paths. Raises ValueError on an unknown kind, a missing
    run, or an item without score, prediction or frames.
    """
    where = f"{method}: figures.{figure}"
    if len(annotations) != len(spec["datasets"]) or len(media_index) != len(spec["datasets"]):
        raise ValueError(
            f"{where}: expected one annotation table and one media index a data set {spec['datasets']}"
        )
    match spec["kind"]:
        case "captions":
            media = dict(zip(spec["datasets"], media_index, strict=True))
            read = dict(zip(spec["datasets"], annotations, strict=True))
            table = captions_table(where, spec, runs_of(predictions), runs_of(metrics_items), read, media)
            draw = captions_svg
        case "lines":
            table = lines_table(where, spec, runs_of(metrics_items))
            draw = lines_svg
        case kind:
            raise ValueError(f"{where}: kind {kind!r}: expected captions or lines")
    table.to_csv(out_csv, index=False, lineterminator="\n")
    drawn = draw(spec, out_csv)
    Path(out_svg).write_text(drawn, encoding="utf-8", newline="\n")
