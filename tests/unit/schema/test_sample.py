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
        (Protocol, {"clips": 25, "crops": 4, "reduce": "mean"}, "crops"),
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


CLIP = {"clip": {"frames": 32, "step_s": 0.0667}, "crop": 224}


def test_a_clip_is_read_with_its_defaults():
    read = Sample(**CLIP, boxes={})
    assert (read.at, read.short_side, read.flip, read.labels) == ("start", None, False, "item")
    assert read.boxes.model_dump() == {
        "truth": True, "detector": None, "min_score": 0.9, "match_iou": 0.9, "one_class": False,
    }  # fmt: skip
    assert Sample(**CLIP | {"crop": None}).crop is None
    assert Sample(**CLIP, short_side=[256, 320]).short_side == (256, 320)


def test_a_sample_is_dumped_without_the_keys_of_the_other_kind():
    """Digests of samples from before there were clips stay: nothing is trained anew for a key that says nothing."""
    assert Sample(**SAMPLE).model_dump(mode="json") == {
        "segments": 3, "stack": 1, "crop": 224, "scales": [1.0], "distort": 1, "flip": False, "colour": None,
        "labels": "item",
    }  # fmt: skip
    assert Sample(**CLIP).model_dump(mode="json") == {
        "clip": {"frames": 32, "step_s": 0.0667}, "at": "start", "short_side": None, "crop": 224, "flip": False,
        "labels": "item", "boxes": None,
    }  # fmt: skip
    nested = Source(view="coded", sample=SAMPLE).model_dump(mode="json")["sample"]
    assert nested == Sample(**SAMPLE).model_dump(mode="json")
    assert Sample(**Sample(**CLIP).model_dump(mode="json")) == Sample(**CLIP)


def test_a_protocol_is_dumped_without_what_is_of_clips_where_it_says_nothing_of_them():
    assert not {"short_sides", "flip", "min_score"} & Protocol(beam=5).model_dump(mode="json").keys()
    said = Protocol(clips=1, crops=3, flip=True, short_sides=[224, 256], min_score=0.85, reduce="mean")
    dumped = said.model_dump(mode="json", exclude_none=True)
    assert dumped == {
        "clips": 1, "crops": 3, "flip": True, "short_sides": [224, 256], "min_score": 0.85, "reduce": "mean",
        "permute": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("model", "said", "words"),
    [
        (Sample, SAMPLE | CLIP, "expected exactly one of segments and clip"),
        (Sample, {"crop": 224}, "expected exactly one of segments and clip"),
        (Sample, CLIP | {"stack": 2}, "stack: is of segments alone"),
        (Sample, CLIP | {"scales": [0.5]}, "scales: is of segments alone"),
        (Sample, SAMPLE | {"short_side": [256, 320]}, "short_side: is of a clip alone"),
        (Sample, SAMPLE | {"boxes": {}}, "boxes: is of a clip alone"),
        (Sample, SAMPLE | {"at": "any"}, "at: is of a clip alone"),
        (Sample, SAMPLE | {"crop": None}, "crop: frames of segments are cut"),
        (Sample, CLIP | {"clip": {"frames": 2, "step_s": 0.0}}, "clip: step_s: expected seconds above 0"),
        (Sample, CLIP | {"clip": {"frames": 1, "step_s": 1.0}}, "clip: step_s: expected seconds above 0"),
        (Sample, CLIP | {"short_side": [200, 320]}, "short_side: expected crop <= low <= high"),
        (Sample, CLIP | {"short_side": [320, 256]}, "short_side: expected crop <= low <= high"),
        (Sample, CLIP | {"crop": None, "short_side": [256, 320]}, "short_side: expected crop <= low <= high"),
        (Sample, CLIP | {"boxes": {"truth": False}}, "boxes: expected truth: true, or a detector"),
        (Sample, CLIP | {"boxes": {"min_score": 1.2}}, "boxes.min_score"),
        (Protocol, {"short_sides": [256, 320]}, "reduce: missing"),
        (Protocol, {"flip": True}, "reduce: missing"),
        (Protocol, {"short_sides": []}, "short_sides: List should have at least 1 item"),
        (Protocol, {"short_sides": [256, 256], "reduce": "mean"}, "short_sides: 256 stands twice"),
        (
            Protocol, {"clips": 1, "crops": 1, "resize": [9, 9], "short_sides": [256]},
            "resize and short_sides: expected at most one",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_a_clip_is_said_in_one_line(model, said, words):
    test_what_does_not_fit_is_said_in_one_line(model, said, words)


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
