"""Claims of a paper, judged by what was measured.

A claim says that variant a is higher (or lower) than variant b, or than a number the paper quotes, in one
metric. It holds when the 95% interval of a paired bootstrap lies on its side of zero, is contradicted when
the interval lies on the other side, and is undecided when the interval has zero in it.
"""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from retake.report.bootstrap import Interval, bleu4_of, mean_bootstrap, mean_of, meteor_of, seed_bootstrap
from retake.report.measured import Gain, Key, Measured, read_measured, runs_of
from retake.report.reported import Reported, number, read_csv, read_reported
from retake.report.told_costs import read_costs
from retake.report.told_labels import read_qualities
from retake.report.verdict import in_unit
from retake.schema.costs import COUNTED, TIMED, CostFile
from retake.schema.metrics_file import items_of
from retake.schema.quality import OF_LABELS, QualityFile
from retake.schema.tasks import METRICS, TRAINED, TRAINING

COLUMNS = [
    *("id", "where", "statement", "metric", "a", "b", "dataset", "split", "protocol", "direction"),
    *("size", "unit"),
]
OF_DATA = ("dataset", "split", "protocol")  # what a cost does not have
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
        of_cost = row["metric"] in (*COUNTED, *TIMED)
        if row["metric"] in TIMED:
            raise ValueError(
                f"{place}: {row['metric']} differs from run to run; only counted costs are judged"
            )
        if said := [name for name in OF_DATA if of_cost and row[name]]:
            raise ValueError(f"{place}: {said[0]}: a cost has none, not {row[said[0]]!r}")
        may_be_empty = {"size", *(OF_DATA if of_cost else OF_DATA[1:] if row["metric"] in OF_LABELS else ())}
        may_be_empty |= {"unit"} if row["metric"] in METRICS and not METRICS[row["metric"]].unit else set()
        if empty := [name for name in COLUMNS if not row[name] and name not in may_be_empty]:
            raise ValueError(f"{place}: {empty[0]} is empty")
        if row["id"] in seen:
            raise ValueError(f"{place}: id {row['id']!r} stands twice")
        if row["metric"] not in METRICS:
            raise ValueError(f"{place}: no metric {row['metric']!r}; have {', '.join(METRICS)}")
        if (row["metric"] in TRAINED) != (row["protocol"] == TRAINING):
            raise ValueError(f"{place}: {row['metric']} is not of protocol {row['protocol']!r}")
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
    """The items table of each seed's metrics file, by item_id."""
    tables = [pd.read_parquet(items_of(run.paths[seed])) for seed in seeds]
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
class Runs:
    """Everything that was measured, and which data sets a name stands for."""

    measured: dict[Key, Measured]
    means: Mapping[str, list[str]]

    def of(self, *key: str) -> Gain | None:
        """The runs of a variant on a data set, or on all those of a mean; None where one of them is not there."""
        found = runs_of((key[0], key[1], key[2], key[3]), self.means, self.measured)
        return Gain(found) if all(run.files for run in found) else None


@dataclass(frozen=True)
class Sides:
    """What a claim compares: runs of a, one a data set, and runs of b or a printed number (stored unit)."""

    a: Gain
    b: Gain | float
    seeds: list[int]

    def pairs(self) -> list[list[Measured]]:
        """Of each data set the run of a, and that of b where it was run."""
        other = [[run] for run in self.b.runs] if isinstance(self.b, Gain) else [[] for _ in self.a.runs]
        return [[run, *beside] for run, beside in zip(self.a.runs, other, strict=True)]

    def right(self, arrays: list[np.ndarray]) -> np.ndarray | float:
        """b as the bootstrap takes it, where `arrays` were made of a pair."""
        return arrays[1] if isinstance(self.b, Gain) else self.b


def _over_seeds(metric: str, sides: Sides, rng: np.random.Generator) -> Interval:
    """The interval of a - b where only seeds are drawn."""
    values = [
        np.array(side.values(metric, sides.seeds)) for side in (sides.a, sides.b) if isinstance(side, Gain)
    ]
    return seed_bootstrap(values[0], sides.right(values), rng=rng)


def _compared(claim: dict, sides: Sides) -> tuple[Interval, int | None, list[str]]:
    """The interval of a - b (stored unit), the number of items (None: it is of trainings), and notes."""
    metric, seeds = claim["metric"], sides.seeds
    seed = hashlib.sha256(claim["id"].encode()).digest()
    rng = np.random.default_rng(int.from_bytes(seed[:8], "big"))
    if metric in TRAINED:
        why = "a training has no items"
        return _over_seeds(metric, sides, rng), None, [f"bootstrap over seeds only: {why}"]
    stacked = [_stacked(metric, [_items_of(run, seeds) for run in pair]) for pair in sides.pairs()]
    whole = [one for one in stacked if one is not None]
    if len(whole) < len(stacked):
        why = "the metric does not decompose over items"
        num_items = sides.a.items(seeds)[0] or 0
        return _over_seeds(metric, sides, rng), num_items, [f"bootstrap over seeds only: {why}"]
    num_items, at_most = (sum(counts) for counts in zip(*(one[1:] for one in whole), strict=True))
    notes = [] if num_items == at_most else [f"the {num_items} items that every run scored, of {at_most}"]
    parts = [(arrays[0], sides.right(arrays)) for arrays, _, _ in whole]
    interval = mean_bootstrap(parts, SUMS.get(metric, mean_of), rng=rng)
    return interval, num_items, notes


