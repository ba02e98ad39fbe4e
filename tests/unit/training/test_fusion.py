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


def test_answers_about_boxes_are_joined_by_item_and_box(tmp_path):
    """Two boxes of one item change places; the third is drawn twice and its scores meet in order."""
    one, two, same = [0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.9, 0.9], [0.0, 0.0, 1.0, 1.0]
    rows = {
        "a": [("x", one, [1.0]), ("x", two, [2.0]), ("y", same, [3.0]), ("y", same, [5.0])],
        "b": [("y", same, [30.0]), ("x", two, [20.0]), ("y", same, [50.0]), ("x", one, [10.0])],
    }
    parts = {}
    for name, answers in rows.items():
        table = pd.DataFrame(answers, columns=["item_id", "box_xyxy", "scores"])
        table.to_parquet(tmp_path / name, index=False)
        parts[str(tmp_path / name)] = 1.0
    fuse_predictions(parts=parts, task="detect", combiner="sum", out=tmp_path / "out")
    found = pd.read_parquet(tmp_path / "out")
    assert found["item_id"].to_list() == ["x", "x", "y", "y"]
    assert [list(box) for box in found["box_xyxy"]] == [one, two, same, same]
    assert [list(scores) for scores in found["scores"]] == [[11.0], [22.0], [33.0], [55.0]]
    table.iloc[1:].to_parquet(tmp_path / "b", index=False)
    with pytest.raises(ValueError, match="b: 1 items are missing that another part has"):
        fuse_predictions(parts=parts, task="detect", combiner="sum", out=tmp_path / "out")


def test_parts_that_score_other_classes_are_named(tmp_path):
    parts = {
        scores(tmp_path / "a", ["x"], [[1.0, 2.0]]): 1.0,
        scores(tmp_path / "b", ["x"], [[1.0, 2.0, 3.0]]): 1.0,
    }
    with pytest.raises(ValueError, match="b: scores 3 classes; another part 2"):
        fuse_predictions(parts=parts, task="classify", combiner="sum", out=tmp_path / "out")


def test_tables_without_one_prediction_are_named(tmp_path):
    parts = {scores(tmp_path / "a", [], []): 1.0}
    with pytest.raises(ValueError, match="a: has no predictions to fuse"):
        fuse_predictions(parts=parts, task="classify", combiner="sum", out=tmp_path / "out")


def told(path, rows):
    """An annotation table of (split, labels, name)."""
    table = pd.DataFrame(rows, columns=["split", "labels", "text_out"])
    table.assign(ref_id=[f"r{n}" for n in range(len(rows))]).to_parquet(path, index=False)
    return path


def kept(scores, weights, context):
    """A combiner that shows what it was told: one class more than the first part has."""
    kept.told = (scores, weights, context)  # type: ignore[attr-defined]
    return np.zeros((len(scores[0]), scores[0].shape[1] + 1))


def test_a_combiner_of_parts_is_told_their_classes_and_how_often_each_was_trained_on(tmp_path):
    parts = {
        scores(tmp_path / "a", ["x", "y"], [[0.5, 0.5], [1.0, 0.0]]): 1.0,
        scores(tmp_path / "b", ["y", "x"], [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]): 2.0,
    }
    asked = [
        ("train", [1], "take tap"),
        ("train", [1], "take tap"),
        ("val", [1], "take tap"),
        ("val", [0], "put"),
    ]
    annotations = [
        told(tmp_path / "asked", [*asked, ("test_s1", None, None)]),
        told(tmp_path / "of_a", [("train", [1], "take")]),
        told(tmp_path / "of_b", [("train", [2], "tap"), ("val", [0], "pan")]),
    ]
    fuse_predictions(
        parts=parts,
        task="classify",
        combiner=f"{__name__}:kept",
        out=tmp_path / "out",
        annotations=annotations,
    )
    by_part, weights, context = kept.told  # type: ignore[attr-defined]
    assert [part.tolist() for part in by_part] == [
        [[0.5, 0.5], [1.0, 0.0]],
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]],
    ]
    assert weights.tolist() == [1.0, 2.0]
    assert (context.asked.names, context.asked.counts) == ({1: "take tap", 0: "put"}, {1: 2})
    assert [one.names for one in context.parts] == [{1: "take"}, {2: "tap", 0: "pan"}]
    assert pd.read_parquet(tmp_path / "out")["scores"].map(len).tolist() == [3, 3]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("train", [0, 1], "two")], r"asked: r0: \[0, 1\] 'two'; expected one class and its name"),
        ([("train", [0], None)], r"asked: r0: \[0\] None; expected one class"),
        ([("train", [0], "a"), ("val", [0], "b")], "asked: r1: class 0 is 'b', before it was 'a'"),
    ],
)
def test_classes_that_a_table_does_not_tell_are_errors(tmp_path, rows, said):
    parts = {scores(tmp_path / "a", ["x"], [[1.0]]): 1.0}
    with pytest.raises(ValueError, match=said):
        fuse_predictions(
            parts=parts, task="classify", combiner=f"{__name__}:kept", out=tmp_path / "out",
            annotations=[told(tmp_path / "asked", rows), told(tmp_path / "of_a", [("train", [0], "a")])],
        )  # fmt: skip
