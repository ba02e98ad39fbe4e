"""Windows of a bank: what it holds of the seconds around an example, or before it, read as one slice.

Letters  B examples, S steps of a window (of `every_s` seconds each), K rows of a step at most, M = S * K, C width.
Of each step at most K rows: drawn without replacement where there is a generator, else the first ones, which are the
best scored. Places of steps that have fewer, or that lie outside the video, are zeros and not kept (METHODS 8.1).
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import torch

from retake.data.row_index import BOXES, EVERY_S, MADE_OF, sha256_of

COLUMNS = ("video_id", "start_s", "array", "row", "num_rows")
NEAR_S = 1e-6
OPEN_ARRAYS = 16  # memory maps that one reader keeps
DIRECTIONS = ("both", "past")


class Held(NamedTuple):
    """One video's part: its array, the number of its first step, and (steps + 1,) where each step's rows begin."""

    array: str
    first: int
    begins: np.ndarray


def steps_of(at_s: float, *, window_s: float, every_s: float, direction: str) -> range:
    """Numbers of a window's steps, of which step n begins at n * every_s; a step before the video has one below 0.

    both: the step that `at_s` is in, half of the others before it (the larger half) and half after. past: those that
    end by that step's begin.
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"direction: expected one of {', '.join(DIRECTIONS)}, found {direction!r}")
    count = round(window_s / every_s)
    if count < 1:
        raise ValueError(f"window_s: {window_s:g} s is less than a step of {every_s:g} s")
    here = int(np.floor((at_s + NEAR_S) / every_s))
    first = here - count if direction == "past" else here - count // 2
    return range(first, first + count)