def _quoted(claim: dict, reported: list[Reported]) -> Reported | None:
    place = (claim["b"], claim["dataset"], claim["split"], claim["metric"])
    for cell in reported:
        if (cell.variant, cell.dataset, cell.split, cell.metric) == place and cell.kind == "Q":
            return cell
    return None


def _sides(claim: dict, runs: Runs, reported: list[Reported], scale: str) -> Sides | str:
    """What the claim compares, or why it cannot be judged."""
    a, b = (runs.of(claim[side], claim["dataset"], claim["split"], claim["protocol"]) for side in "ab")
    quoted = _quoted(claim, reported)
    if quoted and scale == "mini":
        return "b is a number that the paper quotes: compared at paper scale only"
    if quoted and (quoted.value is None or quoted.unit != claim["unit"]):
        raise ValueError(f"claim {claim['id']}: {quoted.where} gives no number in {claim['unit']}")
    if a is None or (b is None and quoted is None):
        return f"no metrics of {claim['a'] if a is None else claim['b']}"
    if quoted and quoted.value is not None:
        return Sides(a, quoted.value / in_unit(1.0, claim["metric"], claim["unit"]), a.seeds(a.every_seed()))
    assert b is not None
    seeds = a.seeds(b.seeds(a.every_seed()))
    return Sides(a, b, seeds) if seeds else "a and b have no seed in common"


def _counted(claim: dict, files: Mapping[str, CostFile], base: Judged) -> Judged:
    """`base` with what was counted: there is no spread, and the networks are the paper's at any scale."""
    values = {}
    for file in (one for one in files.values() if not one.timed):
        values |= {name: of[claim["metric"]] for name, of in file.values.items() if claim["metric"] in of}
    if missing := [claim[side] for side in "ab" if claim[side] not in values]:
        base.note = f"no cost of {missing[0]}"
        return base
    difference = values[claim["a"]] - values[claim["b"]]
    base.difference = base.low = base.high = difference
    base.verdict, base.scale = (
        judge(claim["direction"], Interval(difference, difference, difference)),
        "paper",
    )
    base.note = "counted from the networks at the paper's size"
    return base


def _labelled(claim: dict, files: Mapping[tuple[str, str], QualityFile], base: Judged) -> Judged:
    """`base` with what was found of labels; the claim's a and b are rows of the file of its data set."""
    here = [file for (_, dataset), file in files.items() if dataset == claim["dataset"]]
    known = [file for file in here if claim["metric"] in file.differences]
    if len(known) != 1 or {claim["a"], claim["b"]} != {"asr", "pseudo"}:
        lacks = f"{claim['metric']} of them has no interval" if any(file.differences for file in here) else ""
        base.note = (lacks or "nobody judged the labels") if here else f"no labels of {claim['dataset']}"
        return base
    found, scale = known[0].differences[claim["metric"]], in_unit(1.0, claim["metric"], claim["unit"])
    values = (found.value, found.low, found.high)
    if claim["a"] == "asr":
        values = (-found.value, -found.high, -found.low)
    base.difference, base.low, base.high = (value * scale for value in values)
    base.verdict, base.items = judge(claim["direction"], Interval(*values)), known[0].clips["pseudo"]
    notes = [MINI] * (base.scale == "mini")
    base.note = "; ".join([*notes, f"judged by {known[0].judged_by}; videos drawn anew"])
    return base


def _judged(
    claim: dict, runs: Runs, reported: list[Reported], files: tuple[Mapping, Mapping], base: Judged
) -> Judged:
    """`base` with what was found. files: of costs, and of the quality of labels."""
    if claim["metric"] in COUNTED:
        return _counted(claim, files[0], base)
    if claim["metric"] in OF_LABELS:
        return _labelled(claim, files[1], base)
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
    *,
    method: str,
    claims: Path,
    metrics_files: list[Path],
    reported: Path,
    scale: str,
    out: Path,
    means: Mapping[str, list[str]] = MappingProxyType({}),
    cost_files: Sequence[Path] = (),
    quality_files: Sequence[Path] = (),
) -> list[Judged]:
    """Judge every claim of `claims` by metrics files and the items table of each; write `out`.

    means says of which data sets a claim's data set is the mean.
    Seeds and items are drawn together and for both variants alike, 2,000 times, with a generator fixed by
    the claim's id; over seeds only where the metric does not decompose. A claim whose runs are not there is
    "not run". A claim about a counted cost is judged by the cost files, which have no spread; one about labels
    (a and b are asr and pseudo) by the file of their quality, which has the interval.
    """
    runs = Runs(read_measured(metrics_files, method=method, scale=scale), means)
    printed = read_reported(reported)
    files = (read_costs(cost_files, method), read_qualities(quality_files, scale))
    judged = [
        _judged(row, runs, printed, files, Judged(method=method, scale=scale, **row))
        for row in read_claims(claims)
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
