"""Kinds `labelled` and `stills`: pictures, and what was said of them.

labelled  clips of a release: the centre frame, what was spoken meanwhile, what a labeller says. Which clips is drawn by
          their names, one of a video, without a look at what was said.
stills    pictures of several groups, a column each, and under each several sentences that a labeller sampled.
"""

import hashlib
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from retake.report.figures_captions import GAP, LABEL, LINE_PX, MARGIN, PUT, STYLE, TEXT_PX, picture, xml

WIDE = 2 * PUT  # drawn width of a still; of a clip's frame PUT
TEXT = 440  # px of the sentences beside a frame


def labelled_table(where: str, spec: dict, shown: Sequence[Path], asr: Path) -> pd.DataFrame:
    """A row a clip: which, when its frame came up, what was spoken, what the labeller says, where its picture lies.

    shown: what the labelling kept of some clips, pictures among it; asr: the annotation table of what was spoken.
    """
    spoken = pd.read_parquet(asr, columns=["video_id", "start_s", "end_s", "text_out"])
    clips = []
    for path in shown:
        table = pd.read_parquet(path, columns=["video_id", "start_s", "end_s", "time_s", "caption"])
        clips += [(one, Path(path), row) for row, one in enumerate(table.itertuples(index=False))]
    clips.sort(
        key=lambda clip: hashlib.sha256(f"{clip[0].video_id} {clip[0].start_s:g}".encode()).hexdigest()
    )
    lines: dict[str, dict] = {}
    for one, path, row in clips:
        there = spoken[spoken["video_id"] == one.video_id]
        shared = there["end_s"].clip(upper=one.end_s) - there["start_s"].clip(lower=one.start_s)
        if len(lines) == spec["clips"] or one.video_id in lines or not (shared > 0).any():
            continue
        line = {"video_id": one.video_id, "start_s": f"{one.start_s:g}", "end_s": f"{one.end_s:g}"}
        line |= {
            "time_s": f"{one.time_s:.2f}",
            "asr": there.loc[shared.idxmax(), "text_out"],
            "pseudo": one.caption,
        }
        lines[one.video_id] = line | {"pictures": path.as_posix(), "row": str(row)}
    if not lines:
        raise ValueError(
            f"{where}: something is spoken in none of the {len(clips)} clips that the labelling kept"
        )
    return pd.DataFrame(list(lines.values()))


def stills_table(where: str, pictures: Path) -> pd.DataFrame:
    """A row a sentence: of which group and picture, the how manieth, where the picture lies."""
    table = pd.read_parquet(pictures, columns=["label", "video_id", "captions"])
    lines = [
        {"label": one.label, "video_id": one.video_id, "sample": str(n), "caption": text}
        | {"pictures": Path(pictures).as_posix(), "row": str(row)}
        for row, one in enumerate(table.itertuples(index=False))
        for n, text in enumerate(one.captions, 1)
    ]
    if not lines:
        raise ValueError(f"{where}: {pictures}: no picture was captioned")
    return pd.DataFrame(lines)


def _image(name: str, line: pd.Series, at: tuple[int, int, int]) -> tuple[str, int]:
    """A picture as an element at (x, y, width), and its height."""
    row = (
        pq.read_table(line["pictures"], columns=["height", "width", "rgb"])
        .slice(int(line["row"]), 1)
        .to_pylist()[0]
    )
    frame = np.frombuffer(row["rgb"], np.uint8).reshape(row["height"], row["width"], 3)
    high = round(at[2] * row["height"] / row["width"])
    place = f'x="{at[0]}" y="{at[1]}" width="{at[2]}" height="{high}"'
    title = xml(f"{line['video_id']}" + (f", {line['time_s']} s" if "time_s" in line else ""))
    return f'<image id="{name}" {place} href="{picture(frame)}"><title>{title}</title></image>', high


def _said(label: str, text: str, x: int, y: int, width: int) -> tuple[list[str], int]:
    """A sentence that wraps at `width`, with its label before it; its elements, and the y below it."""
    left = LABEL if label else 0
    lines = textwrap.wrap(text, max(16, int((width - left) / (TEXT_PX * 0.52)))) or ["(no words)"]
    parts = [f'<text class="label" x="{x}" y="{y}">{xml(label)}</text>'] if label else []
    for number, line in enumerate(lines):
        parts.append(f'<text class="said" x="{x + left}" y="{y + number * LINE_PX}">{xml(line)}</text>')
    return parts, y + len(lines) * LINE_PX


def labelled_svg(spec: dict, csv: Path) -> str:
    """The figure as one SVG text, a clip a row. Of the CSV every column is text."""
    table = pd.read_csv(csv, dtype=str, keep_default_na=False)
    parts, y = [], 58
    for number, (_, line) in enumerate(table.iterrows()):
        image, high = _image(f"clip{number}", line, (MARGIN, y, PUT))
        x, below = MARGIN + PUT + 2 * GAP, y + TEXT_PX
        parts.append(image)
        head = f"{line['video_id']}, {line['start_s']} to {line['end_s']} s, frame at {line['time_s']} s"
        parts.append(f'<text class="head" x="{x}" y="{below}">{xml(head)}</text>')
        below += LINE_PX + GAP
        for label, column in (("speech", "asr"), ("pseudolabel", "pseudo")):
            said, below = _said(label, line[column], x, below, TEXT)
            parts += said
            below += GAP // 2
        y = max(y + high, below) + 2 * GAP
    return _whole(spec["title"], parts, (2 * MARGIN + PUT + 2 * GAP + TEXT, y))


def stills_svg(spec: dict, csv: Path) -> str:
    """The figure as one SVG text, a picture a column. Of the CSV every column is text."""
    table = pd.read_csv(csv, dtype=str, keep_default_na=False)
    parts, bottom, column = [], 0, 0
    for (label, _), sentences in table.groupby(["label", "row"], sort=False):
        x = MARGIN + column * (WIDE + 2 * GAP)
        parts.append(f'<text class="head" x="{x}" y="64">{xml(str(label))}</text>')
        image, high = _image(f"still{column}", sentences.iloc[0], (x, 74, WIDE))
        parts.append(image)
        y = 74 + high + LINE_PX + GAP
        for text in sentences["caption"]:
            said, y = _said("", f"{text}", x, y, WIDE)
            parts += said
            y += GAP // 2
        bottom, column = max(bottom, y), column + 1
    return _whole(spec["title"], parts, (2 * MARGIN + column * (WIDE + 2 * GAP) - 2 * GAP, bottom + GAP))


def _whole(title: str, parts: list[str], size: tuple[int, int]) -> str:
    width, height = size
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    paper = f'<rect width="{width}" height="{height}" fill="#fff"/>'
    named = f"<title>{xml(title)}</title><style>{STYLE}</style>"
    above = f'<text class="title" x="{MARGIN}" y="34">{xml(title)}</text>'
    return "\n".join([head, named, paper, above, *parts, "</svg>", ""])
