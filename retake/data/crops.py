"""Parts of frames: what training draws and what answering takes, at the network's size.

Letters  T frames, H W pixels, C channels.
Source   METHODS 5.1: corner and centre cuts of several scales, as temporal segment networks draw them.
Frames are uint8 (T, H, W, C) throughout; boxes are (top, left, height, width) in pixels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate

Box = tuple[int, int, int, int]
CLOSE_PX = 3  # a side nearer than this to the network's is taken as that
# places of a cut, in quarters of the room that is left above and left of it: corners, middles of edges, centre, between
PLACES = [(y, x) for y in (0, 2, 4) for x in (0, 2, 4)] + [(y, x) for y in (1, 3) for x in (1, 3)]
CENTRE, CORNERS = (2, 2), [(0, 0), (0, 4), (4, 0), (4, 4)]


def sizes(short: int, side: int, scales: Sequence[float], distort: int) -> list[tuple[int, int]]:
    """(height, width) of every cut that may be drawn from frames whose short side is `short`.

    Sides are `scales` times `short`; height and width are at most `distort` places of `scales` apart.
    """
    sides = [int(short * scale) for scale in scales]
    sides = [side if abs(one - side) < CLOSE_PX else one for one in sides]
    return [(h, w) for i, h in enumerate(sides) for j, w in enumerate(sides) if abs(i - j) <= distort]


def placed(frame: tuple[int, int], cut: tuple[int, int], place: tuple[int, int]) -> Box:
    """The box of a cut at a place. Raises ValueError where the frame is smaller than the cut."""
    if cut[0] > frame[0] or cut[1] > frame[1]:
        raise ValueError(
            f"frames of {frame[0]} x {frame[1]} px are smaller than the cut, {cut[0]} x {cut[1]}"
        )
    top, left = ((have - want) // 4 * at for have, want, at in zip(frame, cut, place, strict=True))
    return top, left, *cut


def drawn_box(
    frame: tuple[int, int], side: int, *, scales: Sequence[float], distort: int, rng: np.random.Generator
) -> Box:
    """A cut for training: one of the sizes, at one of thirteen places."""
    able = [size for size in sizes(min(frame), side, scales, distort) if min(size) > 0]
    cut = able[rng.integers(len(able))]
    return placed(frame, cut, PLACES[rng.integers(len(PLACES))])


def asked_boxes(frame: tuple[int, int], side: int, crops: int) -> list[tuple[Box, bool]]:
    """(box, whether it is mirrored) of each of 1, 2, 5 or 10 cuts of `side` px: centre; centre mirrored; and corners."""
    places = [*CORNERS, CENTRE] if crops in (5, 10) else [CENTRE]
    ways = (False, True) if crops in (2, 10) else (False,)
    if len(places) * len(ways) != crops:
        raise ValueError(f"crops: expected 1, 2, 5 or 10, found {crops}")
    return [(placed(frame, (side, side), place), mirror) for place in places for mirror in ways]


def mirrored(frames: np.ndarray, turned: int | None) -> np.ndarray:
    """Left and right exchanged. Channels 0, 2, ... of vectors, which point along x, become `turned` minus themselves.

    turned  256 where no movement is stored as 128, so that 0 would become 256 and is cut to 255; None: pictures
    """
    flipped = frames[:, :, ::-1].copy()
    if turned is not None:
        along = flipped[..., 0::2].astype(np.int16)
        flipped[..., 0::2] = np.clip(turned - along, 0, 255).astype(np.uint8)
    return flipped


def resized(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Frames at `size` (height, width): bilinear, area-aware where smaller; the same array where nothing changes."""
    if frames.shape[1:3] == size:
        return frames
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float()
    pixels = interpolate(pixels, size=size, mode="bilinear", antialias=True, align_corners=False)
    return pixels.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def cut(frames: np.ndarray, box: Box, side: int) -> np.ndarray:
    """The part of every frame that is in `box`, at `side` x `side` pixels."""
    top, left, height, width = box
    return resized(frames[:, top : top + height, left : left + width], (side, side))


def jittered(frames: np.ndarray, limits: Mapping[str, Any], rng: np.random.Generator) -> np.ndarray:
    """Colour pictures with other hue, light and saturation, drawn anew for each frame, cut to what there is.

    Steps and their order are OpenCV's HLS of 8 bits: hue in 180 steps, light and saturation in 255. Hue does not
    go round: what leaves one end stays there, as in the published code.
    """
    shifts = np.stack(
        [rng.uniform(-limits[k], limits[k], len(frames)) for k in ("hue", "light", "saturation")]
    )
    hue, light, saturation = _to_hls(frames)
    moved = [
        part + shift[:, None, None] for part, shift in zip((hue, light, saturation), shifts, strict=True)
    ]
    ends = (180.0, 255.0, 255.0)
    return _to_rgb(*(np.clip(part, 0, end).astype(np.float32) for part, end in zip(moved, ends, strict=True)))


def _to_hls(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hue of 180, light and saturation of 255, each (T, H, W) float32."""
    red, green, blue = (rgb[..., n].astype(np.float32) / 255 for n in range(3))
    high, low = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    light, spread = (high + low) / 2, high - low
    some = np.where(spread > 0, spread, 1)
    hue = np.where(high == red, (green - blue) / some, np.where(high == green, 2 + (blue - red) / some, 4))
    hue = np.where((high != red) & (high != green), 4 + (red - green) / some, hue)
    hue = np.where(spread > 0, hue % 6 * 30, 0)
    room = np.where(light < 0.5, high + low, 2 - high - low)
    return hue, light * 255, np.where(spread > 0, spread / np.where(room > 0, room, 1), 0) * 255


def _to_rgb(hue: np.ndarray, light: np.ndarray, saturation: np.ndarray) -> np.ndarray:
    """(T, H, W, 3) uint8 of what `_to_hls` gives."""
    light, saturation, sixth = light / 255, saturation / 255, hue / 30
    spread = (1 - np.abs(2 * light - 1)) * saturation
    low = light - spread / 2
    # of a hue at 0, 2 and 4 sixths of the circle the first, second and third colour is highest
    colours = [np.clip(np.abs((sixth - at) % 6 - 3) - 1, 0, 1) for at in (0, 2, 4)]
    return np.stack([np.rint((low + spread * part) * 255) for part in colours], axis=-1).astype(np.uint8)
