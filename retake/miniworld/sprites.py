"""Drawings to small pictures with soft edges, kept in a cache: most frames show what the frame before did."""

from functools import lru_cache

import numpy as np

from retake.miniworld.lexicon import COLOURS
from retake.miniworld.shapes import ACTOR_SHAPES, PAINTS, object_shapes, sign_shapes

FINE = 3  # samples per pixel and axis
_PAINT_NAMES = ["none", "body", "mark", *PAINTS]
_NUMBER = {name: n for n, name in enumerate(_PAINT_NAMES)}


def _inside(form: str, v: tuple, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which samples lie in a shape; x is a row, y a column."""
    if form == "e":
        return ((x - v[0]) / max(v[2], 1e-6)) ** 2 + ((y - v[1]) / max(v[3], 1e-6)) ** 2 <= 1.0
    if form == "r":
        return ((x >= v[0]) & (x <= v[2])) & ((y >= v[1]) & (y <= v[3]))
    ax, ay, bx, by, cx, cy = v
    turns = [
        (bx - ax) * (y - ay) - (by - ay) * (x - ax),
        (cx - bx) * (y - by) - (cy - by) * (x - bx),
        (ax - cx) * (y - cy) - (ay - cy) * (x - cx),
    ]
    return ((turns[0] >= 0) & (turns[1] >= 0) & (turns[2] >= 0)) | (
        (turns[0] <= 0) & (turns[1] <= 0) & (turns[2] <= 0)
    )


def _pattern(mark: str, x: np.ndarray, y: np.ndarray) -> np.ndarray | bool:
    """Where a pattern replaces the body's colour."""
    if mark == "striped":
        return np.broadcast_to(np.sin(x * 11.0 + y * 3.0) > 0.25, np.broadcast_shapes(x.shape, y.shape))
    if mark == "spotted":
        row = np.floor(y / 0.34)
        return ((x / 0.34 + 0.5 * (row % 2)) % 1.0 - 0.5) ** 2 + ((y / 0.34) % 1.0 - 0.5) ** 2 < 0.09
    return False


def _drawing(sprite: tuple) -> tuple[list[tuple], str, str, bool, bool]:
    """(shapes, colour, mark, mirrored, lying) of a sprite's key; see scene.Placement."""
    what, *rest = sprite
    if what == "actor":
        kind, colour, mark, mirror, lies = rest
        return ACTOR_SHAPES[kind], colour, mark, mirror, lies
    if what == "object":
        return object_shapes(rest[0], rest[1] / 8), "", "", False, False
    return sign_shapes(what, *rest), "", "", False, False


@lru_cache(maxsize=512)
def picture(sprite: tuple, size_px: int) -> tuple[np.ndarray, np.ndarray]:
    """(S, S, 3) colour times cover and (S, S, 1) one minus cover; float32, not to be written to."""
    shapes, colour, mark, mirror, lies = _drawing(sprite)
    line = ((np.arange(size_px * FINE, dtype=np.float32) + 0.5) / (size_px * FINE) * 2 - 1) * 1.06
    x, y = line[None, :], line[:, None]
    paint = np.zeros((line.size, line.size), np.int8)
    for form, numbers, name in shapes:
        paint[_inside(form, numbers, x, y)] = _NUMBER[name]
    shown = _pattern(mark, x, y)
    if shown is not False:
        paint[(paint == _NUMBER["body"]) & shown] = _NUMBER["mark"]
    drawn = paint > 0
    edge = drawn.copy()
    for step in (1, 2):  # an outline, so that every actor stands out from every place
        edge[step:] |= drawn[:-step]
        edge[:-step] |= drawn[step:]
        edge[:, step:] |= drawn[:, :-step]
        edge[:, :-step] |= drawn[:, step:]
    paint[edge & ~drawn] = _NUMBER["ink"]
    table = np.zeros((len(_PAINT_NAMES), 4), np.float32)
    for name, value in PAINTS.items():
        table[_NUMBER[name]] = (*value, 1)
    body = COLOURS.get(colour, (0, 0, 0))
    table[_NUMBER["body"]] = (*body, 1)
    table[_NUMBER["mark"]] = (*(PAINTS["ink"] if colour in ("white", "yellow") else PAINTS["paper"]), 1)
    if lies:
        paint = np.rot90(paint)
    if mirror:
        paint = paint[:, ::-1]
    fine = table[paint].reshape(size_px, FINE, size_px, FINE, 4).mean(axis=(1, 3))
    return np.ascontiguousarray(fine[..., :3]), np.ascontiguousarray(1 - fine[..., 3:])


@lru_cache(maxsize=512)
def extent(sprite: tuple, size_px: int) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1) in pixels of what a picture covers, ends excluded."""
    cover = picture(sprite, size_px)[1][..., 0] < 0.5
    rows, columns = np.flatnonzero(cover.any(1)), np.flatnonzero(cover.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
