"""Kind `captions`: frames of a few videos, what each variant says of them, and one reference.

Which videos is decided by a stated rule, not by hand: the item whose sentence score gains or loses most
from the first listed variant to the last. A tie goes to
the item that comes first by name; no item is shown twice.
"""

import base64
import io
import textwrap
import unicodedata
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import pandas as pd
from matplotlib.image import imsave

from retake.schema.tasks import METRICS

FRAMES = 4  # of the view's frames, evenly from first to last
EDGE = 224  # px: larger frames are averaged down by a whole factor
PUT, TEXT_PX, LINE_PX, LABEL = (
    168,
    15,
    21,
    96,
)  # drawn size of a frame; text; line; width of the labels' column
GAP, MARGIN = 8, 20
RULES = {"largest_gain": ("largest gain", 1.0), "largest_loss": ("largest loss", -1.0)}


def _scores(where: str, spec: dict, items: dict, dataset: str) -> pd.DataFrame:
    """Sentence scores in the printed unit by item_id, a column a variant; items that all answered."""
    metric, columns = spec.get("metric") or "cider", {}
    for variant in spec["variants"]:
        run = (variant, dataset, spec["seed"])
        if run not in items:
            raise ValueError(f"{where}: no items file of {variant} on {dataset}, seed {spec['seed']}")
        table = pd.read_parquet(items[run])
        if metric not in table:
            raise ValueError(f"{items[run]}: no column {metric!r}; have {', '.join(table.columns)}")
        columns[variant] = table.set_index("item_id")[metric].astype(float) * METRICS[metric].scale
    return pd.DataFrame(columns).dropna().sort_index()


def picked(spec: dict, scores: dict[str, pd.DataFrame]) -> list[tuple[str, str, str]]:
    """(dataset, rule, item_id) of every entry of spec["pick"]; an entry with no item left is left out."""
    first, last = spec["variants"][0], spec["variants"][-1]
    taken: set[tuple[str, str]] = set()
    found = []
    for pick in spec["pick"]:
        if pick["rule"] not in RULES:
            raise ValueError(f"rule {pick['rule']!r}: expected {' or '.join(RULES)}")
        among = list(scores) if pick["dataset"] == "any" else [pick["dataset"]]
        sign = RULES[pick["rule"]][1]
        ranked = sorted(
            (-sign * (row[last] - row[first]), dataset, str(item))
            for dataset in among
            for item, row in scores[dataset].iterrows()
            if (dataset, str(item)) not in taken
        )
        if ranked:
            _, dataset, item = ranked[0]
            taken.add((dataset, item))
            found.append((dataset, pick["rule"], item))
    return found


def _said(rule: str, difference: float) -> str:
    """The rule in words, honest about a run in which nothing gained or nothing lost."""
    if rule == "largest_gain" and difference <= 0:
        return "largest gain (none gained)"
    if rule == "largest_loss" and difference >= 0:
        return "largest loss (none lost)"
    return RULES[rule][0]


def _frames_of(index: Path, video_id: str, start_s: float) -> dict[str, Any]:
    """Which rows of which array show the segment: array (path), rows and times_s of FRAMES frames."""
    table = pd.read_parquet(index)
    rows = table[(table["video_id"] == video_id) & (table["start_s"].sub(start_s).abs() < 1e-6)]
    if rows.empty:
        raise ValueError(f"{index}: no frames of video {video_id!r} from {start_s:g} s")
    row = rows.iloc[0]
    chosen = np.unique(np.linspace(0, int(row["num_rows"]) - 1, FRAMES).round().astype(int))
    return {
        "array": (index.parent / row["array"]).as_posix(),
        "rows": ";".join(str(int(row["row"]) + int(k)) for k in chosen),
        "times_s": ";".join(f"{float(row['times_s'][k]):.2f}" for k in chosen),
    }


def captions_table(
    where: str, spec: dict, predictions: dict, items: dict, annotations: dict, media: dict
) -> pd.DataFrame:
    """A row a shown video: which, why, each variant's caption and score, a reference, frames."""
    scores = {dataset: _scores(where, spec, items, dataset) for dataset in spec["datasets"]}
    lines = []
    for dataset, rule, item in picked(spec, scores):
        score = scores[dataset].loc[item]
        references = pd.read_parquet(annotations[dataset])
        references = references[(references["item_id"] == item) & references["text_out"].notna()]
        if references.empty:
            raise ValueError(f"{annotations[dataset]}: item {item!r} has no reference")
        reference = references.sort_values("ref_id").iloc[0]
        difference = score[spec["variants"][-1]] - score[spec["variants"][0]]
        line = {"dataset": dataset, "rule": _said(rule, difference), "item_id": item}
        line |= {"video_id": reference["video_id"], "metric": spec.get("metric") or "cider"}
        for variant in spec["variants"]:
            path = predictions.get((variant, dataset, spec["seed"]))
            if path is None:
                raise ValueError(f"{where}: no predictions of {variant} on {dataset}, seed {spec['seed']}")
            said = pd.read_parquet(path).set_index("item_id")["text"]
            if item not in said.index:
                raise ValueError(f"{path}: item {item!r} is scored but not answered")
            line |= {f"caption_{variant}": said[item], f"score_{variant}": f"{score[variant]:.2f}"}
        line |= {"reference": reference["text_out"], "difference": f"{difference:+.2f}"}
        lines.append(
            line | _frames_of(Path(media[dataset]), str(reference["video_id"]), float(reference["start_s"]))
        )
    if not lines:
        raise ValueError(f"{where}: no item of {', '.join(spec['datasets'])} is scored for every variant")
    return pd.DataFrame(lines)


