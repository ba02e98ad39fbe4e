"""Examples cut out of videos: a frame of each segment and a part of it, drawn to train, taken in turn to answer.

Letters  S segments (the batch's T), H W pixels of the network's input, C channels of a frame, K classes.
Every example's draws are those of a generator of its own, so that they do not depend on who else is in a batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

import numpy as np

from retake.data.array_index import Arrays, window
from retake.data.crops import CENTRE, asked_boxes, cut, drawn_box, jittered, mirrored, placed, resized
from retake.data.sampling import frame_numbers

TURNED = dict.fromkeys(("motion", "motion_step", "flow"), 256)  # signals with channels that point along x


class Reader(Protocol):
    """Frames of videos by number, in order of showing."""

    def times_s(self, video_id: str) -> np.ndarray:
        """(N,) when each frame is shown."""

    def numbers(self, video_id: str, signal: Any) -> np.ndarray:
        """Rising numbers of the frames that have `signal`."""

    def frames(self, video_id: str, numbers: Any, signal: Any) -> np.ndarray:
        """(T, H, W, C) uint8 of the frames `numbers`, in that order."""


class Pictures:
    """The reader of a view of kind frames; it has no signals."""

    def __init__(self, arrays: Arrays):
        self.arrays = arrays

    def times_s(self, video_id: str) -> np.ndarray:
        return self.arrays.times_s(video_id)

    def numbers(self, video_id: str, signal: None) -> np.ndarray:  # noqa: ARG002 - every frame is a picture
        return np.arange(len(self.arrays.rows(video_id)))

    def frames(self, video_id: str, numbers: Any, signal: None) -> np.ndarray:  # noqa: ARG002
        return np.array(self.arrays.rows(video_id)[np.asarray(numbers)])


@dataclass(frozen=True)
class Asked:
    """How answers are asked for: `clips` frames (or stacks) of each item, `crops` parts of each, each alone.

    resize  (height, width) of the frames before they are cut; None: as they are
    """

    clips: int
    crops: int
    resize: tuple[int, int] | None = None

    def __len__(self) -> int:
        return self.clips * self.crops

    @classmethod
    def of(cls, protocol: Mapping[str, Any]) -> "Asked | None":
        """What a protocol asks for; None where it asks for each item whole."""
        if protocol.get("clips") is None:
            return None
        size = protocol.get("resize")
        return cls(protocol["clips"], protocol["crops"], None if size is None else (size[0], size[1]))


class Sampler:
    """Cuts examples as a recipe's `sample` says, with every key given."""

    def __init__(self, settings: Mapping[str, Any], reader: Reader, signal: str | None):
        self.settings, self.reader, self.signal = settings, reader, signal
        self.side, self.turned = settings["crop"], TURNED.get(signal or "")

    def example(
        self, row: Mapping[str, Any], rng: np.random.Generator | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """((S, H, W, C) uint8, (S,) times in seconds) of a row's part of its video.

        Without a generator: the middle of each segment, the largest cut from the middle, not mirrored.
        """
        numbers = self._numbers(row, self.settings["segments"], rng)
        frames = self._frames(row["video_id"], numbers)
        size, scales = frames.shape[1:3], self.settings["scales"]
        if rng is None:
            square = min(int(min(size) * max(scales)), min(size))
            clip = cut(frames, placed(size, (square, square), CENTRE), self.side)
        else:
            box = drawn_box(size, self.side, scales=scales, distort=self.settings["distort"], rng=rng)
            clip = cut(frames, box, self.side)
            if self.settings["flip"] and rng.random() < 0.5:
                clip = mirrored(clip, self.turned)
            if self.settings["colour"] is not None:
                clip = jittered(clip, self.settings["colour"], rng)
        return clip, self.reader.times_s(row["video_id"])[numbers[:, 0]]

    def views(
        self, rows: Sequence[Mapping[str, Any]], asked: Asked, numbers: Sequence[int]
    ) -> list[np.ndarray]:
        """(1, H, W, C) of each of `numbers`, which count every row's clips, and of each clip every crop.

        Crops that follow one another cost one reading of their frame.
        """
        found = []
        for place, group in groupby(numbers, key=lambda n: n // asked.crops):
            row, clip = rows[place // asked.clips], place % asked.clips
            frames = self._frames(row["video_id"], self._numbers(row, asked.clips, None)[clip : clip + 1])
            frames = frames if asked.resize is None else resized(frames, asked.resize)
            boxes = asked_boxes(frames.shape[1:3], self.side, asked.crops)
            for box, mirror in (boxes[n % asked.crops] for n in group):
                part = cut(frames, box, self.side)
                found.append(mirrored(part, self.turned) if mirror else part)
        return found

    def _numbers(self, row: Mapping[str, Any], segments: int, rng: np.random.Generator | None) -> np.ndarray:
        """(S, stack) frames of the row's part of its video."""
        video = row["video_id"]
        have = self.reader.numbers(video, self.signal)
        if not len(have):
            raise ValueError(f"video {video!r}: no frame has {self.signal or 'a picture'}")
        span = window(self.reader.times_s(video), row["start_s"], row["end_s"])
        return frame_numbers(have, span, segments, stack=self.settings["stack"], rng=rng)

    def _frames(self, video: str, numbers: np.ndarray) -> np.ndarray:
        """(S, H, W, stack * C): channels of a stack's frames one behind the other."""
        frames = self.reader.frames(video, numbers.ravel(), self.signal)
        stacks = frames.reshape(*numbers.shape, *frames.shape[1:]).transpose(0, 2, 3, 1, 4)
        return stacks.reshape(*stacks.shape[:3], -1)


def by_item(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row an item, from the first start to the last end of its rows; `spans` says what goes on when.

    Its labels are those of all its rows.
    """
    items: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        items.setdefault(row["item_id"], []).append(row)
    joined = []
    for parts in items.values():
        ends = [part["end_s"] for part in parts]
        spans = [(part["start_s"], part["end_s"], list(part["labels"] or ())) for part in parts]
        joined.append({
            **parts[0],
            "start_s": min(part["start_s"] for part in parts),
            "end_s": None if None in ends else max(ends),
            "labels": sorted({label for _, _, labels in spans for label in labels}),
            "spans": spans,
        })  # fmt: skip
    return joined


def labels_at(row: Mapping[str, Any], time_s: float) -> list[int]:
    """The classes of an item's spans that go on at a time; a span's end is no part of it."""
    found = set()
    for begin, end, labels in row["spans"]:
        if begin <= time_s and (end is None or time_s < end):
            found.update(labels)
    return sorted(found)
