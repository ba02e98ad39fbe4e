"""What the rows of an annotation table and of an index take in memory, beside the same rows as dictionaries.

    python benchmarks/rows.py [--rows 300000] [--drawn 5000]

A table of captions, 30 clips a video, and an index of as many clips with 16 times each are written to a folder. Each
way reads them in a process of its own, keeps all rows of the split, and gives `--drawn` of them at random.
ours   retake/data/rows.py and array_index.py: Arrow's columns, a dictionary for each row that is asked for
peer   pyarrow's Table.to_pylist, filtered: a list of dictionaries, of the index by video
Printed: megabytes held and at the peak above those of the imports, bytes a row, processor time of reading and of a
row that is drawn, and the ratio of what is held.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from retake.data.annotations import write_table
from retake.data.array_index import Arrays, table_of
from retake.data.rows import COLUMNS, read_rows
from retake.schema.annotations import checked

CLIPS = 30  # of a video
TIMES = 16  # of a clip
BLOCK = 50_000  # index rows made at one time


def write(folder: Path, count: int) -> None:
    number = np.arange(count)
    video = [f"vid{n // CLIPS:09d}" for n in number]
    table = pd.DataFrame(
        {"video_id": video, "start_s": number % CLIPS * 8.0, "end_s": number % CLIPS * 8.0 + 8}
    )
    table["item_id"] = table["ref_id"] = table["video_id"] + "@" + (number % CLIPS).astype(str)
    table["text_out"] = [f"somebody puts the red box no. {n % 977} on top of a green one" for n in number]
    whole = table.assign(dataset="x", split="train", origin="a labeller", task="caption")
    write_table(checked(whole), folder / "annotations.parquet")
    parts = [
        table_of([
            {"video_id": video[n], "start_s": n % CLIPS * 8.0, "end_s": n % CLIPS * 8.0 + 8, "array": "a.npy",
             "row": n * TIMES, "num_rows": TIMES, "times_s": list(np.arange(TIMES) / 2.0), "width": 64, "height": 64}
            for n in range(first, min(first + BLOCK, count))
        ])
        for first in range(0, count, BLOCK)
    ]  # fmt: skip
    with pq.ParquetWriter(folder / "index.parquet", parts[0].schema) as writer:
        for part in parts:
            writer.write_table(part)


def ours(folder: Path) -> tuple[Any, Callable[[int], Any]]:
    rows, arrays = read_rows(folder / "annotations.parquet", "train"), Arrays(folder / "index.parquet")
    return (rows, arrays), lambda n: arrays.segment(rows[n]["video_id"], rows[n]["start_s"])


def peer(folder: Path) -> tuple[Any, Callable[[int], Any]]:
    table = pq.read_table(folder / "annotations.parquet", columns=[*COLUMNS, "split"])
    rows = [row for row in table.to_pylist() if row["split"] == "train"]
    held: dict[str, dict[float, dict]] = {}
    for row in pq.read_table(folder / "index.parquet").to_pylist():
        held.setdefault(row["video_id"], {})[row["start_s"]] = row
    return (rows, held), lambda n: held[rows[n]["video_id"]][rows[n]["start_s"]]


def resident_mb() -> float:
    said = Path("/proc/self/status").read_text().split("VmRSS:")[1]
    return int(said.split()[0]) / 1024


def measured(way: str, folder: Path, drawn: int) -> dict[str, float]:
    before, begun = resident_mb(), time.process_time()
    held, drawing = {"ours": ours, "peer": peer}[way](folder)
    read, now = time.process_time() - begun, resident_mb()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    numbers = random.Random(0).choices(range(len(held[0])), k=drawn)
    begun = time.process_time()
    for number in numbers:
        drawing(number)
    row_us = (time.process_time() - begun) / drawn * 1e6
    return {"held_mb": now - before, "peak_mb": peak - before, "read_s": read, "row_us": row_us}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--drawn", type=int, default=5000)
    parser.add_argument("--way", choices=["ours", "peer"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        sys.stdout.write(json.dumps(measured(given.way, given.folder, given.drawn)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        write(Path(scratch), given.rows)
        found = {}
        for way in ("ours", "peer"):
            command = [
                sys.executable,
                __file__,
                "--way",
                way,
                "--folder",
                scratch,
                "--drawn",
                str(given.drawn),
            ]
            found[way] = json.loads(
                subprocess.run(command, check=True, capture_output=True, text=True).stdout
            )
            line = found[way]
            each = line["held_mb"] * 2**20 / given.rows
            sys.stdout.write(
                f"{way}  held {line['held_mb']:.0f} MB ({each:.0f} bytes a row), peak {line['peak_mb']:.0f} MB, "
                f"read in {line['read_s']:.1f} s, a row {line['row_us']:.0f} us\n"
            )
    sys.stdout.write(f"held, ours over peer: {found['ours']['held_mb'] / found['peer']['held_mb']:.3f}\n")


if __name__ == "__main__":
    main()
