"""What a recipe may say of samples, protocols that cut, rates that drop and classes' names."""

import pytest

from retake.schema.classes import class_names
from retake.schema.recipe import Protocol, Source
from retake.schema.sample import Sample
from retake.schema.strict import SettingError, checked_as
from retake.schema.training import Schedule

SAMPLE = {"segments": 3, "crop": 224}


def test_a_sample_is_read_with_its_defaults():
    read = Sample(**SAMPLE)
    assert (read.stack, read.scales, read.distort, read.flip, read.colour, read.labels) == (
        1, [1.0], 1, False, None, "item",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("model", "said", "words"),
    [
        (Sample, SAMPLE | {"segmnts": 3}, "segmnts: unknown key; did you mean 'segments'?"),
        (Sample, {"segments": 3}, "crop: missing"),
        (Sample, SAMPLE | {"scales": [1.2]}, "scales: expected shares of at most 1"),
        (Sample, SAMPLE | {"scales": []}, "scales: expected shares of at most 1, at least one"),
        (Sample, SAMPLE | {"labels": "clip"}, "labels: Input should be 'item' or 'frame'"),
        (Sample, SAMPLE | {"colour": {"hue": -1, "light": 0, "saturation": 0}}, "colour.hue"),
        (Source, {"bank": "features", "sample": SAMPLE}, "sample: frames are cut from a view"),
        (
            Source, {"view": "coded", "rows": "by_item", "sample": SAMPLE | {"labels": "frame"}},
            "rows: labels of frames take all rows of an item together",
        ),
        (Protocol, {"clips": 25, "reduce": "mean"}, "clips and crops: expected both or neither"),
        (Protocol, {"clips": 25, "crops": 3, "reduce": "mean"}, "crops"),
        (Protocol, {"clips": 25, "crops": 10}, "reduce: missing"),
        (Protocol, {"resize": [256, 256]}, "resize: frames are resized where clips and crops"),
        (Schedule, {"name": "steps"}, "drops are given exactly where the schedule is called steps"),
        (Schedule, {"name": "cosine", "drops": [3]}, "drops are given exactly where"),
        (Schedule, {"name": "steps", "drops": [5, 3]}, "drops: expected rising numbers"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_in_one_line(model, said, words):
    with pytest.raises(SettingError) as error:
        checked_as(model, said, "recipe.yaml")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_the_papers_protocol_and_one_frame_are_read():
    assert Protocol(clips=25, crops=10, resize=[256, 256], reduce="mean").resize == (256, 256)
    assert Protocol(clips=1, crops=1).reduce is None


def named(*pairs):
    return [{"labels": labels, "text_out": text} for labels, text in pairs]


def test_classes_are_called_what_rows_call_them():
    rows = named(
        ([1], "Archery"), ([0, 2], "Sitting; Standing up"), ([], None), (None, "a dog"), ([1], "Archery")
    )
    assert class_names(rows, 4) == ["Sitting", "Archery", "Standing up", "3"]


def test_a_class_with_two_names_is_an_error():
    with pytest.raises(ValueError, match="class 1 is called 'Archery' and 'Bowling'"):
        class_names(named(([1], "Archery"), ([1], "Bowling")), 2)
