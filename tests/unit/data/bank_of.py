"""A small bank of rows on disk, whose every row says by its values which it is."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from retake.data.array_index import table_of
from retake.data.row_index import EVERY_S, MADE_OF


def write_bank(
    folder: Path, counts: dict[str, list[int]], *, every_s: float = 1.0, first: int = 0, width: int = 3,
    made_of: dict[str, str] | None = None, dtype: str = "float16",
) -> Path:  # fmt: skip
    """Row n of a bank is (n + 1, n + 1, ...); counts: video -> rows of each of its steps, of which one is `first`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, at = [], 0
    for video_id, of_steps in counts.items():
        for step, count in enumerate(of_steps, first):
            place = {"array": "features.npy", "row": at, "num_rows": count}
            rows.append({"video_id": video_id, "start_s": step * every_s, **place})
            at += count
    np.save(folder / "features.npy", np.repeat(np.arange(1, at + 1)[:, None], width, axis=1).astype(dtype))
    said = {MADE_OF: json.dumps(made_of or {}), EVERY_S: repr(every_s)}
    pq.write_table(table_of(rows).replace_schema_metadata(said), folder / "index.parquet")
    return folder / "index.parquet"


def literal_window(counts, at_s, *, window_s, per_step, direction, every_s=1.0, first=0):
    """What a window holds of one video, step by step and row by row: numbers as `write_bank` writes them, 0 for none.

    counts  rows of each of the video's steps, if it is the bank's only one
    """
    numbers, at = {}, 1
    for step, count in enumerate(counts, first):
        numbers[step] = list(range(at, at + count))
        at += count
    steps, here = round(window_s / every_s), 0
    while (here + 1) * every_s <= at_s + 1e-6:
        here += 1
    begin = here - steps if direction == "past" else here - steps // 2
    found = []
    for step in range(begin, begin + steps):
        row = numbers.get(step, [])[:per_step]
        found += row + [0] * (per_step - len(row))
    return found
