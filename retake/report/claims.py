"""Claims of a paper, judged by what was measured.

A claim says that variant a is higher (or lower) than variant b, or than a number the paper quotes, in one
metric. It holds when the 95% interval of a paired bootstrap lies on its side of zero, is contradicted when
the interval lies on the other side, and is undecided when the interval has zero in it.
"""

import csv
import hashlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from retake.report.bootstrap import Interval, bleu4_of, mean_of, meteor_of, paired_bootstrap, seed_bootstrap
from retake.report.measured import Key, Measured, read_measured
from retake.report.reported import Reported, number, read_csv, read_reported
from retake.report.verdict import in_unit
from retake.schema.tasks import METRICS

COLUMNS = [
    *("id", "where", "statement", "metric", "a", "b", "dataset", "split", "protocol", "direction"),
    *("size", "unit"),
]
DIRECTIONS = ("higher", "lower")
MINI = "mini scale: speaks of the mechanism on the mini world, not of the paper's numbers"
SUMS = {
    "bleu4": bleu4_of,
    "meteor": meteor_of,
}  # metrics that are made of <metric>_statistics; facts_* are shares


@dataclass
class Judged:
    """One line of the result: the claim, and what was found. difference, low and high are a - b in unit."""

    method: str
    id: str
    where: str
    statement: str
    metric: str
    a: str
    b: str
    dataset: str
    split: str
    protocol: str
    direction: str
    size: float | None
    unit: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    seeds: int = 0
    items: int | None = None
    verdict: str = "not run"
    scale: str = ""
    note: str = ""


def read_claims(path: Path) -> list[dict]:
    """Every claim, in the file's order; size is None where the paper gives none.

    Raises ValueError with file and line: unknown metric or direction, an id that stands twice, an empty
    cell, a size that points the other way.
    """
    rows, seen = [], set()
    for line, row in enumerate(read_csv(path, COLUMNS), 2):
        place = f"{path}: line {line}"
        if empty := [name for name in COLUMNS if not row[name] and name != "size"]:
            raise ValueError(f"{place}: {empty[0]} is empty")
        if row["id"] in seen:
            raise ValueError(f"{place}: id {row['id']!r} stands twice")
        if row["metric"] not in METRICS:
            raise ValueError(f"{place}: no metric {row['metric']!r}; have {', '.join(METRICS)}")
        if row["direction"] not in DIRECTIONS:
            raise ValueError(f"{place}: direction {row['direction']!r}: expected {' or '.join(DIRECTIONS)}")
        size = number(row["size"], f"{place}: size")
        if size is not None and (size < 0) != (row["direction"] == "lower"):
            raise ValueError(f"{place}: size {size:g} (a - b) does not point {row['direction']}")
        in_unit(0.0, row["metric"], row["unit"])
        seen.add(row["id"])
        rows.append(row | {"size": size})
    return rows


def judge(direction: str, interval: Interval) -> str:
    """holds | contradicted | undecided; an interval that touches zero, or none, decides nothing."""
    if interval.low is None or interval.high is None or interval.low <= 0 <= interval.high:
        return "undecided"
    return "holds" if (interval.low > 0) == (direction == "higher") else "contradicted"


def _statistics(metric: str, table: pd.DataFrame) -> np.ndarray | None:
    """(items, statistics) whose sums make `metric`, or None where the metric does not decompose."""
    if f"{metric}_statistics" in table:
        return np.stack(table[f"{metric}_statistics"].to_numpy()).astype(np.float64)
    if metric in table:
        values = table[metric].to_numpy(dtype=np.float64)
        return np.stack([values, np.ones_like(values)], axis=1)
    return None


def _items_of(run: Measured, seeds: list[int]) -> list[pd.DataFrame]:
    """The items table beside each seed's metrics file, by item_id."""
    tables = [pd.read_parquet(run.paths[seed].with_suffix(".items.parquet")) for seed in seeds]
    return [table.set_index("item_id").sort_index() for table in tables]


def _stacked(metric: str, sides: list[list[pd.DataFrame]]) -> tuple[list[np.ndarray], int, int] | None:
    """(seeds, items, statistics) a side, of the items that all have; the number of those, and of the longest.

    None where the metric does not decompose over items.
    """
    tables = [table for side in sides for table in side]
    common = tables[0].index
    for table in tables[1:]:
        common = common.intersection(table.index)
    common = common.sort_values()
    if not len(common):
        raise ValueError(f"{metric}: the runs have no item in common")
    stacks = []
    for side in sides:
        parts = [_statistics(metric, table.loc[common]) for table in side]
        stacks.append([part for part in parts if part is not None])
        if len(stacks[-1]) < len(parts):
            return None
    return [np.stack(stack) for stack in stacks], len(common), max(len(table) for table in tables)


