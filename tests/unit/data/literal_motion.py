"""The definition of accumulated motion (METHODS 5.1) written down literally: a table of places, block after block.

Slow, and on purpose unlike the package: it keeps the places themselves, takes one reference from PyAV's own array
of vectors, and looks colours up in the end.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.codec.context import Flags2
from av.video.frame import PictureType

FIELDS = [
    ("source", "i4"),
    ("w", "u1"),
    ("h", "u1"),
    *((n, "i2") for n in ("src_x", "src_y", "dst_x", "dst_y")),
]


class Shown(NamedTuple):
    """A decoded frame: I, P or B, its vectors (structured, FFmpeg's fields) and colours (H, W, 3) uint8."""

    kind: str
    vectors: np.ndarray
    rgb: np.ndarray


class Expected(NamedTuple):
    """(H, W, 2) and (H, W, 3) int64, as `CodedFrame` names them; None for I-frames."""

    motion: np.ndarray | None
    residual: np.ndarray | None
    motion_step: np.ndarray | None
    residual_step: np.ndarray | None


def shown(source: Path | bytes, codec: str = "mpeg4") -> Iterator[Shown]:
    """Every frame of a file, or of an elementary stream in memory."""
    if isinstance(source, bytes):
        context = av.CodecContext.create(codec, "r")
        yield from _decoded(context, [*context.parse(source), *context.parse(b""), None])
    else:
        with av.open(str(source), metadata_errors="replace") as container:
            stream = container.streams.video[0]
            yield from _decoded(stream.codec_context, container.demux(stream))


def _decoded(context: Any, packets: Iterable[Any]) -> Iterator[Shown]:
    context.flags2 |= Flags2.export_mvs
    context.thread_type = "NONE"
    for packet in packets:
        for frame in context.decode(packet):
            side = frame.side_data.get("MOTION_VECTORS")
            vectors = np.empty(0, FIELDS) if side is None else side.to_ndarray()
            rgb = frame.reformat(format="rgb24", interpolation="BICUBIC").to_ndarray()
            yield Shown(PictureType(frame.pict_type).name, vectors, rgb)


def places(height: int, width: int) -> np.ndarray:
    """(H, W, 2): each pixel's own x and y."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y], axis=-1)


def traced(table: np.ndarray, old: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """A copy of `table` in which every block that moves has the entries that `old` has at its source."""
    height, width = table.shape[:2]
    new = table.copy()
    for vector in vectors:
        dst, src = ((int(vector[f"{end}_x"]), int(vector[f"{end}_y"])) for end in ("dst", "src"))
        if dst == src:
            continue
        across, down = int(vector["w"]) // 2, int(vector["h"]) // 2
        dy, dx = np.mgrid[-down:down, -across:across]
        to_x, to_y, from_x, from_y = dst[0] + dx, dst[1] + dy, src[0] + dx, src[1] + dy
        inside = (to_x >= 0) & (to_x < width) & (from_x >= 0) & (from_x < width)
        inside &= (to_y >= 0) & (to_y < height) & (from_y >= 0) & (from_y < height)
        new[to_y[inside], to_x[inside]] = old[from_y[inside], from_x[inside]]
    return new


def followed(frames: Iterable[Shown]) -> Iterator[Expected]:
    """The signals of a video of I- and P-frames, each of which points into the frame before it.

    B-frames are passed over (None): nothing points into them.
    """
    table = first = before = None
    for kind, vectors, rgb in frames:
        here = places(*rgb.shape[:2])
        if kind == "I":
            table, first, before = here, rgb, rgb
            yield Expected(None, None, None, None)
        elif kind == "B":
            yield Expected(None, None, None, None)
        else:
            table, step = traced(table, table, vectors), traced(here, here, vectors)
            yield Expected(
                here - table,
                rgb.astype(int) - first[table[..., 1], table[..., 0]],
                here - step,
                rgb.astype(int) - before[step[..., 1], step[..., 0]],
            )
            before = rgb


def chosen(height: int, width: int, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel of a picture with two references comes from: (H, W, 2) place, (H, W) 0 first list, 1 second.

    Of the vectors whose block has the pixel, and whose source is inside: one of the first list that moves, else one of
    the second that moves, else one of the first that rests, else one of the second; of equals the last. Without any,
    the same place of the first list's picture.
    """
    place, of, best = places(height, width), np.zeros((height, width), int), np.zeros((height, width), int)
    for v in vectors:
        across, down = int(v["w"]) // 2, int(v["h"]) // 2
        moves = (v["dst_x"], v["dst_y"]) != (v["src_x"], v["src_y"])
        second = int(v["source"]) > 0
        rank = (4 if moves else 2) - second
        for y in range(-down, down):
            for x in range(-across, across):
                to, at = (v["dst_y"] + y, v["dst_x"] + x), (v["src_y"] + y, v["src_x"] + x)
                inside = all(0 <= row < height and 0 <= column < width for row, column in (to, at))
                if inside and rank >= best[to]:
                    best[to], place[to], of[to] = rank, at[::-1], second
    return place, of
