"""What was measured: metrics files, found by what they are of, and what a row of a table makes of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from retake.schema.metrics_file import MetricsFile

Key = tuple[str, str, str, str]  # variant, dataset, split, protocol


@dataclass
class Measured:
    """Metrics files of one row, by seed, and where each lies."""

    files: dict[int, MetricsFile] = field(default_factory=dict)
    paths: dict[int, Path] = field(default_factory=dict)

    def values(self, metric: str, seeds: list[int]) -> list[float]:
        """One value a seed that is there. Raises ValueError naming a file without the metric."""
        found = []
        for seed in (s for s in seeds if s in self.files):
            if metric not in self.files[seed].values:
                raise ValueError(
                    f"{self.paths[seed]}: no value of {metric}; has {sorted(self.files[seed].values)}"
                )
            found.append(self.files[seed].values[metric])
        return found

    def items(self, seeds: list[int]) -> tuple[int | None, int | None]:
        """Items scored, and items there are, of the seeds that are there (one at least); a training has none.

        Raises ValueError, naming the files, where seeds scored different numbers.
        """
        counts = {(self.files[s].items, self.files[s].items_of) for s in seeds if s in self.files}
        if len(counts) > 1:
            paths = ", ".join(str(self.paths[s]) for s in seeds if s in self.paths)
            raise ValueError(f"seeds scored different numbers of items {sorted(counts)}: {paths}")
        return counts.pop()


@dataclass
class Gain:
    """The runs behind one row: of its variant, one a data set, and of the variant that it is a gain over, if any.

    A row's value is the mean over data sets, each counting alike, less that of the other variant, seed by seed.
    """

    runs: list[Measured]
    less: list[Measured] = field(default_factory=list)

    def every_seed(self) -> list[int]:
        """All seeds that any run has."""
        return sorted({seed for run in [*self.runs, *self.less] for seed in run.files})

    def seeds(self, seeds: list[int]) -> list[int]:
        """Those of `seeds` that every run has; without a run none."""
        every = [*self.runs, *self.less]
        return [seed for seed in seeds if every and all(seed in run.files for run in every)]

    def values(self, metric: str, seeds: list[int]) -> list[float]:
        """One value a seed that every run has. Raises ValueError naming a file without the metric."""
        there = self.seeds(seeds)
        means = [
            _mean([run.values(metric, there) for run in side]) for side in (self.runs, self.less) if side
        ]
        return [math.fsum((one, *(-other for other in rest))) for one, *rest in zip(*means, strict=True)]

    def items(self, seeds: list[int]) -> tuple[int | None, int | None]:
        """(items scored, items there are), of all data sets together; None where nothing is known."""
        there = self.seeds(seeds)
        if not there:
            return None, None
        counts = [run.items(there) for run in self.runs]
        scored, of = zip(*counts, strict=True)
        return _sum(scored), _sum(of)


def _sum(counts: Sequence[int | None]) -> int | None:
    """Their sum; None where one is not known."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _mean(sides: list[list[float]]) -> list[float]:
    """Of lists with one value a seed, the mean for each seed."""
    return [math.fsum(values) / len(values) for values in zip(*sides, strict=True)]


def runs_of(key: Key, means: Mapping[str, list[str]], measured: Mapping[Key, Measured]) -> list[Measured]:
    """The runs behind a key whose data set may be a mean: one a data set, in the mean's order; missing ones empty."""
    variant, dataset, split, protocol = key
    places = [(variant, one, split, protocol) for one in means.get(dataset, [dataset])]
    return [measured.get(place, Measured()) for place in places]


def read_measured(paths: list[Path], *, method: str, scale: str) -> dict[Key, Measured]:
    """Metrics files of `method` at `scale`, by variant, data set, split and protocol.

    Raises ValueError that names the file: another method or scale, or a run that stands twice.
    """
    found: dict[Key, Measured] = {}
    for path in paths:
        file = MetricsFile.read(path)
        if (file.method, file.scale) != (method, scale):
            raise ValueError(
                f"{path}: is of {file.method} at {file.scale} scale; expected {method} at {scale}"
            )
        row = found.setdefault((file.variant, file.dataset, file.split, file.protocol), Measured())
        if file.seed in row.files:
            raise ValueError(f"{path}: the same run as {row.paths[file.seed]}")
        row.files[file.seed], row.paths[file.seed] = file, path
    return found