def picture(frame: np.ndarray) -> str:
    """(H, W, 3) uint8 as a PNG data URI, its longer side at most EDGE pixels."""
    factor = -(-max(frame.shape[:2]) // EDGE)
    if factor > 1:
        height, width = (side // factor * factor for side in frame.shape[:2])
        blocks = frame[:height, :width].reshape(height // factor, factor, width // factor, factor, 3)
        frame = blocks.mean(axis=(1, 3)).round().astype(np.uint8)
    file = io.BytesIO()
    imsave(file, np.ascontiguousarray(frame), format="png", metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")


def xml(text: str) -> str:
    """`text` for XML: escaped; what XML cannot hold (control characters, lone surrogates) as U+FFFD."""
    kept = "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n" else c for c in str(text)
    )
    return escape(kept, {'"': "&quot;"})


def _block(label: str, text: str, score: str, y: int, width: int) -> tuple[list[str], int]:
    """A labelled sentence that wraps at `width`; returns its elements and the y below it."""
    lines = textwrap.wrap(text, max(20, int((width - LABEL - 64) / (TEXT_PX * 0.52)))) or ["(no words)"]
    parts = [f'<text class="label" x="{MARGIN}" y="{y}">{xml(label)}</text>']
    for number, line in enumerate(lines):
        place = f'x="{MARGIN + LABEL}" y="{y + number * LINE_PX}"'
        parts.append(f'<text class="said" {place}>{xml(line)}</text>')
    if score:
        parts.append(f'<text class="score" x="{width - MARGIN}" y="{y}">{xml(score)}</text>')
    return parts, y + len(lines) * LINE_PX


def _row_svg(number: int, row: pd.Series, spec: dict, y: int, width: int) -> tuple[list[str], int]:
    """One video: head, frames, sentences."""
    metric = METRICS[row["metric"]].name
    head = f"{row['dataset']}, {row['video_id']}: {row['rule']} in sentence {metric} ({row['difference']})"
    parts = [f'<g id="video{number}">', f'<text class="head" x="{MARGIN}" y="{y}">{xml(head)}</text>']
    y += 12
    array = np.load(row["array"], mmap_mode="r")
    tall = 0
    for k, (place, time) in enumerate(
        zip(str(row["rows"]).split(";"), str(row["times_s"]).split(";"), strict=True)
    ):
        frame = np.asarray(array[int(place)])
        high = round(PUT * frame.shape[0] / frame.shape[1])
        tall = max(tall, high)
        at = f'x="{MARGIN + k * (PUT + GAP)}" y="{y}" width="{PUT}" height="{high}"'
        name = f"video{number}_frame{k}"
        parts.append(f'<image id="{name}" {at} href="{picture(frame)}"><title>{time} s</title></image>')
    y += tall + 24
    for variant in spec["variants"]:
        block, y = _block(variant, row[f"caption_{variant}"], row[f"score_{variant}"], y, width)
        parts += block
    block, y = _block("reference", row["reference"], "", y, width)
    return [*parts, *block, "</g>"], y + 22


STYLE = """text{font-family:system-ui,'Segoe UI','DejaVu Sans',sans-serif;font-size:15px;fill:#1c1f24}
.title{font-size:17px;font-weight:600}.head,.label,.score{font-size:13px;fill:#5a616b}.score{text-anchor:end}
.said{unicode-bidi:plaintext}image{image-rendering:auto}"""


def captions_svg(spec: dict, csv: Path) -> str:
    """The figure as one SVG text, with its frames inside. Of the CSV every column is text."""
    table = pd.read_csv(csv, dtype=str, keep_default_na=False)
    width = 2 * MARGIN + FRAMES * PUT + (FRAMES - 1) * GAP
    parts, y = [f'<text class="title" x="{MARGIN}" y="34">{xml(spec["title"])}</text>'], 68
    for number, (_, row) in enumerate(table.iterrows()):
        block, y = _row_svg(number, row, spec, y, width)
        parts += block
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}" height="{y}">'
    paper = f'<rect width="{width}" height="{y}" fill="#fff"/>'
    named = f"<title>{xml(spec['title'])}</title><style>{STYLE}</style>"
    return "\n".join([head, named, paper, *parts, "</svg>", ""])
