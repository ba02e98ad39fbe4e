"""Rows of an annotation table: Arrow's columns in memory, Python's objects one row at a time.

A row as a dictionary takes about 2 kB, as columns what its text takes: of a data set of millions of captions only
the second fits beside a model.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

COLUMNS = [
    "item_id", "ref_id", "video_id", "start_s", "end_s", "text_in", "text_out", "options", "labels", "value",
    "weight",
]  # fmt: skip
PLACE = ["video_id", "start_s", "end_s"]
AT_ONCE = 1024  # rows that are Python's objects at one time where all are gone through
READ = 65536  # rows that are read at one time

Row = dict[str, Any]
Span = tuple[float | None, float | None]


def column_of(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Numbers, texts, or lists of them, None where there is none, as a column.

    From buffers only: pa.array imports pandas, half a second, to find out what a list is.
    """
    known = np.packbits(np.array([value is not None for value in values], dtype=bool), bitorder="little")
    if pa.types.is_list(kind) or pa.types.is_string(kind):
        none: Any = b"" if pa.types.is_string(kind) else ()
        parts: list[Any] = [value.encode() if isinstance(value, str) else value or none for value in values]
        ends = pa.py_buffer(np.cumsum([0, *map(len, parts)], dtype=np.int32))
        if pa.types.is_string(kind):
            return pa.Array.from_buffers(
                kind, len(values), [pa.py_buffer(known), ends, pa.py_buffer(b"".join(parts))]
            )
        inner = column_of([item for part in parts for item in part], kind.value_type)
        return pa.Array.from_buffers(kind, len(values), [pa.py_buffer(known), ends], children=[inner])
    numbers = np.array([0 if value is None else value for value in values], dtype=str(kind))
    return pa.Array.from_buffers(kind, len(values), [pa.py_buffer(known), pa.py_buffer(numbers)])


def objects(table: pa.Table, at: np.ndarray) -> list[Row]:
    """Rows of a table by their numbers (N,), as Python's objects.

    Slice by slice: `take` would copy all chunks of a column together first.
    """
    found: list[Row] = []
    for run in np.split(at, np.flatnonzero(np.diff(at) != 1) + 1) if len(at) else ():
        found += table.slice(int(run[0]), len(run)).to_pylist()
    return found


def in_two(names: Sequence[pa.Array]) -> tuple[int, str] | None:
    """(number of the array, name) of the first name that an array before it has, too; each has a name once at most."""
    if len(names) < 2 or len(pa.chunked_array(names, pa.string()).unique()) == sum(map(len, names)):
        return None
    seen: set[str] = set()
    for number, here in enumerate(names):
        of_it = set(here.to_pylist())
        if doubled := of_it & seen:
            return number, min(doubled)
        seen |= of_it
    return None


class Rows(Sequence[Row]):
    """Rows of a table, some of them more than once, each with its own part of its video.

    table   columns of an annotation table
    at      (N,) which row of the table each is; left out: each once
    spans   start_s and end_s of each, NaN where there is none; left out: the table's
    """

    def __init__(
        self,
        table: pa.Table,
        at: np.ndarray | None = None,
        spans: tuple[np.ndarray, np.ndarray] | None = None,
    ):
        self._table, self._spans = table, spans
        self._columns = dict(zip(table.column_names, table.columns, strict=True))
        self._at = np.arange(len(table)) if at is None else at

    def __len__(self) -> int:
        return len(self._at)

    @overload
    def __getitem__(self, which: int) -> Row: ...
    @overload
    def __getitem__(self, which: slice) -> "Rows": ...
    def __getitem__(self, which: int | slice) -> "Row | Rows":
        if isinstance(which, slice):
            return self.picked(range(len(self))[which])
        number = range(len(self))[which]
        at = int(self._at[number])
        row = {
            name: column[at].as_py() for name, column in self._columns.items()
        }  # a slice takes five times as long
        return row if self._spans is None else row | self._span(number)

    def __iter__(self) -> Iterator[Row]:
        for first in range(0, len(self), AT_ONCE):
            yield from self._objects(range(first, min(first + AT_ONCE, len(self))))

    def _objects(self, numbers: Sequence[int]) -> list[Row]:
        rows = objects(self._table, self._at[numbers])
        return (
            rows
            if self._spans is None
            else [row | self._span(n) for n, row in zip(numbers, rows, strict=True)]
        )

    def _span(self, number: int) -> dict[str, float | None]:
        """Where part `number` of the rows begins and ends; of rows with parts of their own."""
        starts, ends = self._spans or ((), ())
        return {"start_s": _known(starts[number]), "end_s": _known(ends[number])}

    def picked(self, numbers: Sequence[int]) -> "Rows":
        """These rows, in this order."""
        chosen = np.asarray(numbers, dtype=np.int64)
        spans = None if self._spans is None else (self._spans[0][chosen], self._spans[1][chosen])
        return Rows(self._table, self._at[chosen], spans)

    def each(self, parts: Callable[[Row], Iterable[Span]]) -> "tuple[Rows, int]":
        """(a row for every part of its video that `parts` gives of a row; how many rows have none).

        parts  is given the columns PLACE
        """
        at, starts, ends, without = array("q"), array("d"), array("d"), 0
        for number, row in enumerate(Rows(self._table.select(PLACE), self._at, self._spans)):
            before = len(at)
            for start_s, end_s in parts(row):
                at.append(int(self._at[number]))
                starts.append(np.nan if start_s is None else start_s)
                ends.append(np.nan if end_s is None else end_s)
            without += len(at) == before
        spans = np.frombuffer(starts), np.frombuffer(ends)
        return Rows(self._table, np.frombuffer(at, dtype=np.int64), spans), without

    def groups(self, column: str) -> tuple[np.ndarray, np.ndarray]:
        """As `grouped`, by the values of a column."""
        values = self._table[column]
        return grouped(pc.index_in(values, value_set=values.unique()).to_numpy()[self._at])


def grouped(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """((N,) numbers of all rows, group after group; (groups + 1,) where each begins), groups by their first row.

    codes  (N,) integers: rows of one code are one group
    """
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))[inverse]
    counts = np.bincount(rank, minlength=len(first))
    return np.argsort(rank, kind="stable"), np.concatenate([[0], np.cumsum(counts)])


def picked(rows: Sequence[Row], numbers: Sequence[int]) -> Sequence[Row]:
    """These rows, in this order, in the form that `rows` has."""
    return rows.picked(numbers) if isinstance(rows, Rows) else [rows[number] for number in numbers]


def read_rows(annotations: Path | str, split: str | list[str], *also: str) -> Rows:
    """The rows of one split, or of several, as they stand in the table, with further columns.

    Raises ValueError if there is none of a split.
    """
    splits = [split] if isinstance(split, str) else split
    wanted = column_of(splits, pa.string())
    columns = [*COLUMNS, *also]
    parts, seen = [], set()
    with pq.ParquetFile(annotations) as file:
        for batch in file.iter_batches(READ, columns=["split", *columns]):
            mine = batch.filter(pc.is_in(batch["split"], value_set=wanted))
            seen |= set(mine["split"].unique().to_pylist())
            parts.append(mine.select(columns))
        kept = pa.schema([file.schema_arrow.field(name) for name in columns])
    if missing := [one for one in splits if one not in seen]:
        raise ValueError(f"{annotations}: no row of split {missing[0]!r}")
    return Rows(pa.Table.from_batches(parts, schema=kept))


def _known(time_s: float) -> float | None:
    return None if np.isnan(time_s) else float(time_s)
