"""Indices of arrays: merged from shards, and read by whoever needs the rows of a video.

One index row is one segment of a video: rows [row, row + num_rows) of the .npy file `array`, named
relative to the index's folder. Frames and features have the same index and the same reader.
"""

import csv
import json
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from hashlib import file_digest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.compute import sort_indices

from retake.data.rows import column_of, in_two, objects

INDEX = pa.schema(
    [
        pa.field("video_id", pa.string(), nullable=False),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),  # null: to the end
        pa.field("array", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("num_rows", pa.int64(), nullable=False),
        ("times_s", pa.list_(pa.float64())),  # of each row, from the first frame of the file
        ("duration_s", pa.float64()),
        ("fps", pa.float64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("decoder", pa.string()),  # that gave the pictures: decord or pyav; null where there are none
        ("damaged", pa.int32()),  # pictures missing or broken; null where none were decoded
    ]
)
FAILURES = ("video_id", "path", "reason")
CLIP = "clip "  # how the reason begins where not a video fails but one of its clips
OPEN_ARRAYS = 16  # memory maps that one reader keeps
ASKED = 1024  # videos whose index rows a reader keeps as Python's objects
NAMED = 20  # failures that an error message names


Clip = tuple[float | None, float | None]  # start_s, end_s; None: from the video's begin, to its end


class TooManyFailuresError(Exception):
    """More videos gave no frames than the data set's card allows."""


def table_of(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Index rows as a table; a key that is left out is null."""
    return pa.Table.from_arrays(
        [column_of([row.get(f.name) for row in rows], f.type) for f in INDEX], schema=INDEX
    )


def read_table(path: Path) -> pa.Table:
    """An index. Raises FileNotFoundError, and ValueError where the file has other columns."""
    with pq.ParquetFile(path) as file:  # pq.read_table would import pandas
        table = file.read(use_threads=False)  # each thread would keep memory of its own
    if absent := [name for name in INDEX.names if name not in table.column_names]:
        raise ValueError(f"{path}: no column {absent[0]}; expected {', '.join(INDEX.names)}")
    return table.select(INDEX.names).cast(INDEX)


def read_index(path: Path) -> list[dict[str, Any]]:
    """The rows of an index. Raises as `read_table` does."""
    return read_table(path).to_pylist()


def index_arrays(
    *,
    shards: Sequence[Path],
    index_out: Path,
    failures: Sequence[Path] = (),
    failures_out: Path | None = None,
    max_failures: float = 0.0,
    expected: int | None = None,
    beside: Sequence[str] = (),
    said: Mapping[str, str] | None = None,
) -> None:
    """Merge the indices and failures of shards; judge the failures.

    `shards` are shard indices, `failures` their failures.csv; arrays lie beside the shard indices, and the
    merged index, one folder up, names them by shard folder. Shard follows shard, each a row group and by video and
    start: no more than one is in memory, of the others their videos' ids. The arrays' sha256 stand in the parquet's
    metadata under "arrays", with those of the files `beside` each array, without which it cannot be read; `said` is
    put beside. `max_failures` is the share of videos, or of clips where a video has several, in [0, 1], that may
    fail. `expected` is the number of videos there are. Raises TooManyFailuresError, and ValueError where videos are
    lost, doubled, or an array is shorter than its index.
    """
    digests: dict[str, str] = {}
    videos: list[pa.Array] = []  # ids of each shard, one a video
    rows = 0
    with pq.ParquetWriter(index_out, INDEX) as writer:
        for path in sorted(map(Path, shards)):
            table = _in_order(read_table(path))
            names = table["array"].to_pylist()
            for name in sorted(set(names)):
                _check_array(path, name, table)
                for part in (name, *beside):
                    with (path.parent / part).open("rb") as file:
                        digests[f"{path.parent.name}/{part}"] = file_digest(file, "sha256").hexdigest()
            placed = column_of([f"{path.parent.name}/{name}" for name in names], pa.string())
            at = table.schema.get_field_index("array")
            if names:
                writer.write_table(table.set_column(at, INDEX.field("array"), placed))
            videos.append(table["video_id"].unique())
            rows += len(table)
        writer.add_key_value_metadata({"arrays": json.dumps(digests, sort_keys=True), **(said or {})})
    if (doubled := in_two(videos)) is not None:
        raise ValueError(
            f"{sorted(map(Path, shards))[doubled[0]]}: video {doubled[1]} is in another shard, too"
        )
    failed = sorted(row for path in failures for row in read_failures(Path(path)))
    _judge(pa.chunked_array(videos, pa.string()), rows, failed, max_failures, expected)
    if failures_out is not None:
        write_failures(failed, failures_out)


def _in_order(table: pa.Table) -> pa.Table:
    """By video and start, as it nearly always is."""
    keys = list(
        zip(
            table["video_id"].to_pylist(),
            (start or 0.0 for start in table["start_s"].to_pylist()),
            strict=True,
        )
    )
    order = sorted(range(len(keys)), key=keys.__getitem__)
    if order != list(range(len(keys))):
        table = table.take(column_of(order, pa.int64()))
    return table.combine_chunks()


def _check_array(index: Path, name: str, table: pa.Table) -> None:
    array = np.load(index.parent / name, mmap_mode="r", allow_pickle=False)
    columns = (table[column].to_pylist() for column in ("array", "row", "num_rows"))
    used = max(row + num_rows for of, row, num_rows in zip(*columns, strict=True) if of == name)
    if used > len(array):
        raise ValueError(f"{index}: uses {used} rows of {name}, which has {len(array)}")


def _judge(
    videos: pa.ChunkedArray,
    rows: int,
    failed: list[tuple[str, ...]],
    max_failures: float,
    expected: int | None,
) -> None:
    """`videos` were read, in so many rows; what fails is a video, or a clip of one that has others (CLIP)."""
    lost = {row[0] for row in failed}
    read = {one for ids in videos.chunks for one in lost.intersection(ids.to_pylist())} if lost else set()
    both = read & {video_id for video_id, _, reason in failed if not reason.startswith(CLIP)}
    total, clips = rows + len(failed), rows > len(videos) or read
    if both:
        raise ValueError(f"{min(both)}: read in one shard, failed in another")
    if expected is not None and len(videos) + len(lost - read) != expected:
        raise ValueError(
            f"expected {expected} videos, the shards hold {len(videos)} and {len(lost - read)} that failed"
        )
    if len(failed) > max_failures * total:
        more = "" if len(failed) <= NAMED else f"\n  and {len(failed) - NAMED} more"
        lines = "".join(f"\n  {video_id} ({path}): {reason}" for video_id, path, reason in failed[:NAMED])
        raise TooManyFailuresError(
            f"{len(failed)} of {total} {'clips' if clips else 'videos'} cannot be read, the card allows {max_failures:.2%}"
            f" (max_failures):{lines}{more}"
        )


def read_failures(path: Path) -> list[tuple[str, ...]]:
    """The rows of a failures.csv. Raises ValueError where it has other columns."""
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        header, *rows = list(csv.reader(file)) or [[]]
    if tuple(header) != FAILURES:
        raise ValueError(f"{path}: expected the columns {','.join(FAILURES)}, got {','.join(header)}")
    return [tuple(row) for row in rows]


def write_failures(rows: Sequence[tuple[str, ...]], path: Path) -> None:
    """failures.csv: video_id, path, reason; only the header where there is none."""
    with Path(path).open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FAILURES)
        writer.writerows(rows)


class Arrays:
    """Rows of videos by id, memory-mapped when asked for. Cheap to send to another process.

    The index stays in Arrow's columns, a tenth of what its rows take as Python's objects; of the videos asked for
    last, the rows are kept.
    """

    def __init__(self, index: Path):
        """Reads the index (parquet), no array. Raises FileNotFoundError, ValueError."""
        self.index = Path(index)
        self._table = read_table(self.index)
        ids = self._table["video_id"]
        order = sort_indices(ids)  # stable: rows of a video stay as they are
        self._ids = ids.take(order)
        # not to_numpy, which imports pandas
        self._order = np.frombuffer(order.buffers()[1] or b"", dtype=np.uint64, count=len(ids)).view(np.int64)
        self._count = len(ids.unique())
        self._asked: OrderedDict[str, list[dict[str, Any]]] = OrderedDict()
        self._maps: OrderedDict[str, np.ndarray] = OrderedDict()

    def __getstate__(self) -> dict[str, Any]:
        kept = {"_maps": OrderedDict(), "_asked": OrderedDict()}  # a memory map would travel as its bytes
        return self.__dict__ | kept

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        """Videos in the order of their ids."""
        last = None
        for chunk in self._ids.chunks:
            for video_id in chunk:
                if (name := video_id.as_py()) != last:
                    yield name
                last = name

    def __contains__(self, video_id: object) -> bool:
        return isinstance(video_id, str) and bool(self._segments(video_id))

    def _segments(self, video_id: str) -> list[dict[str, Any]]:
        """The rows of a video, in the index's order; none of a video that is not in it."""
        if (known := self._asked.get(video_id)) is not None:
            return known
        first = place = bisect_left(self._ids, video_id, key=_text)
        while place < len(self._ids) and self._ids[place].as_py() == video_id:
            place += 1
        found = objects(self._table, self._order[first:place])
        for segment in found:
            segment["times_s"] = np.asarray(segment["times_s"] or [], dtype=np.float64)
        if len(self._asked) >= ASKED:
            self._asked.popitem(last=False)
        self._asked[video_id] = found
        return found

    def segment(
        self, video_id: str, start_s: float | None = None, end_s: float | None = None
    ) -> dict[str, Any]:
        """The index row of exactly this clip, else the one that holds `start_s` (left out: the first).

        Raises KeyError naming the index.
        """
        if not (segments := self._segments(video_id)):
            raise KeyError(f"{self.index}: no video {video_id!r} (see failures.csv beside it)")
        at = [s for s in segments if _same((s["start_s"], s["end_s"]), (start_s, end_s))]
        at = at or [s for s in segments if start_s is not None and (s["start_s"] or 0.0) <= start_s + 1e-6]
        return at[-1] if at else segments[0]

    def clips(self, video_id: str, start_s: float | None, end_s: float | None) -> list[Clip]:
        """The (start_s, end_s) to ask `rows` for, to see a part of a video.

        That part itself, where an index row is exactly it or holds it; else every index row that lies within it.
        """
        asked = (start_s, end_s)
        have = [(s["start_s"], s["end_s"]) for s in self._segments(video_id)]
        if asked in have or any(_within(asked, one) for one in have):  # the first is quick, and mostly true
            return [asked]
        return [one for one in have if _within(one, asked)]

    def times_s(self, video_id: str, start_s: float | None = None, end_s: float | None = None) -> np.ndarray:
        """(T,) times of what `rows` returns, in seconds from the first frame of the file."""
        segment = self.segment(video_id, start_s, end_s)
        return segment["times_s"][_part(segment, start_s, end_s)]

    def rows(self, video_id: str, start_s: float | None = None, end_s: float | None = None) -> np.ndarray:
        """The rows of a video shown in [start_s, end_s), as a read-only view (T, ...) of the array on disk.

        All rows of an index row that is exactly this part. At least one: where none falls into the window, the
        one that is up at start_s. Raises KeyError.
        """
        segment = self.segment(video_id, start_s, end_s)
        part = _part(segment, start_s, end_s)
        first, last = segment["row"] + part.start, segment["row"] + part.stop
        return self._array(segment["array"])[first:last]

    def _array(self, name: str) -> np.ndarray:
        if name in self._maps:
            self._maps.move_to_end(name)
            return self._maps[name]
        self._maps[name] = array = np.load(self.index.parent / name, mmap_mode="r", allow_pickle=False)
        if len(self._maps) > OPEN_ARRAYS:
            self._maps.popitem(last=False)
        return array


def _text(name: pa.Scalar) -> str:
    return name.as_py()


def _same(one: Clip, other: Clip) -> bool:
    return _within(one, other) and _within(other, one)


def _within(part: Clip, whole: Clip) -> bool:
    """Whether the clip `part` lies in `whole`, to a microsecond."""
    (begin, end), (first, last) = part, whole
    ends = last is None or (end is not None and end <= last + 1e-6)
    return (begin or 0.0) >= (first or 0.0) - 1e-6 and ends


def _part(segment: dict[str, Any], start_s: float | None, end_s: float | None) -> slice:
    if start_s is None and end_s is None:
        return slice(0, segment["num_rows"])
    if _same((segment["start_s"], segment["end_s"]), (start_s, end_s)):
        return slice(0, segment["num_rows"])
    return slice(*window(segment["times_s"], start_s, end_s))


def window(times_s: np.ndarray, start_s: float | None, end_s: float | None) -> tuple[int, int]:
    """First and one past the last of rising `times_s` in [start_s, end_s); at least the one up at start_s."""
    first = 0 if start_s is None else int(np.searchsorted(times_s, start_s - 1e-6))
    last = len(times_s) if end_s is None else int(np.searchsorted(times_s, end_s - 1e-6))
    if last > first:
        return first, last
    up = max(0, int(np.searchsorted(times_s, (start_s or 0.0) + 1e-6, side="right")) - 1)
    return up, up + 1
