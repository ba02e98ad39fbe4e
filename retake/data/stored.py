"""Examples whose features were computed once: rows of a bank in the place of clips that are shown again.

Letters  B examples, N boxes of a batch, R rows of a step, C width of a row.
A bank's steps were shown undrawn, so that nothing of an example is drawn but where it lies: at its start the step that
begins there; anywhere one of the steps that begin within its row, or to answer the one nearest to its middle.
Which boxes an example has, and their classes, is as for clips; what is learnt of them are the detector's alone.
"""

import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from retake.data.batches import told
from retake.data.boxes import Boxes, Keyframes
from retake.data.clips import NOTHING, Clips, Seen, Ways
from retake.data.memory import NEAR_S, Memory
from retake.data.sampled import Reader

LOG = logging.getLogger(__name__)
STORED = "stored"  # the key of a batch
KEPT = 2048  # examples that one reader keeps, of a few rows each


class StoredBoxes(Keyframes):
    """The boxes of keyframes, of which a bank has rows."""

    def __init__(
        self, settings: Mapping[str, Any], memory: Memory, items: Sequence[Mapping[str, Any]]
    ):  # fmt: skip
        super().__init__(settings, memory.index, items)
        self.memory = memory

    def _detected(self, item: Mapping[str, Any], min_score: float) -> np.ndarray:
        boxes = self.memory.boxes(item["video_id"], at_step(self.memory, item))
        return boxes[boxes[:, 4] >= min_score, :4]


def at_step(memory: Memory, item: Mapping[str, Any]) -> int:
    """The step that begins where an item does. Raises ValueError where none does."""
    number = round(item["start_s"] / memory.every_s)
    if abs(number * memory.every_s - item["start_s"]) > NEAR_S:
        raise ValueError(
            f"{memory.index}: item {item['item_id']!r} begins at {item['start_s']:g} s, and steps at multiples of "
            f"{memory.every_s:g} s"
        )
    return number