class Memory:
    """A bank's rows by video and second, memory-mapped when asked for. Cheap to send to another process.

    made_of  what must have filled it -> file: a digest that is not that file's is an error
    Raises ValueError where the index is no bank's, has holes, or was filled by something else.
    """

    def __init__(self, index: Path | str, made_of: Mapping[str, Path | str] | None = None):
        self.index = Path(index)
        with pq.ParquetFile(self.index) as file:  # pq.read_table would import pandas
            said = {k.decode(): v.decode() for k, v in (file.metadata.metadata or {}).items()}
            if EVERY_S not in said or MADE_OF not in said:
                raise ValueError(
                    f"{self.index}: no bank of rows by second: its metadata lack {EVERY_S}, {MADE_OF}"
                )
            table = file.read(list(COLUMNS))
        self.every_s, self.made_of = float(said[EVERY_S]), json.loads(said[MADE_OF])
        for name, path in sorted((made_of or {}).items()):
            if (have := self.made_of.get(name)) != (wanted := sha256_of(Path(path))):
                raise ValueError(
                    f"{self.index}: was filled by {name} {str(have)[:12]}, expected {wanted[:12]}, that of {path}"
                )
        self._held = dict(self._videos({name: table[name].to_pylist() for name in COLUMNS}))
        self._maps: OrderedDict[str, np.ndarray] = OrderedDict()
        self._boxes: OrderedDict[str, np.ndarray] = OrderedDict()
        self.width, self.dtype = self._form()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_maps": OrderedDict(), "_boxes": OrderedDict()}  # a memory map would travel as its bytes

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._held

    def __len__(self) -> int:
        return len(self._held)

    def _videos(self, columns: Mapping[str, list]) -> Iterable[tuple[str, Held]]:
        names = columns["video_id"]
        starts = [n for n, name in enumerate(names) if n == 0 or names[n - 1] != name]
        seen: set[str] = set()
        for begin, end in zip(starts, [*starts[1:], len(names)], strict=True):
            where = f"{self.index}: video {names[begin]!r}"
            rows, counts = (np.array(columns[c][begin:end], np.int64) for c in ("row", "num_rows"))
            steps = np.array(columns["start_s"][begin:end]) / self.every_s
            first = round(float(steps[0]))
            if (
                names[begin] in seen
                or np.abs(steps - first - np.arange(len(steps))).max() > NEAR_S / self.every_s
            ):
                raise ValueError(f"{where}: its rows are not those of one second after the other")
            if len(set(columns["array"][begin:end])) > 1 or (rows[1:] != rows[:-1] + counts[:-1]).any():
                raise ValueError(f"{where}: its features do not lie one behind the other in one array")
            seen.add(names[begin])
            begins = np.append(rows, rows[-1] + counts[-1])
            yield names[begin], Held(columns["array"][begin], first, begins)

    def _form(self) -> tuple[int, np.dtype]:
        """(width, type) of all arrays that have a row. Raises ValueError where they differ or are too short."""
        last: dict[str, int] = {}
        for held in self._held.values():
            last[held.array] = max(last.get(held.array, 0), int(held.begins[-1]))
        forms: dict[tuple[int, np.dtype], str] = {}
        for name, rows in sorted(last.items()):
            array = self._array(name)
            if rows > len(array):
                raise ValueError(f"{self.index}: uses {rows} rows of {name}, which has {len(array)}")
            if rows:
                forms.setdefault((array.shape[1], array.dtype), name)
        if len(forms) > 1:
            said = ", ".join(f"{name}: {width} {dtype}" for (width, dtype), name in forms.items())
            raise ValueError(f"{self.index}: its arrays have rows of several widths: {said}")
        if not forms:
            raise ValueError(f"{self.index}: holds not one row of features")
        return next(iter(forms))

    def _array(self, name: str) -> np.ndarray:
        if name in self._maps:
            self._maps.move_to_end(name)
            return self._maps[name]
        path = self.index.parent / name
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.ndim != 2:
            raise ValueError(f"{path}: expected rows of one width, found an array of shape {array.shape}")
        self._maps[name] = array = array.view(
            np.ndarray
        )  # a memmap's own bookkeeping costs as much as a window
        if len(self._maps) > OPEN_ARRAYS:
            self._maps.popitem(last=False)
        return array

    def steps(self, video_id: str) -> range:
        """Numbers of the steps that it has of a video, of which step n begins at n * every_s. Raises ValueError."""
        held = self._video(video_id)
        return range(held.first, held.first + len(held.begins) - 1)

    def step(self, video_id: str, number: int) -> np.ndarray:
        """(R, C) of the stored type: all rows of one step; of one that it does not have none. Raises ValueError."""
        array, rows = self._rows(video_id, number)
        if rows.start == rows.stop:
            return np.zeros((0, self.width), self.dtype)
        return self._array(array)[rows]

    def boxes(self, video_id: str, number: int) -> np.ndarray:
        """(R, 5): the boxes that the rows of a step are of, xyxy in [0, 1] of the whole frame, and their scores.

        Raises ValueError where they are not those of the rows, or no boxes.
        """
        array, rows = self._rows(video_id, number)
        if array not in self._boxes:
            self._boxes[array] = self._boxes_beside(array)
            if len(self._boxes) > OPEN_ARRAYS:
                self._boxes.popitem(last=False)
        return self._boxes[array][rows]

    def _boxes_beside(self, array: str) -> np.ndarray:
        """(N, 5) of all rows of an array."""
        name = (Path(array).parent / BOXES).as_posix()
        have = self._array(name) if (self.index.parent / name).is_file() else np.zeros((0, 5))
        if have.shape != (len(self._array(array)), 5):
            raise ValueError(
                f"{self.index.parent / name}: expected a box and its score of each of {len(self._array(array))} rows, "
                f"found an array of shape {have.shape}"
            )
        return have

    def _rows(self, video_id: str, number: int) -> tuple[str, slice]:
        held, steps = self._video(video_id), self.steps(video_id)
        if number not in steps:
            return held.array, slice(0, 0)
        begin, end = held.begins[number - held.first : number - held.first + 2]
        return held.array, slice(int(begin), int(end))

    def _video(self, video_id: str) -> Held:
        if video_id not in self._held:
            raise ValueError(f"{self.index}: no video {video_id!r}; the bank has {len(self._held)} others")
        return self._held[video_id]

    def window(
        self, video_id: str, at_s: float, *, window_s: float, per_step: int, direction: str = "both",
        rng: np.random.Generator | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """((M, C) of the stored type, (M,) bool: which places have a row) of one example.

        Raises ValueError where the bank does not have the video.
        """
        held = self._video(video_id)
        steps = steps_of(at_s, window_s=window_s, every_s=self.every_s, direction=direction)
        keep = np.zeros(len(steps) * per_step, bool)
        begin = max(steps.start - held.first, 0)
        end = min(steps.stop - held.first, len(held.begins) - 1)
        begins = held.begins[begin : max(end, begin) + 1]
        counts, offset = np.diff(begins), int(begins[0]) if len(begins) else 0
        if not counts.sum():
            return np.zeros((len(keep), self.width), self.dtype), keep
        step = np.repeat(np.arange(end - begin), counts)  # of each row in the slice
        nth = np.arange(len(step)) - np.repeat(begins[:-1] - offset, counts)  # of its step
        chosen = np.arange(len(step))
        if counts.max() > per_step:
            chosen = np.flatnonzero(nth < per_step if rng is None else _drawn(step, counts, per_step, rng))
            nth = np.concatenate([np.arange(n) for n in np.minimum(counts, per_step)])
        places = (step[chosen] + begin + held.first - steps.start) * per_step + nth
        rows = np.zeros(len(keep), np.int64)  # one copy of the slice: what is not kept is made zero after it
        rows[places], keep[places] = chosen, True
        found = np.take(self._array(held.array)[offset : int(begins[-1])], rows, axis=0)
        found[~keep] = 0
        return found, keep


def _drawn(step: np.ndarray, counts: np.ndarray, per_step: int, rng: np.random.Generator) -> np.ndarray:
    """Which rows are taken: at most `per_step` of each step, each choice alike likely."""
    order = np.lexsort((rng.random(len(step)), step))  # each step's rows in an order of its own
    rank = np.arange(len(step)) - np.repeat(np.cumsum(counts) - counts, counts)
    some = np.zeros(len(step), bool)
    some[order[rank < per_step]] = True
    return some


class Windows:
    """The memory of a source's examples, as its JSON says: index, made_of, window_s, per_step, direction."""

    def __init__(self, spec: Mapping[str, Any]):
        self.spec, self.window_s = spec, float(spec["window_s"])
        self.memory = Memory(spec["index"], spec.get("made_of"))

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> "Windows | None":
        """Those of a source; None where it has no memory."""
        return None if spec.get("memory") is None else cls(spec["memory"])

    def ask(self, protocol: Mapping[str, Any]) -> None:
        """From here on, windows are as long as a protocol says, or as the recipe does."""
        self.window_s = float(protocol.get("window_s") or self.spec["window_s"])

    def batch(
        self, examples: Sequence[tuple[str, float]], rngs: Sequence[np.random.Generator | None]
    ) -> dict[str, torch.Tensor]:
        """memory (B, M, C) as it is stored (`to_device` makes it float32) and memory_keep (B, M).

        examples  (video_id, second) of each
        """
        found = [
            self.memory.window(
                video_id, at_s, window_s=self.window_s, per_step=self.spec["per_step"],
                direction=self.spec["direction"], rng=rng,
            )
            for (video_id, at_s), rng in zip(examples, rngs, strict=True)
        ]  # fmt: skip
        rows, keep = (np.stack(parts) for parts in zip(*found, strict=True))
        return {"memory": torch.from_numpy(rows), "memory_keep": torch.from_numpy(keep)}


def remembering(make: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """A source's `batch`, with what its memory holds around each example where it has one (`source.memory`).

    Where each lies is the batch's `at`, (video, second) of each, where its clip's place was drawn or asked for; else
    the row's start. Its draws are of the generator (*key, row, 1), so that others stay; without a key there are none.
    """

    @wraps(make)
    def made(
        source: Any,
        numbers: Iterable[int],
        shape: Any = None,
        rng: Any = None,
        key: Sequence[int] | None = None,
    ) -> dict[str, Any]:
        numbers = list(numbers)
        batch = make(source, numbers, shape, rng, key)
        if source.memory is None:
            return batch
        at = batch.get("at")
        if at is None:
            parts = 1 if source.asked is None else len(source.asked)
            rows = [source.rows[n // parts] for n in numbers]
            at = [(row["video_id"], row["start_s"] or 0.0) for row in rows]
        rngs = [None] * len(at)  # of a source that is asked: ways that show the same are one example
        if key is not None:
            rngs = [np.random.default_rng([*key, n, 1]) for n in numbers]
        return batch | source.memory.batch(at, rngs)

    return made
