"""The loops that follow motion vectors, compiled: blocks of pixels moved from one picture's arrays to the next's.

Two things travel along a vector: the displacement to the I-frame, and the colour that the I-frame has there.
Moving both is cheaper than moving the displacement alone and looking the colour up in the end: rows of a
block lie together in memory, the places they were traced to do not.

A displacement is one int32 a pixel: x in the low 16 bits, y in the high ones, both signed. In memory that is
an int16 pair (x, y), so no pass is needed to unpack it; `unpacked` only looks at it in another way.
"""

import numba
import numpy as np

# FFmpeg's AVMotionVector. dst is the block's centre in the picture, src the centre it was predicted from, in
# whole pixels; source < 0 for a block of the first list of references (the past), > 0 of the second.
VECTOR = np.dtype(
    [
        ("source", "i4"),
        ("w", "u1"),
        ("h", "u1"),
        ("src_x", "i2"),
        ("src_y", "i2"),
        ("dst_x", "i2"),
        ("dst_y", "i2"),
        ("flags", "u8"),
        ("motion_x", "i4"),
        ("motion_y", "i4"),
        ("motion_scale", "u2"),
    ],
    align=True,
)
NO_VECTORS = np.frombuffer(b"", VECTOR)
FIRST, SECOND = False, True  # lists of references, whose vectors are followed
LARGEST = 2**15 - 1  # pixels a side that a vector can point over
SIGN_OF_X = 0x8000  # turned over, x counts from 0 up, and adding never borrows from y


def unpacked(displacement: np.ndarray) -> np.ndarray:
    """(H, W) int32 as (H, W, 2) int16, x then y: the same memory."""
    return displacement.view("<i2").reshape(*displacement.shape, 2)


@numba.njit(inline="always")
def _window(vector, height, width):
    """Columns and rows [x0, x1), [y0, y1) of a block whose pixel and source both lie inside, and its shift."""
    dx = np.int64(vector.dst_x) - np.int64(vector.src_x)
    dy = np.int64(vector.dst_y) - np.int64(vector.src_y)
    across, down = np.int64(vector.w) // 2, np.int64(vector.h) // 2
    x0 = max(vector.dst_x - across, 0, dx)
    y0 = max(vector.dst_y - down, 0, dy)
    x1 = min(vector.dst_x + across, width, width + dx)
    y1 = min(vector.dst_y + down, height, height + dy)
    return x0, x1, y0, y1, dx, dy


@numba.njit(inline="always")
def _is_meant(vector, second, moving):
    """Whether a pass over one list's moving, or resting, blocks takes this one."""
    moves = vector.dst_x != vector.src_x or vector.dst_y != vector.src_y
    return moves == moving and (vector.source > 0) == second


@numba.njit(cache=True, nogil=True)
def move_displacements(new, old, vectors, second, moving):
    """Writes old displacement + shift into the blocks of `new`, in the list's order.

    new, old: (H, W) int32, contiguous, not the same memory; vectors: (N,) VECTOR; second: FIRST or
    SECOND; moving: blocks that move, or those that do not. What no block covers stays as it is.
    """
    height, width = new.shape
    into, out_of = new.reshape(-1), old.reshape(-1)
    for n in range(len(vectors)):
        if not _is_meant(vectors[n], second, moving):
            continue
        x0, x1, y0, y1, dx, dy = _window(vectors[n], height, width)
        shift = np.int32(dx + 65536 * dy)
        for y in range(y0, y1):
            to, by = y * width + x0, (y - dy) * width + x0 - dx
            for x in range(x1 - x0):  # unsigned: no negative index to look for
                was = out_of[np.uint64(by + x)]
                into[np.uint64(to + x)] = ((was ^ SIGN_OF_X) + shift) ^ SIGN_OF_X


@numba.njit(cache=True, nogil=True)
def move_colours(new, old, vectors, second, moving):
    """Writes the colours that `old` has at each block's source into the blocks of `new`, in the list's order.

    new: (H, 3 W) uint8, contiguous; old: (H, at least 3 W) uint8, contiguous, not the same memory; the rest as
    in `move_displacements`.
    """
    height, row = new.shape
    old_row = old.shape[1]
    into, out_of = new.reshape(-1), old.reshape(-1)
    for n in range(len(vectors)):
        if not _is_meant(vectors[n], second, moving):
            continue
        x0, x1, y0, y1, dx, dy = _window(vectors[n], height, row // 3)
        for y in range(y0, y1):
            to, by = y * row + 3 * x0, (y - dy) * old_row + 3 * (x0 - dx)
            for x in range(3 * (x1 - x0)):
                into[np.uint64(to + x)] = out_of[np.uint64(by + x)]


@numba.njit(cache=True, nogil=True)
def subtract(out, colours, expected):
    """out (H, 3 W) int16 = colours (H, at least 3 W) uint8 - expected (H, 3 W) uint8."""
    for y in range(out.shape[0]):
        into, these, those = out[y], colours[y], expected[y]
        for k in range(out.shape[1]):
            into[k] = np.int16(these[k]) - np.int16(those[k])
