"""Kind `signals`: a video's frames after an I-frame, and under each what the codec says of it.

Motion is drawn in HSV: hue is the direction, saturation the length; residuals by their absolute values. One scale
for both kinds of motion and one for both of residuals, so that what is longer or larger looks so.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.colors import hsv_to_rgb

from retake.report.figures_captions import GAP, MARGIN, PUT, STYLE, picture, xml

ROWS = {  # signal -> what its row is called
    "rgb": "frame",
    "motion_step": "motion",
    "residual_step": "residual",
    "motion": "accumulated motion",
    "residual": "accumulated residual",
}
SIDE = 150  # width of the rows' names
LONGEST = 99.0  # percentile of what accumulated that is drawn at full strength


def magnitude(values: np.ndarray) -> np.ndarray:
    """Of displacements (..., 2) their lengths, of residuals and pictures (..., 3) their absolute values."""
    if values.shape[-1] == 2:
        return np.hypot(values[..., 0].astype(np.float64), values[..., 1].astype(np.float64))
    return np.abs(values.astype(np.float64))


def signals_table(where: str, examples: Path, frames: Path) -> pd.DataFrame:
    """A row a picture: which frame, which signal, where its array lies, its mean and the scale it is drawn at."""
    listed = pd.read_csv(frames)
    with np.load(examples) as arrays:
        if missing := [name for name in ROWS if name not in arrays]:
            raise ValueError(f"{where}: {examples}: no array {missing[0]!r}")
        found = {name: arrays[name] for name in ROWS}
    if any(len(array) != len(listed) for array in found.values()):
        raise ValueError(f"{where}: {examples}: other frames than in {frames}")
    strongest = {
        kind: max(1.0, float(np.percentile(magnitude(found[kind]), LONGEST)))
        for kind in ("motion", "residual")
    }
    lines = []
    for signal, values in found.items():
        full = strongest.get(signal.removesuffix("_step"), 255.0)
        for row, frame in listed.iterrows():
            line = {
                "video_id": frame["video_id"],
                "t": int(frame["position"]),
                "number": int(frame["number"]),
            }
            line |= {
                "signal": signal,
                "mean": f"{magnitude(values[row]).mean():.4f}",
                "full_strength": f"{full:.4f}",
            }
            lines.append(line | {"array": Path(examples).as_posix(), "row": int(row)})
    return pd.DataFrame(lines)


def coloured(signal: str, values: np.ndarray, full: float) -> np.ndarray:
    """(H, W, 3) uint8 of a frame's signal: white where nothing moves, black where nothing is left over."""
    if signal == "rgb":
        return values
    strength = np.clip(magnitude(values) / full, 0, 1)
    if values.shape[-1] == 3:
        return np.rint(strength * 255).astype(np.uint8)
    direction = np.arctan2(values[..., 1].astype(np.float64), values[..., 0].astype(np.float64))
    hue = direction / (2 * np.pi) % 1.0
    return np.rint(hsv_to_rgb(np.stack([hue, strength, np.ones_like(hue)], axis=-1)) * 255).astype(np.uint8)


def signals_svg(spec: dict, csv: Path) -> str:
    """The figure as one SVG text, with its pictures inside."""
    table = pd.read_csv(csv)
    times = list(dict.fromkeys(table["t"]))
    width = 2 * MARGIN + SIDE + len(times) * (PUT + GAP) - GAP
    parts = [f'<text class="title" x="{MARGIN}" y="34">{xml(spec["title"])}</text>']
    parts.append(f'<text class="head" x="{MARGIN}" y="58">{xml(_said(table))}</text>')
    for column, t in enumerate(times):
        parts.append(f'<text class="head" x="{_left(column)}" y="86">t = {t}</text>')
    y = 96
    for signal, name in ROWS.items():
        tall = 0
        for column, (_, line) in enumerate(table[table["signal"] == signal].iterrows()):
            with np.load(line["array"]) as arrays:
                frame = coloured(signal, arrays[signal][line["row"]], float(line["full_strength"]))
            high = round(PUT * frame.shape[0] / frame.shape[1])
            tall = max(tall, high)
            at = f'x="{_left(column)}" y="{y}" width="{PUT}" height="{high}"'
            uri = picture(frame)
            parts.append(
                f'<image id="{signal}_{line["t"]}" {at} href="{uri}"><title>{xml(name)}</title></image>'
            )
        parts.append(f'<text class="label" x="{MARGIN}" y="{y + tall // 2}">{xml(name)}</text>')
        y += tall + GAP
    y += MARGIN
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" width="{width}" height="{y}">'
    paper = f'<rect width="{width}" height="{y}" fill="#fff"/>'
    named = f"<title>{xml(spec['title'])}</title><style>{STYLE}</style>"
    return "\n".join([head, named, paper, *parts, "</svg>", ""])


def _left(column: int) -> int:
    return MARGIN + SIDE + column * (PUT + GAP)


def _said(table: pd.DataFrame) -> str:
    """Which video, and what full strength is."""
    full = {s: float(part["full_strength"].iloc[0]) for s, part in table.groupby("signal")}
    scale = f"full colour: motion of {full['motion']:.0f} pixels, residual of {full['residual']:.0f} of 255"
    return f"{table['video_id'].iloc[0]}; {scale}"
