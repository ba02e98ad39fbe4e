"""From a clip to its frames and boxes: paint the world, then look at it with the camera."""

from collections.abc import Sequence

import numpy as np

from retake.miniworld.places import background
from retake.miniworld.scene import Clip, Placement, placements
from retake.miniworld.sprites import extent, picture

PAN = 0.12  # how far the camera pans, in frame widths, to either side of the middle
CUT_AT = 0.55  # share of the clip after which the close shot begins
ZOOM = 1.3


def render(clip: Clip, only: Sequence[int] | None = None) -> np.ndarray:
    """(T, H, W, 3) uint8 RGB: all frames, or those whose numbers are asked for."""
    margin = _margin(clip)
    height, width = clip.height_px, clip.width_px
    base = background(clip.place, width + 2 * margin, height, clip.phase)
    asked = range(clip.num_frames) if only is None else only
    frames = np.empty((len(asked), height, width, 3), np.uint8)
    placed = placements(clip)
    for row, i in enumerate(asked):
        canvas = base.copy()
        for sprite in placed[i]:
            paint(canvas, sprite, clip.height_px, margin)
        seen = _look(canvas, view(clip, i), width, height)
        frames[row] = np.minimum(seen + np.float32(0.5), np.float32(255))
    return frames


def _margin(clip: Clip) -> int:
    return round(PAN * clip.width_px) + 1 if clip.camera == "pan" else 0


def pixels(sprite: Placement, height_px: int, margin: int = 0) -> tuple[int, int, int]:
    """Left, top and size in pixels of a sprite on a canvas that is `margin` wider to either side."""
    size = max(round(sprite.size * height_px), 4)
    return (
        round(sprite.x * height_px - size / 2) + margin,
        round(sprite.y * height_px - size / 2),
        size,
    )


def paint(canvas: np.ndarray, sprite: Placement, height_px: int, margin: int = 0) -> None:
    """Draw a sprite onto a canvas (H, W, 3) float32, as far as it lies on it."""
    left, top, size = pixels(sprite, height_px, margin)
    colour, see_through = picture(sprite.sprite, size)
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + size, canvas.shape[1]), min(top + size, canvas.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    part = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    spot = canvas[y0:y1, x0:x1]
    spot *= see_through[part]
    spot += colour[part]


def view(clip: Clip, frame: int) -> tuple[float, float, float]:
    """What the camera shows of the canvas: left, top in pixels, and its enlargement."""
    progress = (frame + 0.5) / clip.num_frames
    scale = 1.0
    if clip.camera == "pan":
        return float(round((1 + clip.side * (2 * progress - 1)) * PAN * clip.width_px)), 0.0, 1.0
    if clip.camera == "zoom":
        scale = 1 + (ZOOM - 1) * progress
    elif clip.camera == "cut" and progress > CUT_AT:
        scale = ZOOM
    # Whatever stands on the ground stays in sight: the middle of the view lies below the frame's middle.
    left = (1 - 1 / scale) * clip.width_px * min(max(clip.x, 0.3), 0.7)
    return left, (1 - 1 / scale) * clip.height_px * 0.75, scale


def _look(canvas: np.ndarray, camera: tuple[float, float, float], width: int, height: int) -> np.ndarray:
    """(H, W, 3) of what the camera sees, bilinear where it enlarges."""
    left, top, scale = camera
    if scale == 1.0:
        return canvas[int(top) : int(top) + height, int(left) : int(left) + width]
    rows = _mix(canvas, top + (np.arange(height) + 0.5) / scale - 0.5, axis=0)
    return _mix(rows, left + (np.arange(width) + 0.5) / scale - 0.5, axis=1)


def _mix(values: np.ndarray, at: np.ndarray, axis: int) -> np.ndarray:
    """Linear interpolation of `values` at positions `at` of an axis."""
    at = np.clip(at, 0, values.shape[axis] - 1)
    low = np.minimum(at.astype(np.int64), values.shape[axis] - 2)
    share = (at - low).astype(np.float32).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
    lower = values.take(low, axis)
    return lower + share * (values.take(low + 1, axis) - lower)


def boxes(clip: Clip) -> list[dict[str, tuple[float, float, float, float]]]:
    """For each frame the boxes (x0, y0, x1, y1), in shares of its width and height, of what has a name.

    Names are "actor0", "actor1", ..., "object". A box is cut at the frame's edge; what lies outside has none.
    What hides behind something keeps its whole box.
    """
    margin, found = _margin(clip), []
    for i, sprites in enumerate(placements(clip)):
        left, top, scale = view(clip, i)
        frame = {}
        for sprite in sprites:
            if not sprite.who:
                continue
            sx, sy, size = pixels(sprite, clip.height_px, margin)
            x0, y0, x1, y1 = extent(sprite.sprite, size)
            box = (
                min(max((sx + x0 - left) * scale / clip.width_px, 0.0), 1.0),
                min(max((sy + y0 - top) * scale / clip.height_px, 0.0), 1.0),
                min(max((sx + x1 - left) * scale / clip.width_px, 0.0), 1.0),
                min(max((sy + y1 - top) * scale / clip.height_px, 0.0), 1.0),
            )
            if box[0] < box[2] and box[1] < box[3]:
                frame[sprite.who] = box
        found.append(frame)
    return found
