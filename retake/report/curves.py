"""A method's training curves as one table: what `dvc plots` draws (.dvc/plots/curves.json)."""

import csv
from collections.abc import Iterator
from pathlib import Path

from retake.report.page_curves import finite, thinned
from retake.schema.record import Record

COLUMNS = ("training", "name", "seed", "step", "value")
TOTAL = "train/total"  # the loss that is minimised; its parts are drawn in the report
OF_TRAINING = ("variant", "dataset", "stage")


def rows_of(record: Record) -> Iterator[tuple[str, str, str, int, str]]:
    """Points of the loss that is minimised and of every validation score, in the order of steps."""
    said = record.job["wildcards"]
    training = " ".join(said[name] for name in OF_TRAINING)
    validated = dict.fromkeys(m["name"] for m in record.metrics if m["name"].startswith("val/"))
    for name in (TOTAL, *validated):
        for step, value in thinned(finite(record, name)):
            yield training, name, said["seed"], int(step), f"{value:.6g}"


def tabulate_curves(*, records: list[Path], out: Path) -> int:
    """Writes the curves of these trainings' records, in their order; returns the number of points."""
    rows = [row for path in records for row in rows_of(Record.read(path))]
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    return len(rows)
