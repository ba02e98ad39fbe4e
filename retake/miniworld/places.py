"""The world's backgrounds, a few vectorised strokes each, in muted colours, so that actors stand out."""

import numpy as np


def background(place: str, width_px: int, height_px: int, phase: float) -> np.ndarray:
    """(H, W, 3) float32 in [0, 255]; `phase` in [0, 1) shifts what stands there sideways."""
    y = ((np.arange(height_px, dtype=np.float32) + 0.5) / height_px)[:, None]
    x = ((np.arange(width_px, dtype=np.float32) + 0.5) / height_px)[None, :] + np.float32(phase)
    return np.minimum(_PAINTERS[place](x, y), np.float32(255))


def _two(above: tuple, below: tuple, horizon: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A sky that pales towards the horizon, and a ground that darkens towards the viewer."""
    sky = np.asarray(above, np.float32) + 34 * (y / horizon)[..., None]
    ground = np.asarray(below, np.float32) - 30 * ((y - horizon) / (1 - horizon))[..., None]
    picture = np.where((y < horizon)[..., None], sky, ground)
    return np.repeat(picture, x.shape[1], axis=1)


def _fill(picture: np.ndarray, where: np.ndarray, colour: tuple) -> None:
    picture[np.broadcast_to(where, picture.shape[:2])] = colour


def _beach(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    picture = _two((142, 200, 226), (232, 208, 152), 0.62, x, y)
    _fill(picture, (y > 0.42) & (y < 0.62 + 0.02 * np.sin(9 * x)), (74, 150, 176))
    _fill(picture, (np.abs(y - 0.5 - 0.01 * np.sin(20 * x)) < 0.01), (200, 226, 232))
    _fill(picture, ((x % 2.0 - 1.0) ** 2 + (y - 0.16) ** 2) < 0.008, (255, 240, 180))
    return picture


def _forest(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    picture = _two((150, 186, 160), (112, 132, 78), 0.7, x, y)
    _fill(picture, (np.abs(x % 0.42 - 0.21) < 0.04) & (y > 0.2) & (y < 0.78), (96, 76, 56))
    crown = ((x % 0.42 - 0.21) / 0.2) ** 2 + ((y - 0.24) / 0.24) ** 2
    _fill(picture, crown < 1, (66, 110, 70))
    _fill(picture, crown < 0.4, (82, 128, 80))
    return picture


def _city(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    picture = _two((176, 184, 196), (104, 104, 110), 0.74, x, y)
    tall = 0.12 + 0.2 * ((np.floor(x / 0.3) * 7919) % 5) / 5
    _fill(picture, (x % 0.3 < 0.26) & (y > tall) & (y < 0.74), (122, 112, 118))
    _fill(
        picture,
        (x % 0.3 < 0.26) & (x % 0.1 < 0.05) & (y % 0.12 < 0.06) & (y > tall + 0.04) & (y < 0.7),
        (206, 196, 160),
    )
    _fill(picture, (np.abs(y - 0.9) < 0.012) & (x % 0.3 < 0.16), (214, 214, 206))
    return picture


def _kitchen(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    picture = _two((206, 190, 164), (214, 214, 208), 0.72, x, y)
    _fill(
        picture, ((np.floor(x / 0.16) + np.floor((y - 0.72) / 0.1)) % 2 == 0) & (y >= 0.72), (130, 112, 112)
    )
    window = (x % 1.3 > 0.25) & (x % 1.3 < 0.75) & (y > 0.12) & (y < 0.46)
    _fill(picture, window, (176, 206, 214))
    frame = window & ((np.abs(x % 1.3 - 0.5) < 0.015) | (np.abs(y - 0.29) < 0.015))
    _fill(picture, frame, (120, 92, 70))
    _fill(picture, (x % 1.3 > 0.9) & (x % 1.3 < 1.25) & (y > 0.3) & (y < 0.72), (164, 134, 112))
    return picture


def _mountain(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    picture = _two((150, 172, 206), (236, 240, 246), 0.7, x, y)
    ridge = 0.2 + 0.9 * np.abs(x % 0.8 - 0.4)
    _fill(picture, (y > ridge) & (y < 0.7), (126, 132, 148))
    _fill(picture, (y > ridge) & (y < np.minimum(0.36 + 0.04 * np.sin(40 * x), 0.7)), (244, 246, 250))
    return picture


def _moon(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    picture = _two((16, 16, 34), (128, 124, 134), 0.7, x, y)
    star = ((x % 0.23 - 0.11) ** 2 + ((y + 0.1 * np.floor(x / 0.23)) % 0.19 - 0.09) ** 2) < 0.00035
    _fill(picture, star & (y < 0.66), (240, 240, 220))
    _fill(picture, ((x % 0.5 - 0.25) / 0.13) ** 2 + ((y - 0.86) / 0.05) ** 2 < 1, (92, 88, 98))
    _fill(picture, (x % 1.9 - 1.3) ** 2 + (y - 0.22) ** 2 < 0.016, (84, 132, 170))
    return picture


_PAINTERS = {
    "beach": _beach,
    "forest": _forest,
    "city": _city,
    "kitchen": _kitchen,
    "mountain": _mountain,
    "moon": _moon,
}
