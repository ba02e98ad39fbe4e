"""A video made to be timed on: what is in it is known, its size and coding are what a view would give it."""

import numpy as np

from retake.data.transcoding import Encoder

FIELD = 16  # pixels of one colour on the ground


def picture(ground: np.ndarray, noise: np.ndarray, number: int, size: tuple[int, int]) -> np.ndarray:
    """Frame `number` (H, W, 3) uint8: the ground slides, a patch of it crosses the other way, grain over all."""
    height, width = size
    top, left = round(FIELD * (1 + np.sin(number / 17))), 2 * number % (4 * FIELD)
    frame = ground[top : top + height, left : left + width] + noise[number % len(noise)]
    side, at = height // 3, 3 * number % (width // 2)
    frame[side : 2 * side, at : at + side] = ground[:side, :side]
    return frame.clip(0, 255).astype(np.uint8)


def pictures(size: tuple[int, int], frames: int) -> np.ndarray:
    """(frames, H, W, 3) uint8, the same every time."""
    rng = np.random.default_rng(0)
    rows, columns = (side // FIELD + 8 for side in size)
    ground = np.kron(rng.integers(60, 190, (rows, columns, 3)), np.ones((FIELD, FIELD, 1)))
    noise = rng.integers(-6, 7, (4, *size, 1))
    return np.stack([picture(ground, noise, number, size) for number in range(frames)])


def coded(size: tuple[int, int], frames: int, gop: int, quality: int) -> bytes:
    """The video as an MPEG-4 part 2 elementary stream."""
    encoder = Encoder(size=size, gop=gop, quality=quality)
    packets = [p for rgb in pictures(size, frames) for p in encoder.encode(rgb)] + encoder.encode(None)
    return b"".join(data for data, _ in packets)
