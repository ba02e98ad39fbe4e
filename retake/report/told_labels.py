"""What is said of labels, beside what a paper prints of it: rows of a table that no variant stands behind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from retake.report.verdict import verdict
from retake.schema.quality import ROWS, QualityFile, QualityRow, Row
from retake.schema.tasks import METRICS

LABELS: dict[Row, str] = {"asr": "recognised speech", "pseudo": "pseudolabels"}


@dataclass(frozen=True)
class ToldLabels:
    """One row of a quality file, as a table asks for it. `system` is asr or pseudo."""

    system: Row
    file: QualityFile
    metrics: list[str]
    kind: str = "M"

    @property
    def label(self) -> str:
        by = f" of {self.file.labeller}" if self.system == "pseudo" else ""
        return f"{LABELS[self.system]}{by}, {self.file.dataset}"

    @property
    def items(self) -> int:
        return self.file.clips[self.system]

    def value(self, metric: str) -> float | None:
        """In the metric's unit; None where nobody judged it, or where it is not said of this row."""
        value = self.file.values[self.system].get(metric)
        return None if value is None else value * METRICS[metric].scale

    def scale(self, scale: str) -> str:
        return scale

    def note(self, metric: str) -> str:
        if self.file.judged_by == "nobody" and self.value(metric) is None:
            return f"nobody judged the labels: config.yaml, judgements.{self.file.dataset}, names a CSV"
        notes = [f"judged by {self.file.judged_by}"] if self.value(metric) is not None else []
        if metric == "label_gain" and self.system in self.file.gains:
            gain = self.file.gains[self.system]
            notes.append(f"95% interval {gain.low * 100:.1f} to {gain.high * 100:.1f}")
        return "; ".join(notes)

    def word(self, metric: str, reported: float | None, tolerance: float | None) -> str:
        value = self.value(metric)
        if value is None:
            return "not judged" if self.file.judged_by == "nobody" else "none"
        if reported is None and self.file.scale == "paper":
            return "no verdict: no number in the paper"
        return verdict(reported or 0.0, [value], tolerance=tolerance, scale=self.file.scale)


def read_qualities(paths: Sequence[Path], scale: str) -> dict[tuple[str, str], QualityFile]:
    """Files by labeller and data set. Raises ValueError on another scale's, or on one that stands twice."""
    found: dict[tuple[str, str], QualityFile] = {}
    for path in paths:
        file = QualityFile.read(path)
        if file.scale != scale:
            raise ValueError(f"{path}: is of {file.scale} scale; expected {scale}")
        if (file.labeller, file.dataset) in found:
            raise ValueError(f"{path}: labels of {file.dataset} by {file.labeller} stand twice")
        found[file.labeller, file.dataset] = file
    return found


def told_labels(rows: list[QualityRow], files: Mapping[tuple[str, str], QualityFile]) -> list[ToldLabels]:
    """Two a row, speech first. Raises ValueError where a file is missing, or where none asks for one."""
    found = []
    for row in rows:
        if (row.labeller, row.dataset) not in files:
            raise ValueError(f"labels: no file of {row.labeller} on {row.dataset}")
        found += [ToldLabels(name, files[row.labeller, row.dataset], list(row.metrics)) for name in ROWS]
    if unused := sorted(set(files) - {(row.labeller, row.dataset) for row in rows}):
        raise ValueError(f"labels of {unused[0][1]} by {unused[0][0]}: no row of the table asks for them")
    return found
