"""A metrics file: what DVC takes for a metric in it, and where its items lie."""

import json
from pathlib import Path

import pytest

from retake.schema.metrics_file import MetricsFile, items_of

FILE = MetricsFile(
    method="m",
    variant="v",
    dataset="d",
    split="test",
    protocol="p",
    seed=1,
    scale="mini",
    items=3,
    items_of=4,
    digests={"recipe": "ab", "code": "cd"},
    record={"path": "results/mini/records/a: b.jsonl", "digest": "ef"},
    values={"cider": 0.5},
)


def test_where_it_came_from_stands_in_lists_and_comes_back(tmp_path):
    """DVC shows every number and text of a file but those in lists; nobody compares digests."""
    text = FILE.text()
    assert json.loads(text)["digests"] == ["code: cd", "recipe: ab"]
    (tmp_path / "f.json").write_text(text, encoding="utf-8")
    assert MetricsFile.read(tmp_path / "f.json") == FILE == MetricsFile.model_validate_json(text)


def test_items_lie_in_a_folder_of_their_own():
    there = items_of("results/mini/metrics/m/v/d/seed1/p/test.json")
    assert there == Path("results/mini/items/m/v/d/seed1/p/test.parquet")


@pytest.mark.parametrize(
    "path", ["results/mini/items/m/v/d/seed1/p/test.json", "metrics/test.json", "metrics/m/v/d/s/p/t.csv"]
)
def test_another_path_has_no_items(path):
    with pytest.raises(ValueError, match=r"expected .*/metrics/METHOD/"):
        items_of(path)
