"""What a model is shown of coded videos: a few frames each, stored or decoded when they are asked for.

`coded` gives the reader of a view. Its numbers count frames in order of showing, from 0. Motion and residual are
defined for the frames between I-frames alone (METHODS 5.1): which number stands for which is `numbers` to say.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from retake.data.array_index import window
from retake.data.motion import colours, read_coded
from retake.data.motion_store import arrays_of
from retake.data.packed import Packed, facts
from retake.data.streams import Stream, Streams
from retake.data.video import VideoError

MOTION_BOUND_PX = 20.0  # displacements beyond it look the same to a network
KEPT = (
    64 * 2**20
)  # bytes of decoded frames that one reader keeps: small views whole, of others the last groups
SMALL = 2**15  # coded bytes of a group that is always decoded whole: it takes less than to open it a second time
STREAMS = 256  # videos whose table of packets one reader keeps


@cache
def _table(signal: str) -> np.ndarray:
    """(65536,) what is shown for each int16, by its bits: a look-up takes a fifth of the arithmetic's time."""
    values = np.arange(2**16).astype(np.uint16).view(np.int16).astype(np.int64)
    if signal.startswith("motion"):
        values = (values * (127.5 / MOTION_BOUND_PX)).astype(np.int64)
    return np.clip(values + 128, 0, 255).astype(np.uint8)


def as_input(signal: str, values: np.ndarray) -> np.ndarray:
    """A frame's signal as a network is shown it: uint8, 128 for no displacement and for no residual.

    Displacements are scaled by 127.5 / MOTION_BOUND_PX and lose their fraction, residuals are taken as they are;
    both are clipped. `values` is int16; pictures, and all that is stored as uint8, stay.
    """
    return values if values.dtype == np.uint8 else _table(signal)[values.view(np.uint16)]


class Coded:
    """The reader of one view; `stored` and `decoded` views differ in `_facts` and `_frame` alone."""

    def __init__(self, arrays: Streams | Packed):
        self.arrays, self.index = arrays, arrays.index

    def __len__(self) -> int:
        return len(self.arrays)

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __contains__(self, video_id: object) -> bool:
        return video_id in self.arrays

    def num_frames(self, video_id: str) -> int:
        """Raises KeyError naming the index."""
        return len(self.arrays.segment(video_id)["times_s"])

    def times_s(self, video_id: str, start_s: float | None = None, end_s: float | None = None) -> np.ndarray:
        """(T,) times of the frames that `rows` numbers."""
        return self.arrays.segment(video_id)["times_s"][self.rows(video_id, start_s, end_s)]

    def rows(self, video_id: str, start_s: float | None = None, end_s: float | None = None) -> np.ndarray:
        """(T,) numbers of the frames shown in [start_s, end_s); at least the one that is up at start_s."""
        return np.arange(*window(self.arrays.segment(video_id)["times_s"], start_s, end_s))

    def kinds(self, video_id: str) -> np.ndarray:
        """(N,) I, P or B of each frame; empty strings where no codec's frames are stored."""
        return self._facts(video_id)["kinds"]

    def gops(self, video_id: str) -> np.ndarray:
        """(N,) the group of pictures that each frame is in, from 0."""
        return self._facts(video_id)["gops"]

    def positions(self, video_id: str) -> np.ndarray:
        """(N,) each frame's place in its group of pictures; the I-frame's is 0."""
        return self._facts(video_id)["positions"]

    def marked(self, video_id: str) -> np.ndarray:
        """(N,) whether a frame's vectors could not be followed."""
        return self._facts(video_id)["marked"]

    def numbers(
        self, video_id: str, signal: str, start_s: float | None = None, end_s: float | None = None
    ) -> np.ndarray:
        """(T,) those of `rows` that have `signal`; may be empty."""
        rows = self.rows(video_id, start_s, end_s)
        return rows[self._has(video_id, signal)[rows]]

    def standing_for(self, video_id: str, numbers: Sequence[int] | np.ndarray, signal: str) -> np.ndarray:
        """(T,) for each of `numbers` the last frame up to it that has `signal`, or the video's first that has.

        So a picture is its group's I-frame, and the motion of an I-frame that of the frame before (METHODS 5.1).
        Raises ValueError where no frame has it.
        """
        having = np.flatnonzero(self._has(video_id, signal))
        if not len(having):
            raise ValueError(f"{self.index}: video {video_id!r}: no frame has {signal}")
        return having[np.maximum(np.searchsorted(having, np.asarray(numbers), side="right") - 1, 0)]

    def frames(self, video_id: str, numbers: Sequence[int] | np.ndarray, signal: str) -> np.ndarray:
        """(T, H, W, C) uint8 of the frames `numbers`, in that order, as `as_input` makes them. C is 2 or 3.

        Raises KeyError on a video or signal that is not there, ValueError on a number that has no such signal.
        """
        has, asked = self._has(video_id, signal), [int(n) for n in numbers]
        bad = next((n for n in asked if not 0 <= n < len(has) or not has[n]), None)
        if bad is not None or not asked:
            what = "no number was given" if bad is None else f"frame {bad} of {len(has)} has no {signal}"
            raise ValueError(f"{self.index}: video {video_id!r}: {what}")
        found = self._frames(video_id, sorted(set(asked)), signal)
        return np.stack([as_input(signal, found[n]) for n in asked])

    def _facts(self, video_id: str) -> dict[str, Any]:
        raise NotImplementedError

    def _has(self, video_id: str, signal: str) -> np.ndarray:
        """(N,) whether each frame has `signal`."""
        raise NotImplementedError

    def _frames(self, video_id: str, numbers: list[int], signal: str) -> dict[int, np.ndarray]:
        """Number -> (H, W, C) as the codec has it, of rising numbers that have it."""
        raise NotImplementedError


