"""Batches from tables: which rows come when, and what a model is given of them.

Letters  B examples, T frames, C channels or feature width, H W pixels, K classes.
The order of a run is a function of (seed, epoch) and nothing else: a resumed run sees what it would have
seen.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate

from retake.data.array_index import Arrays
from retake.data.batches import frame_labels, stacked, targets, told
from retake.data.clips import Clips
from retake.data.memory import Memory, Windows, remembering
from retake.data.rows import Row, Rows, Span, grouped, read_rows
from retake.data.sampled import Asked, Pictures, Sampler, by_item
from retake.data.stored import Stored

KINDS = ("frames", "features", "stream", "motion", "flow", "text")
ROWS = ("all", "one_per_item", "by_item")


class Source:
    """Rows of one split whose videos are there, and the arrays of those videos.

    kind    frames: uint8 (T, H, W, 3) a video; features: (T, C), or (T, S, C) of S places; stream, motion, flow:
            what data/coded reads; text: rows are seen without their videos
    sample  which frames, and which part of them, an example has (data/sampled; clips: data/clips); None: all, whole
    stored  index and made_of of a bank whose rows are read in the place of clips (data/stored)
    A row whose part of its video is no clip of the index, but holds several, is a row of each.
    """

    def __init__(self, spec: dict[str, Any], *, num_classes: int | None = None):
        if spec["kind"] not in KINDS:
            raise ValueError(f"data: kind: expected one of {KINDS}, found {spec['kind']!r}")
        self.spec, self.kind, self.num_classes = spec, spec["kind"], num_classes
        self.arrays, self.sampler = self._open()
        self.memory = Windows.of(spec)
        self._taught: tuple[Sequence[Row], np.ndarray] | None = None  # of these rows, whether each teaches
        self.asked: Asked | None = None  # set where each item is answered by several parts
        of_clips = isinstance(self.sampler, Clips)
        read = read_rows(spec["annotations"], spec["split"], *(("box_xyxy",) if of_clips else ()))
        self.rows: Sequence[Row] = read
        self.left_out = 0
        if self.arrays is not None:
            self.rows, self.left_out = read.each(self._parts)
        if not len(self.rows):
            raise ValueError(f"{spec['index']}: none of the videos of split {spec['split']!r} is in it")
        if isinstance(self.sampler, Clips):
            if spec.get("every_s") is not None:
                self.rows = self.sampler.moments(self.rows, spec["every_s"])
            self.rows = self.sampler.items(self.rows, spec["annotations"], spec.get("detections"))
        elif self.sampler is not None and spec["sample"]["labels"] == "frame":
            self.rows = by_item(self.rows)

    def _parts(self, row: Row) -> Sequence[Span]:
        """When the row can be seen: in its part of the video, or in each clip within it; never: its video is not there."""
        if row["video_id"] not in self.arrays:
            return []
        if self.sampler is not None:
            return [(row["start_s"], row["end_s"])]
        return self.arrays.clips(row["video_id"], row["start_s"], row["end_s"])

    def _open(self) -> tuple[Any, Sampler | Clips | None]:
        """(arrays by video, what cuts examples out of them)."""
        if self.kind == "text":
            return None, None
        if self.spec.get("index") is None:
            raise ValueError(f"data: kind {self.kind} needs an index")
        index, sample = Path(self.spec["index"]), self.spec.get("sample")
        cutter = Sampler if sample is None or sample.get("clip") is None else Clips
        if (stored := self.spec.get("stored")) is not None:
            if cutter is not Clips:
                raise ValueError("data: stored: rows of a bank stand for clips; expected sample.clip")
            cutter = partial(Stored, memory=Memory(stored["index"], stored.get("made_of")))
        if self.kind in ("frames", "features"):
            arrays = Arrays(index)
            return arrays, None if sample is None else cutter(sample, Pictures(arrays), None)
        if sample is None:
            raise ValueError(f"data: a view of kind {self.kind} is read frame by frame; expected sample")
        from retake.data.coded import coded  # decoders: a job that reads arrays never needs them

        reader = coded(self.kind, index)
        return reader, cutter(sample, reader, self.spec.get("signal") or self.kind)

    def ask(self, protocol: dict[str, Any]) -> int:
        """How many batch rows there are when the rows are asked as a protocol says; `batch` counts in them.

        Raises ValueError where the protocol cuts and the source cannot.
        """
        if self.memory is not None:
            self.memory.ask(protocol)
        if isinstance(self.sampler, Clips):
            return len(self.rows) * self.sampler.ask(protocol)
        if said := [key for key in ("short_sides", "flip", "min_score") if protocol.get(key)]:
            raise ValueError(f"protocol: {said[0]}: is of a source whose sample is a clip")
        self.asked = Asked.of(protocol)
        if self.asked is not None and self.sampler is None:
            raise ValueError("protocol: clips and crops are cut from frames of a source that has sample")
        return len(self.rows) * (1 if self.asked is None else len(self.asked))

    def asked_about(self) -> Counter[str]:
        """Boxes that each item is asked about once `ask` was called; of a source without clips none."""
        return self.sampler.asked_about(self.rows) if isinstance(self.sampler, Clips) else Counter()

    def parts(self, at_once: int) -> list[Sequence[int]]:
        """All batch rows once `ask` was called, in order and at most `at_once` together: what `batch` takes at a time."""
        if isinstance(self.sampler, Clips):
            return self.sampler.parts(len(self.rows), at_once)
        count = len(self.rows) * (1 if self.asked is None else len(self.asked))
        return [range(first, min(first + at_once, count)) for first in range(0, count, at_once)]

    def order(self, rng: np.random.Generator) -> np.ndarray:
        """Row numbers of one epoch: as `rows` says, each as often as `share` says. Keyframes without a box never come."""
        how, share = self.spec.get("rows", "all"), self.spec.get("share", 1.0)
        if how not in ROWS:
            raise ValueError(f"data: rows: expected one of {ROWS}, found {how!r}")
        members, begins = grouped(np.arange(len(self.rows))) if how == "all" else self._by_item()
        if isinstance(self.sampler, Clips):
            members, begins = _only(members, begins, self._teaching(self.sampler))
        if how == "one_per_item":
            members = members[[begin + rng.integers(end - begin) for begin, end in pairwise(begins)]]
            begins = np.arange(len(members) + 1)
        units = len(begins) - 1
        whole, part = divmod(share, 1.0)
        picked = [rng.permutation(units) for _ in range(int(whole))]
        picked.append(rng.permutation(units)[: round(part * units)])
        if units == len(members):
            return members[np.concatenate(picked)]
        rows = [rng.permutation(members[begins[u] : begins[u + 1]]) for turn in picked for u in turn]
        return np.concatenate([members[:0], *rows])

    def _teaching(self, clips: Clips) -> np.ndarray:
        """(rows,) whether there is anything to learn of each. An epoch's order is asked for more than once."""
        if self._taught is None or self._taught[0] is not self.rows:
            self._taught = self.rows, np.array([*map(clips.teaches, self.rows)], dtype=bool)
        return self._taught[1]

    def _by_item(self) -> tuple[np.ndarray, np.ndarray]:
        if isinstance(self.rows, Rows):
            return self.rows.groups("item_id")
        return grouped(np.unique([row["item_id"] for row in self.rows], return_inverse=True)[1])

    @remembering
    def batch(
        self,
        numbers: Iterable[int],
        shape: Any = None,
        rng: np.random.Generator | None = None,
        key: Sequence[int] | None = None,
    ) -> dict[str, Any]:
        """Rows of the table as one batch; see `batch_of`.

        key  of the draws of a source with `sample`: those of row n are of the generator (*key, n); None: no draws
        """
        numbers = list(numbers)
        if self.kind == "text":
            rows = [self.rows[i] for i in numbers]
            return told(rows, np.ones((len(rows), 1), dtype=bool)) | targets(rows, self.num_classes)
        if self.sampler is None:
            return batch_of([self.rows[i] for i in numbers], self.arrays, self, shape, rng)
        if shape is not None and (shape.frames is not None or shape.size_px is not None):
            raise ValueError(
                "plan: batches that change in frames or size are not made from a source with sample"
            )
        if isinstance(self.sampler, Clips):
            return self.sampler.batch(self.rows, numbers, key, self.num_classes)
        if self.asked is not None:
            clips = self.sampler.views(self.rows, self.asked, numbers)
            rows = [self.rows[n // len(self.asked)] for n in numbers]
            return stacked(clips, rows, "frames") | targets(rows, self.num_classes)
        rngs = [None if key is None else np.random.default_rng([*key, n]) for n in numbers]
        rows = [self.rows[n] for n in numbers]
        found = [self.sampler.example(row, rng) for row, rng in zip(rows, rngs, strict=True)]
        batch = stacked([clip for clip, _ in found], rows, "frames") | targets(rows, self.num_classes)
        if self.spec["sample"]["labels"] == "frame" and self.num_classes is not None:
            times = [times for _, times in found]
            batch["labels"] = frame_labels(rows, times, self.num_classes)
        return batch


def _only(members: np.ndarray, begins: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Groups as `grouped` gives them, of the rows that are `kept` alone; a group without one is none."""
    group_of = np.repeat(np.arange(len(begins) - 1), np.diff(begins))
    return members[kept[members]], grouped(group_of[kept[members]])[1]


def batch_of(
    rows: list[dict[str, Any]],
    arrays: Any,
    source: Any,
    shape: Any = None,
    rng: np.random.Generator | None = None,
) -> dict[str, Any]:
    """What a model is given. `source` says kind and num_classes; `shape` is a BatchShape or None.

    frames (B, C, T, H, W) uint8 (`to_device` makes them float in [0, 1]) or features (B, T, C) or (B, T, S, C), as
    they are stored (`to_device` makes them float32); keep (B, T); same_as (B,): the first row of the batch that
    shows the same; item_id, text_in, text_out: lists; labels
    (B, K), or (B, T, K) where frames have labels of their own, and value (B,), where the table has them.
    Shorter videos are padded with zeros.
    """
    first: dict[tuple, int] = {}
    same_as, clips = [], []
    for row in rows:
        place = (row["video_id"], row["start_s"], row["end_s"])
        if place not in first or rng is not None:  # drawn anew for each row: nothing is shared
            first[place] = len(clips)
            clips.append(_seen(arrays.rows(*place), source.kind, shape, rng))
        else:
            clips.append(clips[first[place]])
        same_as.append(first[place])
    batch = stacked(clips, rows, source.kind)
    return batch | {"same_as": torch.tensor(same_as)} | targets(rows, source.num_classes)


def _seen(clip: np.ndarray, kind: str, shape: Any, rng: np.random.Generator | None) -> np.ndarray:
    """One video as the batch plan wants it: frames at a stride, scaled and cropped; drawn where there is an
    rng.
    """
    if len(clip) == 0:
        raise ValueError("a segment holds no frame: the index or the segment's times are wrong")
    if shape is None:
        return clip
    if shape.frames is not None:
        low, high = shape.stride
        stride = high if rng is None else int(rng.integers(low, high + 1))
        room = len(clip) - (shape.frames - 1) * stride
        begin = max(0, (room - 1) // 2 if rng is None else int(rng.integers(max(1, room))))
        clip = clip[np.minimum(begin + stride * np.arange(shape.frames), len(clip) - 1)]
    if kind == "frames" and shape.size_px is not None:
        clip = _scaled_and_cropped(clip, shape, rng)
    return clip


def _scaled_and_cropped(clip: np.ndarray, shape: Any, rng: np.random.Generator | None) -> np.ndarray:
    low, high = shape.short_side_px or (shape.size_px, shape.size_px)
    short = (low + high) // 2 if rng is None else int(rng.integers(low, high + 1))
    height, width = clip.shape[1:3]
    factor = short / min(height, width)
    size = (max(shape.size_px, round(height * factor)), max(shape.size_px, round(width * factor)))
    pixels = torch.from_numpy(np.array(clip)).permute(0, 3, 1, 2).float()
    if size != (height, width):
        pixels = interpolate(pixels, size=size, mode="bilinear", antialias=True, align_corners=False)
    rooms = [side - shape.size_px for side in size]
    top, left = ((r // 2 if rng is None else int(rng.integers(r + 1))) for r in rooms)
    cut = pixels[:, :, top : top + shape.size_px, left : left + shape.size_px]
    return cut.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def to_device(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """The batch's tensors on `device`; frames become float32 in [0, 1] there, features, memory and stored rows float32."""
    moved = {
        k: v.to(device, non_blocking=True) if isinstance(v, torch.Tensor) else v for k, v in batch.items()
    }
    if "frames" in moved and moved["frames"].dtype == torch.uint8:
        moved["frames"] = moved["frames"].float().div_(255)  # a second array would cost more than the sum
    for name in ("features", "memory", "stored"):
        if name in moved:
            moved[name] = moved[name].float()
    return moved


def epoch_groups(
    sources: list[Source], shapes: Iterable[Any], *, seed: int, epoch: int
) -> Iterator[tuple[Any, list[tuple[int, int]]]]:
    """(shape, [(source, row), ...]) of every optimiser step of an epoch; the last step may be smaller.

    Which source comes when is drawn in proportion to what each has to give; a shape with parts says it itself.
    """
    rng = np.random.default_rng([seed % 2**63, epoch])
    queues, turns = None, None
    begun: dict[int, Iterator[int]] = {}
    for shape in shapes:
        if shape.parts is not None:
            for part in shape.parts:
                begun.setdefault(
                    part.source, cycled(sources[part.source], [seed % 2**63, epoch, part.source])
                )
            yield shape, [(p.source, next(begun[p.source])) for p in shape.parts for _ in range(p.items)]
            continue
        if queues is None:
            queues, turns = _queues(sources, rng)
        group = []
        while len(group) < shape.items:
            of = shape.source if shape.source is not None else (0 if turns is None else next(turns, None))
            row = None if of is None else next(queues[of], None)
            if row is None and (of is None or shape.source is not None or turns is None):
                break
            if row is not None:
                group.append((of, row))
        if not group:
            return
        yield shape, group


def _queues(
    sources: list[Source], rng: np.random.Generator
) -> tuple[list[Iterator[int]], Iterator[int] | None]:
    """(rows of each source in their order, which source comes next; None: there is one only)."""
    if len(sources) == 1:
        return [map(int, sources[0].order(rng))], None
    orders = [source.order(rng) for source in sources]
    turns = rng.permutation(np.repeat(np.arange(len(sources)), [len(o) for o in orders]))
    return [map(int, order) for order in orders], map(int, turns)


def cycled(source: Any, key: Sequence[int]) -> Iterator[int]:
    """Rows of a source without end: its order, then a fresh one; turn n is of the generator (*key, n).

    Raises ValueError on a source that has no row to give.
    """
    for turn in count():
        order = source.order(np.random.default_rng([*key, turn]))
        if not len(order):
            raise ValueError(f"data[{key[-1]}]: share: the source gives no row")
        yield from map(int, order)


def mini_batches(
    group: list[tuple[int, int]],
    at_once: int,
    *,
    rank: int = 0,
    num_processes: int = 1,
    parts: Sequence[Any] | None = None,
) -> list[tuple[int, list[int]]]:
    """A group's part for one process as (source, rows): one source each, at most `at_once` rows.

    parts  of a BatchShape: whole parts are dealt out in turn; those of one source share a mini-batch where they fit
    """
    if parts is not None:
        ends = np.cumsum([part.items for part in parts]).tolist()
        dealt = list(zip(parts, ends, strict=True))[rank::num_processes]
        return _joined([(p, [row for _, row in group[end - p.items : end]]) for p, end in dealt], at_once)
    mine = sorted(group, key=lambda pair: pair[0])[
        rank::num_processes
    ]  # stable: the order within a source stays
    batches: list[tuple[int, list[int]]] = []
    for of, row in mine:
        if not batches or batches[-1][0] != of or len(batches[-1][1]) == at_once:
            batches.append((of, []))
        batches[-1][1].append(row)
    return batches


def _joined(parts: list[tuple[Any, list[int]]], at_once: int) -> list[tuple[int, list[int]]]:
    """Mini-batches of parts and their rows: whole parts of one source together, one that is too large cut apart."""
    batches: list[tuple[int, list[int]]] = []
    room: dict[int, list[int]] = {}  # source -> rows of the mini-batch that more may join
    for part, rows in parts:
        size = part.at_once or at_once
        if len(rows) > size:
            batches += [(part.source, rows[begin : begin + size]) for begin in range(0, len(rows), size)]
        elif part.source in room and len(room[part.source]) + len(rows) <= size:
            room[part.source] += rows
        else:
            room[part.source] = list(rows)
            batches.append((part.source, room[part.source]))
    return batches


def prefetched(makers: Iterable[Callable[[], Any]]) -> Iterator[Any]:
    """Results of `makers` in order, the next one made in a thread while one is used."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        ahead = None
        for maker in makers:
            now, ahead = ahead, pool.submit(maker)
            if now is not None:
                yield now.result()
        if ahead is not None:
            yield ahead.result()


def with_end(things: Iterable[Any]) -> Iterator[tuple[Any, bool]]:
    """Each of `things`, with whether it is the last."""
    held: list[Any] = []
    for thing in things:
        if held:
            yield held.pop(), False
        held.append(thing)
    yield from ((thing, True) for thing in held)
