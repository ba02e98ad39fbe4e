"""Figures for the page: the drawing as an image that can load nothing, and captions as text beside frames."""

import base64
import csv
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from retake.schema.tasks import METRICS

TITLES = ("http://purl.org/dc/elements/1.1/", "http://www.w3.org/2000/svg")
HREFS = ("href", "{http://www.w3.org/1999/xlink}href")
FRAME = re.compile(r"video(\d+)_frame\d+$")


def _drawing(path: Path) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(path.read_text(encoding="utf-8"))
    except ElementTree.ParseError as error:
        raise ValueError(f"{path}: not an SVG: {error}") from None


def _frames(drawing: ElementTree.Element) -> dict[int, list[dict[str, str]]]:
    """The frames inside a drawing of kind captions, by its row: uri and time."""
    found: dict[int, list[dict[str, str]]] = {}
    for element in drawing.iter():
        place = FRAME.match(element.get("id") or "")
        uri = next((element.get(name) for name in HREFS if element.get(name)), "") or ""
        if place and uri.startswith("data:image/"):
            time = "".join(element.itertext()).strip()
            found.setdefault(int(place[1]), []).append({"uri": uri, "time": time})
    return found


def _samples(path: Path, drawing: ElementTree.Element) -> list[dict[str, Any]]:
    """A line of the figure's CSV as text with frames; empty for a figure of another kind."""
    if not path.is_file():
        raise ValueError(f"{path}: missing; a figure is drawn from the CSV beside it")
    with Path(path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"video_id", "reference"} <= rows[0].keys():
        return []
    frames = _frames(drawing)
    return [
        {
            "dataset": row["dataset"],
            "video_id": row["video_id"],
            "rule": row["rule"],
            "metric": METRICS[row["metric"]].name if row.get("metric") in METRICS else row.get("metric", ""),
            "difference": row.get("difference", "").replace("-", "−"),
            "frames": frames.get(number, []),
            "said": [
                {
                    "who": name.removeprefix("caption_"),
                    "text": row[name],
                    "score": row.get(name.replace("caption_", "score_", 1), ""),
                }
                for name in row
                if name.startswith("caption_")
            ],
            "reference": row["reference"],
        }
        for number, row in enumerate(rows)
    ]


def shown_figures(figures: list[Path]) -> list[dict[str, Any]]:
    """Each figure as name (method/figure), title, a data URI of its drawing, and samples (kind captions)."""
    shown = []
    for path in (Path(figure) for figure in figures):
        drawing = _drawing(path)
        names = (drawing.findtext(f".//{{{space}}}title") for space in TITLES)
        title = next((name for name in names if name), path.stem.replace("_", " "))
        uri = "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
        name = f"{path.parent.name}/{path.stem}"
        shown.append(
            {"name": name, "title": title, "uri": uri, "samples": _samples(path.with_suffix(".csv"), drawing)}
        )
    return shown
