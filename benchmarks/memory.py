"""How many windows of a bank are read in a minute, beside a dictionary of arrays that is put together in Python.

    python benchmarks/memory.py [--seconds 60] [--per-step 5] [--width 2048] [--windows 500] [--videos 4]

A bank of 15-minute videos with 0 to 8 rows a second is written to a folder and read once, so that its file is warm.
Both ways then read the same windows, drawn as in training, on one core, in turns of 50; both give (M, C) float16.
ours   retake/data/memory.py: the window as one slice of a memory map
peer   what the published code does: {video: {second: [row, ...]}} in memory; the rows of each second are shuffled and
       put into an array of zeros one by one
Printed: windows a minute of each, by the clock and in processor time (on a busy machine only the latter means
anything), and the ratio. Target: 20,000 a minute.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from retake.data.array_index import table_of
from retake.data.memory import Memory
from retake.data.row_index import EVERY_S, MADE_OF

LENGTH_S = 900
MOST = 8  # rows of a second
TURN = 50
Window = Callable[[str, float], np.ndarray]


def write_bank(folder: Path, videos: int, width: int) -> Path:
    rng = np.random.default_rng(0)
    rows, at = [], 0
    for video in range(videos):
        for second, count in enumerate(rng.integers(0, MOST + 1, LENGTH_S).tolist()):
            place = {"array": "features.npy", "row": at, "num_rows": count}
            rows.append({"video_id": f"v{video}", "start_s": float(second), **place})
            at += count
    np.save(folder / "features.npy", rng.standard_normal((at, width), dtype=np.float32).astype(np.float16))
    said = {MADE_OF: json.dumps({}), EVERY_S: "1.0"}
    pq.write_table(table_of(rows).replace_schema_metadata(said), folder / "index.parquet")
    return folder / "index.parquet"


def peer_of(index: Path, seconds: int, per_step: int, width: int) -> Window:
    """The dictionary, and how a window is put together from it."""
    array, held = np.load(index.parent / "features.npy"), {}
    for row in pq.read_table(index).to_pylist():
        part = array[row["row"] : row["row"] + row["num_rows"]]
        held.setdefault(row["video_id"], {})[int(row["start_s"])] = list(part)
    draw = random.Random(0)

    def window(video_id: str, at_s: float) -> np.ndarray:
        found = np.zeros((seconds * per_step, width), np.float16)
        for n, second in enumerate(range(int(at_s) - seconds // 2, int(at_s) - seconds // 2 + seconds)):
            rows = list(held[video_id].get(second, ()))
            draw.shuffle(rows)
            for k, row in enumerate(rows[:per_step]):
                found[n * per_step + k] = row
        return found

    return window


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sizes = (("seconds", 60), ("per-step", 5), ("width", 2048), ("windows", 500), ("videos", 4))
    for name, default in sizes:
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        index = write_bank(Path(folder), given.videos, given.width)
        memory, rng = Memory(index), np.random.default_rng(0)
        asked = {"window_s": float(given.seconds), "per_step": given.per_step, "direction": "both"}
        ways: dict[str, Window] = {
            "ours": lambda video_id, at_s: memory.window(video_id, at_s, **asked, rng=rng)[0],
            "peer": peer_of(index, given.seconds, given.per_step, given.width),
        }
        places = [(f"v{n % given.videos}", float(n * 7919 % LENGTH_S)) for n in range(given.windows)]
        for window in ways.values():  # not counted
            for place in places[:TURN]:
                window(*place)
        spent = {name: [0.0, 0.0] for name in ways}
        for first in range(0, given.windows, TURN):
            for name, window in ways.items():
                clock, own = time.perf_counter(), time.process_time()
                for place in places[first : first + TURN]:
                    window(*place)
                spent[name][0] += time.perf_counter() - clock
                spent[name][1] += time.process_time() - own
    say = sys.stdout.write
    say(f"windows of {given.seconds} s x {given.per_step} x {given.width} float16, {given.windows} of each\n")
    for name, times in spent.items():
        clock, own = (round(60 * given.windows / seconds) for seconds in times)
        say(f"{name}  {clock:>9,} a minute by the clock, {own:>9,} in processor time\n")
    ratios = [peer / ours for peer, ours in zip(spent["peer"], spent["ours"], strict=True)]
    say(f"ours / peer: {ratios[0]:.1f} by the clock, {ratios[1]:.1f} in processor time\n")


if __name__ == "__main__":
    main()
