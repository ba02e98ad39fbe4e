"""What was measured: metrics files, found by what they are of."""

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
