"""Kind `examples_by_window`: labelled boxes in their keyframes, and the right class's probability against the window.

Which boxes is decided by a stated rule, not by hand: see `retake.data.examples_by_window`, which takes them out.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from retake.report.figures_captions import GAP, MARGIN, STYLE, picture, xml

WIDE, CURVE, TALL = 260, 250, 150  # pixels: a picture, a curve's plot and its height
AXIS = 44  # left of the plot, for its numbers
TEXT = dict.fromkeys(("class", "video_id", "item_id", "ref_id", "time_s"), str)
RULE = (
    "Chosen by rule, not by hand: the right class's probability rises most",
    "from the shortest window to the longest{but} (seed {seed}); no video twice.",
)
BOX = "#ffd23f"
MORE = """.tick{font-size:11px;fill:#5a616b}.end{text-anchor:end}.mid{text-anchor:middle}
.axis{stroke:#9aa1ab;stroke-width:1}.grid{stroke:#e3e6ea;stroke-width:1}"""


def examples_by_window_table(where: str, examples: Path, frames: Path) -> pd.DataFrame:
    """The rows of `frames`, one for each example and window, and where each picture lies.

    Raises ValueError where a picture is missing, or a probability is none.
    """
    listed = pd.read_csv(frames, dtype=TEXT, keep_default_na=False)
    with np.load(examples) as arrays:
        have = set(arrays)
    wanted = [f"picture_{number}" for number in dict.fromkeys(listed["example"])]
    if missing := [name for name in wanted if name not in have]:
        raise ValueError(f"{where}: {examples}: no array {missing[0]!r}")
    if (bad := ~listed["probability"].between(0, 1)).any():
        row = listed[bad].iloc[0]
        raise ValueError(
            f"{where}: {frames}: item {row['item_id']!r}: probability {row['probability']} is not in [0, 1]"
        )
    return listed.assign(array=Path(examples).as_posix())


def examples_by_window_svg(spec: dict, csv: Path) -> str:
    """The figure as one SVG text with its pictures inside, an example a row."""
    table = pd.read_csv(csv, dtype=TEXT, keep_default_na=False)
    width = 2 * MARGIN + WIDE + 2 * GAP + AXIS + CURVE
    parts = [f'<text class="title" x="{MARGIN}" y="34">{xml(spec["title"])}</text>']
    rule = _rule(spec, table)
    said = xml(f"{spec['title']}. {' '.join(rule)}")
    parts += [
        f'<text class="head" x="{MARGIN}" y="{56 + 17 * n}">{xml(line)}</text>' for n, line in enumerate(rule)
    ]
    y = 92
    for number, rows in table.groupby("example", sort=True):
        shown, tall = _keyframe(int(number), rows.iloc[0], y)
        parts += [f'<g id="example{number}">', *shown, *_curve(rows, y), "</g>"]
        y += max(tall, TALL + 60) + 2 * GAP
    y += MARGIN - 2 * GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}" height="{y}">'
    paper = f'<rect width="{width}" height="{y}" fill="#fff"/>'
    named = f"<title>{said}</title><style>{STYLE}{MORE}</style>"
    return "\n".join([head, named, paper, *parts, "</svg>", ""])


def _rule(spec: dict, table: pd.DataFrame) -> list[str]:
    """How examples were chosen, honest about those in which nothing rises."""
    ends = table.groupby("example")["probability"].agg(["first", "last"])
    fell = int((ends["last"] <= ends["first"]).sum())
    but = f"; it does not in {fell} of {len(ends)}" if fell else ""
    return [line.format(but=but, seed=spec["seed"]) for line in RULE]


def _keyframe(number: int, row: pd.Series, y: int) -> tuple[list[str], int]:
    """The picture with the box over it and what it is below it; its elements and their height."""
    with np.load(row["array"]) as arrays:
        frame = arrays[f"picture_{number}"]
    high = round(WIDE * frame.shape[0] / frame.shape[1])
    place = f'x="{MARGIN}" y="{y}" width="{WIDE}" height="{high}"'
    name = xml(f"{row['video_id']}, {row['time_s']} s")
    parts = [f'<image id="keyframe{number}" {place} href="{picture(frame)}"><title>{name}</title></image>']
    left, top = MARGIN + WIDE * row["left"], y + high * row["top"]
    size = f'width="{WIDE * (row["right"] - row["left"]):.1f}" height="{high * (row["bottom"] - row["top"]):.1f}"'
    line = f'fill="none" stroke="{BOX}" stroke-width="2.5"'
    parts.append(f'<rect id="box{number}" x="{left:.1f}" y="{top:.1f}" {size} {line}/>')
    parts.append(f'<text class="head" x="{MARGIN}" y="{y + high + 18}">{name}</text>')
    return parts, high + 22


def _curve(rows: pd.DataFrame, y: int) -> list[str]:
    """The class's name, and below it its probability over the window in seconds."""
    x, top = MARGIN + WIDE + 2 * GAP + AXIS, y + 30
    windows, probabilities = rows["window_s"].tolist(), rows["probability"].tolist()
    first, last = windows[0], windows[-1]
    at = [x + 8 + (CURVE - 16) * (w - first) / (last - first) for w in windows]
    up = [top + TALL * (1 - p) for p in probabilities]
    parts = [f'<text x="{x}" y="{y + 14}">{xml(rows["class"].iloc[0])}</text>']
    for share in (0.0, 0.5, 1.0):
        level = top + TALL * (1 - share)
        kind = "axis" if share == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{x}" y1="{level:g}" x2="{x + CURVE}" y2="{level:g}"/>')
        parts.append(f'<text class="tick end" x="{x - 6}" y="{level + 4:g}">{share:.0%}</text>')
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(at, up, strict=True))
    parts.append(f'<polyline points="{points}" fill="none" stroke="#1f6fb4" stroke-width="2"/>')
    for a, b, window, probability in zip(at, up, windows, probabilities, strict=True):
        parts.append(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3.5" fill="#1f6fb4"/>')
        parts.append(
            f'<text class="tick mid" x="{a:.1f}" y="{max(b - 7, top - 4):.1f}">{probability:.0%}</text>'
        )
        parts.append(f'<text class="tick mid" x="{a:.1f}" y="{top + TALL + 14}">{window:g}</text>')
    said = "window (seconds)"
    parts.append(f'<text class="tick mid" x="{x + CURVE / 2:g}" y="{top + TALL + 29}">{said}</text>')
    return parts