class Stored(Coded):
    """Views of kind motion and flow: a frame is unpacked where it lies."""

    arrays: Packed

    def _facts(self, video_id: str) -> dict[str, Any]:
        return facts(self.arrays.table(video_id))

    def _has(self, video_id: str, signal: str) -> np.ndarray:
        return self.arrays.lengths(video_id, signal) > 0

    def _frames(self, video_id: str, numbers: list[int], signal: str) -> dict[int, np.ndarray]:
        return {number: self.arrays.frame(video_id, number, signal) for number in numbers}


class Decoded(Coded):
    """Views of kind stream: frames are decoded, each group of pictures from its I-frame to the last that is asked for.

    What was decoded last is kept, up to KEPT bytes. Whoever comes back to a group for more gets the whole of it
    decoded, and with `whole`, or of a SMALL group, who comes first does: clips that follow one another come back.
    """

    arrays: Streams
    whole = False

    def __init__(self, arrays: Streams):
        super().__init__(arrays)
        self._groups: OrderedDict[tuple[str, str, int], dict[int, np.ndarray]] = OrderedDict()
        self._streams: OrderedDict[str, Stream] = OrderedDict()
        self._bytes = 0  # of the frames in _groups

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_groups": OrderedDict(), "_streams": OrderedDict(), "_bytes": 0}

    def _stream(self, video_id: str) -> Stream:
        if video_id not in self._streams:
            self._streams[video_id] = self.arrays.stream(video_id)
        self._streams.move_to_end(video_id)
        if len(self._streams) > STREAMS:
            self._streams.popitem(last=False)
        return self._streams[video_id]

    def _facts(self, video_id: str) -> dict[str, Any]:
        is_key = self._stream(video_id).is_key
        gops = np.cumsum(is_key) - 1
        return {
            "kinds": np.where(is_key, "I", "P"),
            "gops": gops,
            "positions": np.arange(len(is_key)) - np.flatnonzero(is_key)[gops],
            "marked": np.zeros(len(is_key), dtype=bool),
        }

    def _has(self, video_id: str, signal: str) -> np.ndarray:
        is_key = self._stream(video_id).is_key
        if signal == "rgb":
            return np.ones_like(is_key)
        return is_key if signal == "iframe" else ~is_key

    def _frames(self, video_id: str, numbers: list[int], signal: str) -> dict[int, np.ndarray]:
        stream, found = self._stream(video_id), {}
        for (first, last), group in groupby(numbers, stream.group):
            asked, key = list(group), (video_id, signal, first)
            kept = self._groups.pop(key, None)
            self._bytes -= _size(kept)
            where = f"{self.index}: video {video_id!r}: frames {first} to {last - 1}"
            if kept is None or not kept.keys() >= set(asked):
                data = stream.bytes_of(first, last)
                part = kept is None and not self.whole and len(data) > SMALL
                only = {n - first for n in (asked if part else range(first, last))}
                kept = {first + n: array for n, array in _decoded(data, signal, only, where)}
            self._groups[key] = kept
            self._bytes += _size(kept)
            while self._bytes > KEPT and len(self._groups) > 1:
                self._bytes -= _size(self._groups.popitem(last=False)[1])
            if missing := [n for n in asked if n not in kept]:
                raise ValueError(f"{where}: decode without the {signal} of frame {missing[0]}")
            found |= {n: kept[n] for n in asked}
        return found


def _size(group: dict[int, np.ndarray] | None) -> int:
    """Bytes of a group's decoded frames."""
    return sum(frame.nbytes for frame in group.values()) if group else 0


def _decoded(data: np.ndarray, signal: str, only: set[int], where: str) -> Iterator[tuple[int, np.ndarray]]:
    """(number, array) of those frames of a group of pictures that are asked for and have the signal."""
    try:
        if signal == "rgb":
            yield from colours(data, only)
            return
        for frame in read_coded(data, (signal,), only=only):
            if (array := arrays_of(frame, (signal,))[signal]) is not None:
                yield frame.number, array
    except VideoError as error:
        raise ValueError(f"{where}: {error.reason}") from None


READERS = {
    "stream": lambda index: Decoded(Streams(index)),
    "motion": lambda index: Stored(Packed(index)),
    "flow": lambda index: Stored(Packed(index)),
}


def coded(kind: str, index: Path) -> Coded:
    """The reader of a view of `kind` (stream, motion, flow) by its merged index. Cheap to send to another process."""
    if kind not in READERS:
        raise ValueError(f"{index}: no coded view of kind {kind!r}; expected one of {', '.join(READERS)}")
    return READERS[kind](Path(index))