@dataclass(frozen=True)
class Sides:
    """What a claim compares: runs of a, and runs of b or a printed number (stored unit)."""

    a: Measured
    b: Measured | float
    seeds: list[int]

    @property
    def runs(self) -> list[Measured]:
        return [self.a, self.b] if isinstance(self.b, Measured) else [self.a]

    def right(self, arrays: list[np.ndarray]) -> np.ndarray | float:
        """b as the bootstrap takes it, where `arrays` were made of `runs`."""
        return arrays[1] if isinstance(self.b, Measured) else self.b


def _compared(claim: dict, sides: Sides) -> tuple[Interval, int, list[str]]:
    """The interval of a - b (stored unit), the number of items, and notes."""
    metric, seeds = claim["metric"], sides.seeds
    seed = hashlib.sha256(claim["id"].encode()).digest()
    rng = np.random.default_rng(int.from_bytes(seed[:8], "big"))
    stacked = _stacked(metric, [_items_of(run, seeds) for run in sides.runs])
    if stacked is None:
        values = [np.array(run.values(metric, seeds)) for run in sides.runs]
        interval = seed_bootstrap(values[0], sides.right(values), rng=rng)
        notes = ["bootstrap over seeds only: the metric does not decompose over items"]
        return interval, sides.a.files[seeds[0]].items, notes
    arrays, num_items, at_most = stacked
    notes = [] if num_items == at_most else [f"the {num_items} items that every run scored, of {at_most}"]
    interval = paired_bootstrap(arrays[0], sides.right(arrays), SUMS.get(metric, mean_of), rng=rng)
    return interval, num_items, notes


def _quoted(claim: dict, reported: list[Reported]) -> Reported | None:
    place = (claim["b"], claim["dataset"], claim["split"], claim["metric"])
    for cell in reported:
        if (cell.variant, cell.dataset, cell.split, cell.metric) == place and cell.kind == "Q":
            return cell
    return None


def _sides(claim: dict, runs: dict[Key, Measured], reported: list[Reported], scale: str) -> Sides | str:
    """What the claim compares, or why it cannot be judged."""
    a, b = (runs.get((claim[side], claim["dataset"], claim["split"], claim["protocol"])) for side in "ab")
    quoted = _quoted(claim, reported)
    if quoted and scale == "mini":
        return "b is a number that the paper quotes: compared at paper scale only"
    if quoted and (quoted.value is None or quoted.unit != claim["unit"]):
        raise ValueError(f"claim {claim['id']}: {quoted.where} gives no number in {claim['unit']}")
    if a is None or (b is None and quoted is None):
        return f"no metrics of {claim['a'] if a is None else claim['b']}"
    if quoted and quoted.value is not None:
        return Sides(a, quoted.value / in_unit(1.0, claim["metric"], claim["unit"]), sorted(a.files))
    assert b is not None
    seeds = sorted(a.files.keys() & b.files.keys())
    return Sides(a, b, seeds) if seeds else "a and b have no seed in common"


def _judged(claim: dict, runs: dict[Key, Measured], reported: list[Reported], base: Judged) -> Judged:
    """`base` with what was found."""
    sides = _sides(claim, runs, reported, base.scale)
    if isinstance(sides, str):
        base.note = sides
        return base
    interval, base.items, notes = _compared(claim, sides)
    scale = in_unit(1.0, claim["metric"], claim["unit"])
    values = (interval.difference, interval.low, interval.high)
    base.difference, base.low, base.high = (None if value is None else value * scale for value in values)
    base.seeds, base.verdict = len(sides.seeds), judge(claim["direction"], interval)
    if base.seeds == 1:
        notes.append("one seed: the spread over seeds is not known")
    base.note = "; ".join([MINI] * (base.scale == "mini") + notes)
    return base


def _write(path: Path, rows: list[dict]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Judged)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def judge_claims(
    *, method: str, claims: Path, metrics_files: list[Path], reported: Path, scale: str, out: Path
) -> list[Judged]:
    """Judge every claim of `claims` by metrics files and the items table beside each; write `out`.

    Seeds and items are drawn together and for both variants alike, 2,000 times, with a generator fixed by
    the claim's id; over seeds only where the metric does not decompose. A claim whose runs are not there is
    "not run".
    """
    runs = read_measured(metrics_files, method=method, scale=scale)
    printed = read_reported(reported)
    judged = [
        _judged(row, runs, printed, Judged(method=method, scale=scale, **row)) for row in read_claims(claims)
    ]
    _write(out, [{k: "" if v is None else v for k, v in asdict(row).items()} for row in judged])
    return judged


def collect_claims(*, parts: list[Path], out: Path) -> int:
    """All methods' judged claims in one file, in the order of `parts`; returns how many.

    Raises ValueError on a file with other columns, or a claim that stands twice.
    """
    rows = [row for part in parts for row in read_csv(part, [f.name for f in fields(Judged)])]
    seen: set[tuple[str, str]] = set()
    for row in rows:
        if (row["method"], row["id"]) in seen:
            raise ValueError(f"claim {row['id']!r} of {row['method']} stands twice")
        seen.add((row["method"], row["id"]))
    _write(out, rows)
    return len(rows)
