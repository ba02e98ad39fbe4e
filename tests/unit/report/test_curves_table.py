"""Training curves as one table a method: which points, of which curves, by which names."""

import csv
import json

import pytest

from retake.report.curves import tabulate_curves
from retake.report.page_curves import POINTS

NAN = float("nan")


def record(folder, metrics, *, variant="v", seed="1"):
    """A training's record with these (name, step, value)."""
    said = {"method": "m", "variant": variant, "dataset": "d", "seed": seed, "stage": "s"}
    rows = [{"kind": "job", "rule": "train_stage", "wildcards": said}]
    rows += [{"kind": "metric", "name": name, "step": step, "value": v} for name, step, v in metrics]
    path = folder / f"{variant}{seed}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def tabulated(tmp_path):
    def made(*records):
        count = tabulate_curves(records=list(records), out=tmp_path / "m.csv")
        with (tmp_path / "m.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == count
        return [(r["training"], r["name"], r["seed"], int(r["step"]), float(r["value"])) for r in rows]

    return made


def test_the_loss_that_is_minimised_and_every_score_have_their_points_in_order(tabulated, tmp_path):
    first = record(tmp_path, [
        ("train/total", 2, 0.5), ("train/words", 2, 0.25), ("train/lr0", 2, 0.1), ("train/items_per_s", 2, 9.0),
        ("val/cider", 2, 0.75), ("train/total", 1, 1.0), ("val/total", 2, 1.5),
    ])  # fmt: skip
    other = record(tmp_path, [("train/total", 1, 3.0)], variant="w", seed="2")
    assert tabulated(first, other) == [
        ("v d s", "train/total", "1", 1, 1.0),
        ("v d s", "train/total", "1", 2, 0.5),
        ("v d s", "val/cider", "1", 2, 75.0),  # as tables print it
        ("v d s", "val/total", "1", 2, 1.5),
        ("w d s", "train/total", "2", 1, 3.0),
    ]


def test_what_is_no_number_is_left_out_and_a_training_without_a_point_has_no_row(tabulated, tmp_path):
    some = record(tmp_path, [("train/total", 1, NAN), ("train/total", 2, 2.0), ("train/diverged", 2, 1.0)])
    assert tabulated(some, record(tmp_path, [], variant="none")) == [("v d s", "train/total", "1", 2, 2.0)]


def test_a_long_curve_is_thinned_and_keeps_its_spike(tabulated, tmp_path):
    long = [("train/total", step, 9.0 if step == 1234 else 1.0) for step in range(5000)]
    rows = tabulated(record(tmp_path, long))
    assert len(rows) <= POINTS
    assert ("v d s", "train/total", "1", 1234, 9.0) in rows
