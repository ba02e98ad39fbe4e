"""Frames compressed without loss, end to end in one array of bytes: what motion and flow are stored in.

A frame of some signal is a blob: a header (element type, channels, height, width), a CRC-32 and zstd's output. Before
zstd, of three channels the first and the last lose the middle one, each row loses the row above, and channels are
put one behind the other; all by wrapping arithmetic, so that every bit comes back. On accumulated residuals of two
clips of UCF-101 (340x256, quantiser 2) that makes 79 kB a frame, where zstd alone makes 131 kB at its best level
that is not slow; a higher level saves 3 to 8 % more for one to five times the time.

Beside the bytes lies a table with a row a frame: what kind it is, where its blobs begin, and how long each is.
"""

import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from retake.data.array_index import Arrays
from retake.data.frames import GrowingArray

BLOBS, TABLE = "packed.npy", "packed_frames.npy"  # names beside the index
LEVEL = 1  # of zstd
HEADER = struct.Struct("<BBHH")  # element type, channels, height, width
CHECK = struct.Struct("<I")  # CRC-32 of the header and of what follows
BEGIN = HEADER.size + CHECK.size
TYPES: dict[int, np.dtype[Any]] = {1: np.dtype("u1"), 2: np.dtype("<i2")}
FACTS = [("kind", "S1"), ("gop", "<i4"), ("position", "<i4"), ("marked", "?"), ("offset", "<i8")]


class DamagedError(ValueError):
    """A blob that is not what was written."""


def packed(frame: np.ndarray) -> bytes:
    """`frame` (H, W, C), uint8 or int16, as a blob."""
    code = next((code for code, kind in TYPES.items() if kind == frame.dtype), None)
    if code is None or frame.ndim != 3 or frame.shape[2] > 255 or max(frame.shape) >= 2**16 or not frame.size:
        raise ValueError(f"expected (H, W, C) of uint8 or int16, got {frame.shape} of {frame.dtype}")
    height, width, channels = frame.shape
    planes = np.empty((channels, height, width), frame.dtype)
    for channel in range(channels):  # several times as fast as a copy of the transposed
        planes[channel] = frame[:, :, channel]
    if channels == 3:
        planes[::2] -= planes[1]
    rows = planes.copy()
    rows[:, 1:] -= planes[:, :-1]
    body = pa.Codec("zstd", compression_level=LEVEL).compress(pa.py_buffer(rows), asbytes=True)
    head = HEADER.pack(code, channels, height, width)
    return head + CHECK.pack(zlib.crc32(body, zlib.crc32(head))) + body


def unpacked(blob: bytes | memoryview) -> np.ndarray:
    """The frame (H, W, C) of a blob. Raises DamagedError."""
    if len(blob) <= BEGIN:
        raise DamagedError(f"{len(blob)} bytes are no frame")
    head, body = memoryview(blob)[: HEADER.size], memoryview(blob)[BEGIN:]
    if CHECK.unpack_from(blob, HEADER.size)[0] != zlib.crc32(body, zlib.crc32(head)):
        raise DamagedError("its bytes are not those that were written (CRC-32)")
    code, channels, height, width = HEADER.unpack(head)
    length = channels * height * width * TYPES[code].itemsize
    raw = pa.Codec("zstd").decompress(pa.py_buffer(body), decompressed_size=length, asbytes=True)
    planes = np.empty((channels, height, width), TYPES[code])
    np.add.accumulate(np.frombuffer(raw, TYPES[code]).reshape(planes.shape), axis=1, out=planes)
    if channels == 3:
        planes[::2] += planes[1]
    frame = np.empty((height, width, channels), TYPES[code])
    for channel in range(channels):
        frame[:, :, channel] = planes[channel]
    return frame


class Fact(NamedTuple):
    """What the table says of a frame beside its blobs."""

    kind: str = ""  # I, P, B; empty: no codec's frame
    gop: int = 0
    position: int = 0  # in its group of pictures; 0 is the I-frame
    marked: bool = False  # its vectors could not be followed


class PackedWriter:
    """Both files of a shard, growing frame by frame."""

    def __init__(self, blobs: Path, table: Path, signals: Sequence[str]):
        self.signals = tuple(signals)
        self.kind = np.dtype([*FACTS, *((name, "<i4") for name in self.signals)])
        self.blobs, self.table = GrowingArray(blobs, (), np.uint8), GrowingArray(table, (), self.kind)

    @property
    def size(self) -> tuple[int, int]:
        """Frames and bytes so far; `cut` goes back to it."""
        return self.table.num_rows, self.blobs.num_rows

    def append(self, fact: Fact, arrays: Mapping[str, np.ndarray | None]) -> None:
        """One frame; a signal that it has not is None or left out."""
        parts = [b"" if arrays.get(name) is None else packed(arrays[name]) for name in self.signals]
        row = (*fact, self.blobs.num_rows, *map(len, parts))
        self.table.append(np.array([row], self.kind))
        self.blobs.append(np.frombuffer(b"".join(parts), np.uint8))

    def cut(self, size: tuple[int, int]) -> None:
        self.table.cut(size[0])
        self.blobs.cut(size[1])

    def close(self) -> None:
        self.table.close()
        self.blobs.close()


class Packed(Arrays):
    """Frames of an index whose array is a table, with the bytes beside it. Cheap to send to another process."""

    def table(self, video_id: str) -> np.ndarray:
        """(N,) rows of the table, one a frame of the video. Raises KeyError naming the index."""
        return self.rows(video_id)

    def lengths(self, video_id: str, signal: str) -> np.ndarray:
        """(N,) bytes of each frame's blob, 0 where it has none. Raises KeyError where no such signal was stored."""
        table = self.table(video_id)
        names = table.dtype.names[len(FACTS) :]
        if signal not in names:
            raise KeyError(f"{self.index}: no signal {signal!r} was stored; there are {', '.join(names)}")
        return table[signal]

    def frame(self, video_id: str, number: int, signal: str) -> np.ndarray:
        """(H, W, C) of one frame. Raises KeyError where it has no such signal, DamagedError naming file and frame."""
        length = int(self.lengths(video_id, signal)[number])
        row, path = (
            self.table(video_id)[number],
            Path(self.segment(video_id)["array"]).with_name(BLOBS).as_posix(),
        )
        names = row.dtype.names[len(FACTS) :]
        begin = int(row["offset"]) + sum(int(row[name]) for name in names[: names.index(signal)])
        if not length:
            raise KeyError(f"{self.index}: video {video_id!r}: frame {number} has no {signal}")
        where = f"{self.index.parent / path}: video {video_id!r}, frame {number}, {signal}"
        blobs = self._array(path)
        if begin + length > len(blobs):
            raise DamagedError(f"{where}: ends at byte {begin + length}, the file has {len(blobs)}")
        try:
            return unpacked(blobs[begin : begin + length].data)
        except DamagedError as error:
            raise DamagedError(f"{where}: {error}") from None


def facts(table: np.ndarray) -> dict[str, Any]:
    """kinds (N,) of str and positions, gops (N,) int64, marked (N,) bool of a video's rows of the table."""
    return {
        "kinds": table["kind"].astype("U1"),
        "gops": table["gop"].astype(np.int64),
        "positions": table["position"].astype(np.int64),
        "marked": np.array(table["marked"]),
    }
