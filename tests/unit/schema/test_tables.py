"""The tables that stages exchange refuse what would be misread later."""

import pandas as pd
import pytest

from retake.schema import annotations, predictions

ROW = {
    "dataset": "d", "split": "train",
    "item_id": "a", "ref_id": "a#0", "video_id": "a", "start_s": 0.0, "origin": "release",
}  # fmt: skip


def table(*changes: dict) -> pd.DataFrame:
    return pd.DataFrame([ROW | change for change in changes])


def test_absent_columns_become_null_and_the_order_is_the_schemas():
    checked = annotations.checked(table({}))
    assert list(checked) == list(annotations.COLUMNS)
    assert checked["text_out"].isna().all()
    assert checked["end_s"].isna().all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"end_s": 0.0, "start_s": 1.0}, "end_s is not after start_s: 1 rows, first 'a#0'"),
        ({"start_s": -1.0}, "start_s is negative"),
        ({"video_id": None}, "video_id is null"),
        ({"colour": "red"}, r"unknown annotation columns \['colour'\]"),
    ],
)
def test_a_broken_row_is_named(change, said):
    with pytest.raises(ValueError, match=said):
        annotations.checked(table(change))


def test_a_reference_that_stands_twice_is_named():
    with pytest.raises(ValueError, match="ref_id is not unique: 1 rows, first 'a#0'"):
        annotations.checked(table({}, {}))


def test_an_item_in_two_splits_is_named():
    with pytest.raises(ValueError, match="item 'a' stands in more than one split"):
        annotations.checked(table({}, {"ref_id": "a#1", "split": "test"}))


def test_an_image_is_a_video_of_no_length():
    assert len(annotations.checked(table({"start_s": 0.0, "end_s": 0.0}))) == 1


def test_predictions_are_sorted_and_keep_further_columns():
    got = predictions.checked(
        pd.DataFrame({"score": [1, 2], "text": ["x", ""], "item_id": ["b", "a"]}), "caption"
    )
    assert list(got) == ["item_id", "text", "score"]
    assert list(got["item_id"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"item_id": ["a"]}, r"miss columns \['text'\]"),
        ({"item_id": ["a"], "text": [None]}, "prediction of item 'a' has no text"),
        ({"item_id": ["a", "a"], "text": ["x", "y"]}, "item 'a' is answered twice"),
    ],
)
def test_a_broken_prediction_is_named(rows, said):
    with pytest.raises(ValueError, match=said):
        predictions.checked(pd.DataFrame(rows), "caption")


def test_an_item_may_have_several_candidates_in_retrieval():
    rows = {"item_id": ["a", "a"], "candidate_id": ["x", "y"], "score": [0.1, 0.2]}
    assert len(predictions.checked(pd.DataFrame(rows), "retrieve")) == 2
