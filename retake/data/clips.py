"""Examples that are clips of long videos: T frames round a moment, a part of them, and the boxes that show in it.

Letters  B clips, C channels, T frames, H W pixels, N boxes of a batch, K classes.
Source   METHODS 8.1, 8.2: 32 frames round a keyframe; short side 1 / U(1/320, 1/256), a square cut, a flip; answers
         from squares at the begin, the middle and the end of the long side, at several sizes, also mirrored.

An example is an item: the rows of one keyframe are its boxes. Draws are those of a generator of the row's own, so that
they do not depend on who else is in a batch. Frames are cut out and scaled at once, by whole pixels of the stored
frames, so that boxes move exactly as pixels do.
"""

import math
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from retake.data.batches import stacked, targets
from retake.data.boxes import Boxes, Keyframes, cut_to, truth_of
from retake.data.chunks import CLOSE_S, length_s
from retake.data.crops import Box, cut, mirrored
from retake.data.sampled import Reader, by_item, labels_at

PICTURES = (None, "rgb")  # signals that can be scaled and mirrored as pictures
PLACES = {1: (0.5,), 3: (0.0, 0.5, 1.0)}  # crops -> where they lie, as shares of the room along the long side


def clip_numbers(times_s: np.ndarray, at_s: float, *, frames: int, step_s: float) -> np.ndarray:
    """(T,) numbers of the frames nearest to `frames` times, `step_s` apart, of which number T // 2 is `at_s`.

    times_s  (N,) of the frames there are, rising. Of two frames as near the earlier is taken; beyond either end the
    first or the last frame repeats.
    """
    wanted = at_s + (np.arange(frames) - frames // 2) * step_s
    middles = (times_s[1:] + times_s[:-1]) / 2
    return np.searchsorted(middles, wanted - 1e-6)


def moment_name(video_id: str, at_s: float) -> str:
    """What an item that is a moment of a video is called."""
    return f"{video_id},{at_s:.12g}"


def moment_of(name: str) -> tuple[str, float]:
    """(video, seconds) of a moment's name."""
    video_id, _, at_s = name.rpartition(",")
    return video_id, float(at_s)


@dataclass(frozen=True)
class Ways:
    """How each item is asked: every clip at every short side, of it every crop, and each of these mirrored, too."""

    clips: int = 1
    short_sides: tuple[int | None, ...] = (None,)  # px; None: as the sample says
    crops: int = 1
    flip: bool = False
    min_score: float | None = None  # of detections; None: as the sample says

    def __len__(self) -> int:
        return self.clips * len(self.short_sides) * self.crops * (1 + self.flip)

    @classmethod
    def of(cls, protocol: Mapping[str, Any]) -> "Ways":
        """What a protocol asks for. Raises ValueError on what clips cannot be asked."""
        crops = protocol.get("crops") or 1
        if crops not in PLACES:
            raise ValueError(
                f"protocol: crops: of clips 1 or 3 are taken, not {crops}; flip: true mirrors each"
            )
        if protocol.get("resize") is not None:
            raise ValueError("protocol: resize: clips are scaled by short_sides")
        sides = protocol.get("short_sides") or (None,)
        flip, least = bool(protocol.get("flip")), protocol.get("min_score")
        return cls(protocol.get("clips") or 1, tuple(sides), crops, flip, least)

    def each(self) -> list[tuple[int, int | None, int, bool]]:
        """(clip, short side, crop, whether mirrored) of each way, in the order in which they are counted."""
        flips = (False, True) if self.flip else (False,)
        return list(product(range(self.clips), self.short_sides, range(self.crops), flips))


class Seen(NamedTuple):
    """One clip as a network is shown it."""

    frames: np.ndarray  # (T, H, W, C) uint8
    times_s: np.ndarray  # (T,) when its frames are shown
    at_s: float  # the moment that it lies round
    shown: np.ndarray  # which of the item's boxes show
    boxes: np.ndarray  # and where: xyxy in [0, 1] of the frames as they are shown
    of: Boxes  # all the item's boxes


NOTHING = Boxes(np.zeros((0, 4)), ())


class Clips:
    """Cuts clips as a recipe's `sample` says, with every key of a clip given."""

    def __init__(self, settings: Mapping[str, Any], reader: Reader, signal: str | None):
        if signal not in PICTURES:
            raise ValueError(
                f"data: sample: clips are cut from pictures; expected signal rgb, found {signal!r}"
            )
        self.settings, self.reader, self.signal = settings, reader, signal
        self.keyframes: Keyframes | None = None
        self.ways: Ways | None = None
        self.kept = 1
        self._read: OrderedDict[tuple, np.ndarray] = OrderedDict()

    # -- which examples there are

    def moments(self, rows: Sequence[Mapping[str, Any]], every_s: float) -> list[dict[str, Any]]:
        """A row for each moment at a multiple of `every_s` in the rows' parts of their videos; see `moment_name`."""
        found: dict[str, dict[str, Any]] = {}
        for row in rows:
            begin_s, end_s = self._span(row)
            steps = range(math.ceil((begin_s - CLOSE_S) / every_s), math.ceil((end_s - CLOSE_S) / every_s))
            for at_s in (step * every_s for step in steps):
                name = moment_name(row["video_id"], at_s)
                known = {"item_id": name, "ref_id": name, "start_s": at_s, "end_s": at_s + every_s}
                found.setdefault(name, {**row, **known, "labels": None, "box_xyxy": None})
        return list(found.values())

    def items(
        self, rows: Sequence[Mapping[str, Any]], annotations: Path | str, detections: Path | str | None
    ) -> list[dict[str, Any]]:
        """One row an item, with its labelled boxes under "truth" where the sample has boxes.

        Raises ValueError on boxes that are none, and on an item that begins behind the end of its video.
        """
        parts: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            parts.setdefault(row["item_id"], []).append(row)
        found = by_item(rows)
        for item in found:
            own, end_s = parts[item["item_id"]], self._end_s(item["video_id"])
            if all(row["labels"] is None for row in own):
                item["labels"] = None
            if item["start_s"] > end_s + CLOSE_S:
                raise ValueError(
                    f"{annotations}: item {item['item_id']!r} begins at {item['start_s']:g} s, "
                    f"video {item['video_id']!r} ends at {end_s:.3f} s"
                )
            if self.settings["boxes"] is not None:
                if len({row["start_s"] for row in own}) > 1:
                    raise ValueError(f"{annotations}: item {item['item_id']!r}: a keyframe has one start_s")
                item["truth"] = truth_of(own, str(annotations))
        if self.settings["boxes"] is not None:
            self.keyframes = self._keyframes(None if detections is None else Path(detections), found)
        return found

    def _keyframes(self, detections: Path | None, items: Sequence[Mapping[str, Any]]) -> Keyframes:
        return Keyframes(self.settings["boxes"], detections, items)

    def teaches(self, item: Mapping[str, Any]) -> bool:
        """Whether there is anything to learn of an item: a keyframe must have a box."""
        return self.keyframes is None or self.keyframes.any_learnt(item)

    def asked_about(self, items: Sequence[Mapping[str, Any]]) -> Counter[str]:
        """item_id -> the boxes that it is asked about, whether or not a cut shows them."""
        if self.keyframes is None:
            return Counter()
        least = None if self.ways is None else self.ways.min_score
        return Counter({item["item_id"]: len(self.keyframes.asked(item, least).xyxy) for item in items})

    def _end_s(self, video_id: str) -> float:
        return length_s(self.reader.times_s(video_id))

    # -- how they are asked

    def ask(self, protocol: Mapping[str, Any]) -> int:
        """From now on items are asked as a protocol says; returns how often each is. Raises ValueError."""
        ways = Ways.of(protocol)
        if self.settings["crop"] is None and (ways.crops > 1 or ways.short_sides != (None,)):
            raise ValueError("protocol: crops, short_sides: the sample's frames stay whole (crop: null)")
        self.ways = ways
        return len(ways)

    def parts(self, num_items: int, at_once: int) -> list[Sequence[int]]:
        """All numbers that `batch` takes, in lists of at most `at_once` whose clips are of one size.

        A number counts every item's ways. Items come in blocks, so that an item's answers are complete before many
        others begin, and what was read of a block for one short side is still there for the next.
        """
        ways = self.ways.each() if self.ways else [(0, None, 0, False)]
        sides = list(dict.fromkeys(side for _, side, _, _ in ways))
        block = max(1, at_once * len(sides) // len(ways))
        self.kept = block * max(clip + 1 for clip, *_ in ways) if len(sides) > 1 else 1
        found: list[Sequence[int]] = []
        for first in range(0, num_items, block):
            items = range(first, min(first + block, num_items))
            for side in sides:
                chosen = [n for n, way in enumerate(ways) if way[1] == side]
                numbers = [item * len(ways) + n for item in items for n in chosen]
                found += [numbers[at : at + at_once] for at in range(0, len(numbers), at_once)]
        return found

    # -- one example

    def example(self, item: Mapping[str, Any], rng: np.random.Generator | None) -> Seen:
        """A clip to learn: place, size, cut and flip drawn, in this order. Without a generator: the middle of all."""
        settings, at_s = self.settings, item["start_s"]
        if settings["at"] == "any":
            begin, end = self._span(item)
            at_s = (begin + end) / 2 if rng is None else rng.uniform(begin, end)
        frames, times_s = self._frames(item["video_id"], at_s)
        size, mirror = frames.shape[1:3], False
        if rng is None:
            part, side = self._asked_part(size, None, 0.5)
        else:
            part, side = self._drawn_part(size, rng)
            mirror = bool(settings["flip"] and rng.random() < 0.5)
        of = NOTHING if self.keyframes is None else self.keyframes.learnt(item)
        return self._seen((frames, times_s, at_s), of, part, side, mirror=mirror)

    def looks(self, item: Mapping[str, Any], ways: Ways, way: int) -> tuple[float, Box, int | None, bool]:
        """What number `way` shows: moment, part of the frames, its side, mirrored or not. Of square frames all crops are one."""
        clip, short_side, crop, mirror = ways.each()[way]
        at_s = item["start_s"]
        if ways.clips > 1 or self.settings["at"] == "any":
            begin, end = self._span(item)
            at_s = begin + (end - begin) * (clip + 0.5) / ways.clips
        size = self._frames(item["video_id"], at_s)[0].shape[1:3]
        return at_s, *self._asked_part(size, short_side, PLACES[ways.crops][crop]), mirror

    def way(self, item: Mapping[str, Any], ways: Ways, way: int) -> Seen:
        """A clip to be asked about: number `way` of the ways."""
        at_s, part, side, mirror = self.looks(item, ways, way)
        frames, times_s = self._frames(item["video_id"], at_s)
        of = NOTHING if self.keyframes is None else self.keyframes.asked(item, ways.min_score)
        return self._seen((frames, times_s, at_s), of, part, side, mirror=mirror)

    def _seen(
        self,
        clip: tuple[np.ndarray, np.ndarray, float],
        of: Boxes,
        part: Box,
        side: int | None,
        *,
        mirror: bool,
    ) -> Seen:
        frames, times_s, at_s = clip
        shown, boxes = cut_to(of.xyxy, frames.shape[1:3], part, mirror=mirror)
        cutting = frames if side is None else cut(frames, part, side)
        return Seen(mirrored(cutting, None) if mirror else cutting, times_s, at_s, shown, boxes, of)

    def _span(self, item: Mapping[str, Any]) -> tuple[float, float]:
        """Begin and end of the item's part of its video, in seconds; the end is no later than the video's."""
        end_s = self._end_s(item["video_id"])
        return item["start_s"], end_s if item["end_s"] is None else max(
            item["start_s"], min(item["end_s"], end_s)
        )

    def _clip_numbers(self, video_id: str, at_s: float) -> np.ndarray:
        """(T,) numbers of the frames of the clip round a moment."""
        return clip_numbers(self.reader.times_s(video_id), at_s, **self.settings["clip"])

    def _frames(self, video_id: str, at_s: float) -> tuple[np.ndarray, np.ndarray]:
        """((T, H, W, C), (T,) times) of the clip round a moment. The last ones that were read are kept."""
        times_s, numbers = self.reader.times_s(video_id), self._clip_numbers(video_id, at_s)
        key = (video_id, *numbers.tolist())
        if key not in self._read:
            self._read[key] = frames = self.reader.frames(video_id, numbers, self.signal)
            crop, size = self.settings["crop"], frames.shape[1:3]
            if self.settings["short_side"] is None and crop is not None and crop > min(size):
                raise ValueError(
                    f"video {video_id!r}: frames of {size[0]} x {size[1]} px are smaller than the cut, {crop} x {crop}"
                )
        self._read.move_to_end(key)
        while len(self._read) > self.kept:
            self._read.popitem(last=False)
        return self._read[key], times_s[numbers]

    # -- which part of the frames

    def _drawn_part(self, size: tuple[int, int], rng: np.random.Generator) -> tuple[Box, int | None]:
        """(the square of the stored frames that is shown, the side that it is scaled to); None: frames stay whole."""
        crop = self.settings["crop"]
        if crop is None:
            return (0, 0, *size), None
        square = crop
        if self.settings["short_side"] is not None:
            low, high = self.settings["short_side"]
            square = min(round(crop * min(size) * rng.uniform(1 / high, 1 / low)), min(size))
        top, left = (int(rng.integers(room + 1)) for room in _rooms(size, square))
        return (top, left, square, square), crop

    def _asked_part(
        self, size: tuple[int, int], short_side: int | None, place: float
    ) -> tuple[Box, int | None]:
        """As `_drawn_part`, undrawn: at the middle of the short side, and at a share `place` of the long one's room.

        Frames scaled to a short side are cut into squares of that side. Left out: the sample's lower short side, or
        where it has none squares of its crop, of the frames as they are stored.
        """
        crop = self.settings["crop"]
        if crop is None:
            return (0, 0, *size), None
        side = short_side or (self.settings["short_side"] or (None,))[0]
        square = crop if side is None else min(size)
        along = int(size[1] >= size[0])  # the long side's axis
        shares = (place if axis == along else 0.5 for axis in range(2))
        top, left = (int(room * share) for room, share in zip(_rooms(size, square), shares, strict=True))
        return (top, left, square, square), crop if side is None else side

    # -- batches

    def batch(
        self,
        rows: Sequence[dict[str, Any]],
        numbers: Sequence[int],
        key: Sequence[int] | None,
        num_classes: int | None,
    ) -> dict[str, Any]:
        """What a model is given: `numbers` count items, or once they are asked, every item's ways.

        key  of the draws: those of item n are of the generator (*key, n); None: no draws
        frames (B, C, T, H, W) uint8, keep, same_as, item_id, text_in, text_out as data/loader has them; labels (B, K);
        where the sample has boxes, of all clips one after the other: boxes (N, 4) xyxy in [0, 1] of the frames shown,
        box_item (N,) the clip's place in the batch, box_number (N,) which of its item's boxes it is, boxes_whole
        (N, 4) of the whole frame, and labels (N, K). Once asked, copies: for how many of `numbers` each clip stands.
        """
        if self.ways is None:
            of = [rows[n] for n in numbers]
            rngs = [None if key is None else np.random.default_rng([*key, n]) for n in numbers]
            seen = [self.example(row, rng) for row, rng in zip(of, rngs, strict=True)]
        else:
            of, seen, copies = self._asked(rows, numbers, self.ways)
        whole = num_classes if self.keyframes is None else None  # classes of a clip as a whole
        batch = self._media(seen, of) | targets(of, whole)
        if self.settings["labels"] == "frame" and "labels" in batch:
            for place, (row, one) in enumerate(zip(of, seen, strict=True)):
                going_on = {label for time_s in one.times_s for label in labels_at(row, float(time_s))}
                batch["labels"][place] = 0.0
                batch["labels"][place, sorted(going_on)] = 1.0
        if self.keyframes is not None:
            one_class = self.keyframes.settings["one_class"]
            unknown = not one_class and any(row["labels"] is None for row in of)
            batch |= boxes_of(of, seen, None if unknown else num_classes)
        batch["at"] = [(row["video_id"], one.at_s) for row, one in zip(of, seen, strict=True)]
        return batch | ({} if self.ways is None else {"copies": copies})

    def _asked(
        self, rows: Sequence[dict[str, Any]], numbers: Sequence[int], ways: Ways
    ) -> tuple[list[dict[str, Any]], list[Seen], list[int]]:
        """(items, clips, how many of `numbers` each clip stands for): ways that show the same are shown once."""
        found: dict[tuple, tuple[dict[str, Any], Seen]] = {}
        standing: Counter[tuple] = Counter()
        for item, way in (divmod(n, len(ways)) for n in numbers):
            key = (item, *self.looks(rows[item], ways, way))
            standing[key] += 1
            if key not in found:
                found[key] = rows[item], self.way(rows[item], ways, way)
        of, seen = [row for row, _ in found.values()], [one for _, one in found.values()]
        return of, seen, list(standing.values())

    def _media(self, seen: Sequence[Seen], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The keys of a batch that hold what is shown, and what rows say beside it."""
        if len({one.frames.shape for one in seen}) > 1:
            shapes = {one.frames.shape[1:3]: row["video_id"] for row, one in zip(rows, seen, strict=True)}
            raise ValueError(f"sample: crop: null needs frames of one size; videos have {shapes}")
        return stacked([one.frames for one in seen], list(rows), "frames")


def _rooms(size: tuple[int, int], square: int) -> list[int]:
    """How far down and right a square can lie."""
    return [side - square for side in size]


def boxes_of(
    rows: Sequence[Mapping[str, Any]], seen: Sequence[Seen], num_classes: int | None
) -> dict[str, Any]:
    """The keys of a batch that speak of boxes, see `Clips.batch`. Raises ValueError on a class that there is not."""
    counts = [len(one.shown) for one in seen]
    xyxy = [one.boxes for one in seen], [one.of.xyxy[one.shown] for one in seen]
    shown, whole = (torch.from_numpy(np.concatenate(parts)).float() for parts in xyxy)
    found = {
        "boxes": shown,
        "box_item": torch.repeat_interleave(torch.arange(len(seen)), torch.tensor(counts)),
        "box_number": torch.from_numpy(np.concatenate([one.shown for one in seen])),
        "boxes_whole": whole,
    }
    if num_classes is None:
        return found
    labels, at = torch.zeros(sum(counts), num_classes), 0
    for row, one in zip(rows, seen, strict=True):
        for number in one.shown:
            classes = one.of.labels[number]
            if bad := [label for label in classes if not 0 <= label < num_classes]:
                raise ValueError(f"{row['item_id']}: label {bad[0]}, the model has {num_classes} classes")
            labels[at, list(classes)] = 1.0
            at += 1
    return found | {"labels": labels}
