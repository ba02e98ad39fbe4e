"""Fusion of prediction tables: by item, weighted, nothing left out in silence."""

import numpy as np
import pandas as pd
import pytest

from retake.training.fusion import fuse_predictions


def scores(path, items, values):
    pd.DataFrame({"item_id": items, "scores": values}).to_parquet(path, index=False)
    return str(path)


def test_predictions_are_fused_by_item_not_by_place(tmp_path):
    parts = {
        scores(tmp_path / "a", ["x", "y"], [[1.0, 0.0], [0.0, 1.0]]): 2.0,
        scores(tmp_path / "b", ["y", "x"], [[3.0, 3.0], [6.0, 0.0]]): 1.0,
    }
    for combiner, wanted in (
        ("sum", [[8.0, 0.0], [3.0, 5.0]]),
        ("weighted_mean", [[8 / 3, 0.0], [1.0, 5 / 3]]),
    ):
        fuse_predictions(parts=parts, task="classify", combiner=combiner, out=tmp_path / "out")
        table = pd.read_parquet(tmp_path / "out")
        assert table["item_id"].to_list() == ["x", "y"]
        assert np.stack(table["scores"].to_list()) == pytest.approx(np.array(wanted))


def test_a_part_that_misses_items_is_named_with_them(tmp_path):
    parts = {
        scores(tmp_path / "a", ["x", "y"], [[1.0], [2.0]]): 1.0,
        scores(tmp_path / "b", ["x"], [[1.0]]): 1.0,
    }
    with pytest.raises(ValueError, match=r"b: 1 items are missing that another part has, first \['y'\]"):
        fuse_predictions(parts=parts, task="classify", combiner="sum", out=tmp_path / "out")


def test_a_method_may_bring_a_combiner_and_an_unknown_one_is_named(tmp_path):
    parts = {scores(tmp_path / "a", ["x"], [[1.0]]): 1.0}
    with pytest.raises(ValueError, match="found 'product'"):
        fuse_predictions(parts=parts, task="classify", combiner="product", out=tmp_path / "out")
    own = "retake.training.fusion:weighted_sum"
    fuse_predictions(parts=parts, task="classify", combiner=own, out=tmp_path / "out")
    assert pd.read_parquet(tmp_path / "out")["scores"].to_list()[0].tolist() == [1.0]


def test_pictures_count_twice_as_much_as_motion_and_residuals_each(tmp_path):
    """2 : 1 : 1 of one hot scores: (2a + b + c) / 4, by hand; the second item's motion outvotes nobody."""
    parts = {
        scores(tmp_path / "i", ["x", "y"], [[1.0, 0.0, 0.0], [0.0, 4.0, 0.0]]): 2.0,
        scores(tmp_path / "m", ["y", "x"], [[8.0, 0.0, 0.0], [0.0, 1.0, 0.0]]): 1.0,
        scores(tmp_path / "r", ["x", "y"], [[0.0, 0.0, 1.0], [0.0, 4.0, 0.0]]): 1.0,
    }
    fuse_predictions(parts=parts, task="classify", combiner="weighted_mean", out=tmp_path / "out")
    found = pd.read_parquet(tmp_path / "out").set_index("item_id")["scores"]
    assert found["x"].tolist() == [0.5, 0.25, 0.25]
    assert found["y"].tolist() == [2.0, 3.0, 0.0]


def test_predictions_without_scores_are_not_fused(tmp_path):
    pd.DataFrame({"item_id": ["x"], "text": ["a dog"]}).to_parquet(tmp_path / "a", index=False)
    with pytest.raises(ValueError, match="a: has no scores to fuse"):
        fuse_predictions(
            parts={str(tmp_path / "a"): 1.0}, task="classify", combiner="sum", out=tmp_path / "out"
        )
