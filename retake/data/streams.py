"""Encoded videos of a stream view: the bytes of each, and where its frames and groups of pictures begin."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from retake.data.array_index import Arrays
from retake.data.transcoding import PACKETS


class Stream(NamedTuple):
    """One video of N frames: data (bytes,) uint8; offsets (N + 1,) of its packets and its end; is_key (N,)."""

    data: np.ndarray
    offsets: np.ndarray
    is_key: np.ndarray

    def packet(self, number: int) -> np.ndarray:
        """The bytes of one frame."""
        return self.data[self.offsets[number] : self.offsets[number + 1]]

    def group(self, number: int) -> tuple[int, int]:
        """First frame of the group of pictures that frame `number` is in, and one past its last."""
        begins = self.is_key.nonzero()[0]
        nth = int(begins.searchsorted(number, side="right"))
        return int(begins[nth - 1]), int(begins[nth]) if nth < len(begins) else len(self.is_key)

    def bytes_of(self, first: int, last: int) -> np.ndarray:
        """The bytes of frames [first, last)."""
        return self.data[self.offsets[first] : self.offsets[last]]


class Streams(Arrays):
    """Streams by video, of a shard's index or a view's. Cheap to send to another process."""

    def stream(self, video_id: str) -> Stream:
        """Memory-mapped. Raises KeyError, and ValueError where the table of packets is not the index's."""
        segment = self.segment(video_id)
        packets = self._array(Path(segment["array"]).with_name(PACKETS).as_posix())
        begin, length, count = segment["row"], segment["num_rows"], len(segment["times_s"])
        first, last = np.searchsorted(packets["offset"], [begin, begin + length])
        is_key = np.array(packets["is_key"][first:last])
        if last - first != count or not is_key[:1].all():
            raise ValueError(
                f"{self.index}: video {video_id!r}: {count} frames by the index, "
                f"{last - first} packets by {PACKETS}; the first must be an I-frame"
            )
        offsets = np.append(packets["offset"][first:last] - begin, length)
        data = self._array(segment["array"])[begin : begin + length]
        if len(data) < length:
            raise ValueError(f"{self.index}: video {video_id!r}: ends beyond its array {segment['array']}")
        return Stream(data, offsets, is_key)


def packet_of(data: np.ndarray) -> Any:
    """An av.Packet of these bytes, with zeros behind them.

    av.Packet(data) reads in place, and decoders read a few bits on: what happens to lie there can break the picture.
    """
    packet = av.Packet(len(data))
    packet.update(data.tobytes())
    return packet


def pictures(stream: Stream) -> Iterator[np.ndarray]:
    """Every frame (H, W, 3) uint8 RGB, decoded in order on one thread. Raises av.FFmpegError."""
    decoder = av.CodecContext.create("mpeg4", "r")
    decoder.thread_count = 1
    for number in range(len(stream.is_key)):
        for frame in decoder.decode(packet_of(stream.packet(number))):
            yield frame.to_ndarray(format="rgb24")
    for frame in decoder.decode(None):
        yield frame.to_ndarray(format="rgb24")