class Stored(Clips):
    """Reads examples as a recipe's `sample` says, with every key given; `reader` tells when frames are shown."""

    def __init__(self, settings: Mapping[str, Any], reader: Reader, signal: str | None, memory: Memory):
        super().__init__(settings, reader, signal)
        if settings["boxes"] is not None and settings["boxes"]["truth"]:
            raise ValueError("data: stored: boxes.truth: rows are of detections alone; expected false")
        self.memory = memory
        self._last: OrderedDict[tuple, Seen] = OrderedDict()

    def items(
        self, rows: Sequence[Mapping[str, Any]], annotations: Path | str, detections: Path | str | None
    ) -> list[dict[str, Any]]:
        """As of clips; keyframes of which the bank has no row are counted in the log.

        Raises ValueError on a video that the bank does not have, or of which it has not one step.
        """
        found = super().items(rows, annotations, detections)
        bare = [item["item_id"] for item in found if not self._has_rows(item)]
        if bare:
            first = ", ".join(sorted(bare)[:5])
            LOG.warning(
                "%s: no row of %d of %d items; first %s", self.memory.index, len(bare), len(found), first
            )
        return found

    def _keyframes(self, detections: Path | None, items: Sequence[Mapping[str, Any]]) -> Keyframes:  # noqa: ARG002
        return StoredBoxes(self.settings["boxes"], self.memory, items)

    def _has_rows(self, item: Mapping[str, Any]) -> bool:
        if self.keyframes is not None:
            return len(self.memory.boxes(item["video_id"], at_step(self.memory, item))) > 0
        return len(self.memory.step(item["video_id"], self._nearest(item))) > 0

    def teaches(self, item: Mapping[str, Any]) -> bool:
        """Whether there is a row to learn from."""
        return super().teaches(item) if self.keyframes is not None else self._has_rows(item)

    def ask(self, protocol: Mapping[str, Any]) -> int:
        """As of clips. Raises ValueError where a protocol asks for more than the one view that is stored."""
        count = super().ask(protocol)
        if count > 1:
            raise ValueError(f"protocol: asks {count} ways; what is stored was shown in one")
        return count

    # -- one example

    def example(self, item: Mapping[str, Any], rng: np.random.Generator | None) -> Seen:
        """The rows to learn from, of a step that is drawn where the clip may lie anywhere; undrawn: the middle one."""
        return self._seen_before(item, self._number(item, rng), None)

    def way(self, item: Mapping[str, Any], ways: Ways, way: int) -> Seen:  # noqa: ARG002
        """The rows to be asked about."""
        return self._seen_before(item, self._number(item, None), ways)

    def looks(self, item: Mapping[str, Any], ways: Ways, way: int) -> tuple:  # noqa: ARG002
        """There is one way, and nothing is cut."""
        return ()

    def _number(self, item: Mapping[str, Any], rng: np.random.Generator | None) -> int:
        if self.settings["at"] == "start":
            return at_step(self.memory, item)
        nearest = self._nearest(item)
        if rng is None:
            return nearest
        begin, end = (at_s / self.memory.every_s for at_s in self._span(item))
        have = self.memory.steps(item["video_id"])
        within = range(
            max(int(np.ceil(begin - NEAR_S)), have.start), min(int(np.ceil(end - NEAR_S)), have.stop)
        )
        return int(rng.choice(within)) if len(within) else nearest

    def _nearest(self, item: Mapping[str, Any]) -> int:
        """The step whose clip lies nearest to the middle of an item, or to its start; of two as near the earlier."""
        have = self.memory.steps(item["video_id"])
        if not len(have):
            raise ValueError(f"{self.memory.index}: not one step of video {item['video_id']!r}")
        at_s = item["start_s"] if self.settings["at"] == "start" else sum(self._span(item)) / 2
        return min(max(int(np.ceil(at_s / self.memory.every_s - 0.5 - NEAR_S)), have.start), have.stop - 1)

    def _seen_before(self, item: Mapping[str, Any], number: int, ways: Ways | None) -> Seen:
        """What was read last is kept: it is the same whenever it is shown. ways: None, to learn from."""
        least, of = None, NOTHING
        if self.keyframes is not None:
            said = None if ways is None else ways.min_score
            least = self.settings["boxes"]["min_score"] if said is None else said
        key = (item["item_id"], number, least)
        if key not in self._last:
            if self.keyframes is not None:
                of = self.keyframes.asked(item, least)
            self._last[key] = self._read_step(item, number, of, least)
        self._last.move_to_end(key)
        if len(self._last) > KEPT:
            self._last.popitem(last=False)
        return self._last[key]

    def _read_step(self, item: Mapping[str, Any], number: int, of: Boxes, least: float | None) -> Seen:
        video_id, at_s = item["video_id"], number * self.memory.every_s
        rows = self.memory.step(video_id, number)
        if least is not None:
            rows = rows[self.memory.boxes(video_id, number)[:, 4] >= least]
        times_s = self.reader.times_s(video_id)[self._clip_numbers(video_id, at_s)]
        return Seen(rows, times_s, at_s, np.arange(len(of.xyxy)), of.xyxy, of)

    # -- batches

    def _media(self, seen: Sequence[Seen], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """stored: (N, C) of all boxes, of clips (B, R, C), as they are stored; `to_device` makes them float32."""
        parts = [one.frames for one in seen]
        if self.keyframes is None and len({len(part) for part in parts}) > 1:
            raise ValueError(f"{self.memory.index}: clips have {sorted({len(p) for p in parts})} rows")
        joined = np.concatenate(parts) if self.keyframes is not None else np.stack(parts)
        return {STORED: torch.from_numpy(np.ascontiguousarray(joined))} | told(
            list(rows), np.ones((len(rows), 1), dtype=bool)
        )

    def batch(
        self,
        rows: Sequence[dict[str, Any]],
        numbers: Sequence[int],
        key: Sequence[int] | None,
        num_classes: int | None,
    ) -> dict[str, Any]:
        """As of clips, with `stored` in the place of frames, and without `boxes`: nothing is cut where they show."""
        batch = super().batch(rows, numbers, key, num_classes)
        batch.pop("boxes", None)
        return batch
