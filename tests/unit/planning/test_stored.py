"""Stages that read a bank in the place of clips: what their jobs read, how answers are made, and what is refused."""

from copy import deepcopy
from fnmatch import fnmatchcase
from itertools import product

import pytest

from retake.planning.stored import may_begin
from retake.schema.strict import SettingError
from tests.unit.planning.conftest import STAGE
from tests.unit.planning.test_banks import (  # noqa: F401 - the fixture
    BANK,
    BOXED,
    CHECKPOINT,
    FAR,
    MEDIA,
    MEMORY,
    SAMPLE,
    TABLE,
    remembering,
)

MODEL = """
PREPARED = ("vocabulary",)
STORED = ("backbone.",)
STORED_SIZES = ("width",)


def build(*, width: int, dropout: float, vocabulary: list):
    pass
"""
UNDRAWN = SAMPLE | {"flip": False, "short_side": [32, 32]}
FOUND = UNDRAWN | {"boxes": {"truth": False, "detector": "persons", "min_score": 0.9}}
ENTRY = {"view": "videos", "signal": "rgb", "sample": FOUND, "stored": {"bank": "people", "answers": True}}
PROTOCOL = {"beam": 5, "max_len": 20}


@pytest.fixture
def reading(remembering):  # noqa: F811
    """The project of the banks' tests, whose second stage reads the bank of boxes in the place of clips."""
    recipe = remembering.recipe
    remembering.model = MODEL
    recipe["stages"]["first"]["data"] = [{"view": "videos", "signal": "rgb", "sample": BOXED}]
    recipe["stages"]["first"]["data"][0]["sample"]["short_side"] = [32, 40]
    recipe["stages"]["second"] = deepcopy(STAGE) | {
        "data": [deepcopy(ENTRY) | {"memory": MEMORY}],
        "start": {"variant": "near", "leave_out": ["head.*"]},
        "trainable": ["[!b]*"],
    }
    recipe["protocols"]["centre"] = PROTOCOL | {"clips": 1, "crops": 1, "short_sides": [32], "min_score": 0.9}
    return remembering


def test_a_stage_reads_rows_and_boxes_of_the_bank_and_no_clip(reading):
    job = reading.plan().trainings.job(FAR, "second")
    made_of = {"media": f"{MEDIA}/index.parquet", "checkpoint": CHECKPOINT, "detections": TABLE}
    (data,) = job["recipe"]["data"]
    assert data["stored"] == {"index": f"{BANK}/index.parquet", "made_of": made_of}
    assert data["index"] == f"{MEDIA}/index.parquet"  # for when frames are shown
    assert "detections" not in data
    assert job["inputs"]["stored"] == [f"{BANK}/index.parquet"]
    assert job["inputs"]["arrays"] == [
        f"{BANK}/shard{s}/{f}.npy" for f in ("features", "boxes") for s in ("000", "001")
    ]
    assert job["inputs"]["made_of"] == [CHECKPOINT, TABLE, f"{MEDIA}/index.parquet"]
    assert job["recipe"]["start"][0]["checkpoint"] == CHECKPOINT
    assert job["recipe"]["validation"]["data"]["stored"] == data["stored"]


def test_a_bank_that_is_read_for_clips_alone_is_filled_and_decides_who_shares_a_checkpoint(reading):
    del reading.recipe["stages"]["second"]["data"][0]["memory"]
    plan = reading.plan()
    assert plan.every_rows_index() == [f"{BANK[:-1]}{seed}/index.parquet" for seed in (1, 2)]
    before = plan.trainings._key("pulse", "far", "second", "clips")
    reading.recipe["banks"]["people"]["min_score"] = 0.8
    assert reading.plan().trainings._key("pulse", "far", "second", "clips") != before


@pytest.mark.parametrize(
    ("answers", "protocol", "rows"),
    [
        (True, {}, True),
        (True, {"clips": 1, "crops": 1, "short_sides": [32], "min_score": 0.9}, True),
        (False, {"clips": 1, "crops": 1, "short_sides": [32], "min_score": 0.9}, False),
        (True, {"clips": 2, "crops": 1, "reduce": "mean"}, False),
        (True, {"clips": 1, "crops": 3, "reduce": "mean"}, False),
        (True, {"flip": True, "reduce": "mean"}, False),
        (True, {"short_sides": [40]}, False),
        (True, {"min_score": 0.85}, False),  # the bank has none of these
    ],
)
def test_answers_are_of_rows_where_a_protocol_asks_just_that(reading, answers, protocol, rows):
    reading.recipe["stages"]["second"]["data"][0]["stored"]["answers"] = answers
    reading.recipe["protocols"]["asked"] = PROTOCOL | protocol
    plan = reading.plan()
    job = plan.predict_job(FAR, "asked", "test")
    assert ("stored" in job["recipe"]["data"]) == rows
    shown = [path for path in job["inputs"]["arrays"] if "/media/" in path]
    assert bool(shown) != rows
    assert (TABLE in job["inputs"]["index"]) != rows
    assert job["recipe"]["data"]["memory"]["index"] == f"{BANK}/index.parquet"


def changed(place, value):
    def change(recipe):
        *way, last = place
        for key in way:
            recipe = recipe[key]
        recipe[last] = value

    return change


SECOND = ("stages", "second")
DATA = (*SECOND, "data", 0)
REFUSED = [
    ((*DATA, "stored", "bank"), "persons", "no bank 'persons'"),
    ((*DATA, "stored", "bank"), "whole", "examples are boxes; bank 'whole' has rows of clips"),
    ((*DATA, "stored", "bank"), "things", "examples are boxes; bank 'things' has rows of objects"),
    ((*DATA, "sample", "flip"), True, "flip: is drawn in training, and what is stored is not shown again"),
    ((*DATA, "sample", "short_side"), [32, 40], "short_side: is drawn in training"),
    ((*DATA, "sample", "at"), "any", r"stored\.answers: a clip asked about lies in its row's middle"),
    (
        (*DATA, "sample", "boxes", "truth"),
        True,
        r"boxes\.truth: rows are of detections alone; expected false",
    ),
    (
        (*DATA, "sample", "boxes", "detector"),
        "released",
        "boxes of 'released'; bank 'people' has those of 'persons'",
    ),
    ((*DATA, "sample", "boxes", "min_score"), 0.8, "min_score 0.8; bank 'people' has boxes of at least 0.9"),
    ((*DATA, "sample"), None, r"stored: rows of a bank stand for clips; expected sample\.clip"),
    (
        (*DATA, "sample", "clip", "step_s"),
        0.2,
        r"bank 'people' was shown clip .*0\.1.*, the stage says .*0\.2",
    ),
    ((*DATA, "sample", "crop"), 30, "bank 'people' was shown crop 32, the stage says 30"),
    ((*DATA, "sample", "short_side"), [40, 40], "bank 'people' was shown short_side 32, the stage says 40"),
    ((*SECOND, "trainable"), ["*"], r"trainable: '\*' may match backbone\.\*"),
    (
        (*SECOND, "trainable"),
        ["head.*", "back*.3.weight"],
        r"trainable: 'back\*\.3\.weight' may match backbone",
    ),
    ((*SECOND, "fresh"), ["backbone.conv1*"], r"fresh: 'backbone\.conv1\*' may match backbone"),
    (
        (*SECOND, "start"),
        {"variant": "near", "leave_out": ["*.bias"]},
        r"start\.leave_out: '\*\.bias' may match",
    ),
    (
        (*SECOND, "start"),
        {"variant": "near", "into": "other."},
        r"rows stand for backbone\.\*, which starts elsewhere",
    ),
    (
        (*SECOND, "start"),
        {"variant": "near", "seed": 7},
        "is filled by .*seed1/first.*, and the stage begins with .*seed7",
    ),
    (
        (*SECOND, "start"),
        {"weights": "finder"},
        "bank 'people' is filled by .*, and the stage begins with .*finder",
    ),
    ((*SECOND, "start"), [], "bank 'people' is filled by .*, and the stage begins with a random start"),
    ((*SECOND, "model"), {"width": 16}, r"model\.width is 16, that of the bank's network 8"),
]


@pytest.mark.parametrize(("place", "value", "said"), REFUSED, ids=lambda v: str(v)[:40])
def test_what_would_not_be_the_same_is_refused_in_one_line(reading, place, value, said):
    changed(place, value)(reading.recipe)
    with pytest.raises(SettingError, match=said) as raised:
        reading.plan().trainings.job(FAR, "second")
    assert "\n" not in str(raised.value)


def test_a_method_must_say_what_rows_stand_for(reading):
    reading.model = MODEL.replace("STORED =", "OTHER =")
    with pytest.raises(SettingError, match=r"model\.py: expected a constant STORED"):
        reading.plan().trainings.job(FAR, "second")


def test_a_bank_of_a_foundation_stands_for_a_start_from_it(reading):
    reading.recipe["banks"]["before"] |= {"detector": "persons", "min_score": 0.9}
    reading.recipe["stages"]["second"]["data"][0] |= {"stored": {"bank": "before"}}
    reading.recipe["stages"]["second"]["start"] = {"weights": "finder", "into": "backbone."}
    reading.recipe["mini"]["model"]["width"] = 4  # the foundation's
    plan = reading.plan()
    held = plan.trainings.job(FAR, "second")["recipe"]["data"][0]["stored"]
    assert held["made_of"]["checkpoint"] == plan.weights_path("finder")


def test_a_bank_of_steps_is_of_clips_alone(reading):
    reading.recipe["banks"]["whole"]["grid"] = "steps"
    sample = UNDRAWN | {"at": "any"}
    reading.recipe["stages"]["second"]["data"] = [
        deepcopy(ENTRY) | {"sample": sample, "stored": {"bank": "whole"}}
    ]
    (data,) = reading.plan().trainings.job(FAR, "second")["recipe"]["data"]
    assert data["stored"]["index"] == f"{BANK}/index.parquet".replace("people", "whole")
    reading.recipe["banks"]["whole"]["grid"] = 2
    with pytest.raises(SettingError, match="examples are clips; bank 'whole' has rows of cells"):
        reading.plan()


NAMES = ["b.w", "b.", "bc.w", "c.w", "b.x.y", "", "b", "b.]"]


def test_a_pattern_may_match_what_begins_so():
    """Against names: whatever matches one of them that begins with b. may; and some that cannot, by hand."""
    letters = ["b", ".", "*", "?", "[!b]", "[bc]", "w", "]"]
    for pattern in ("".join(signs) for n in range(5) for signs in product(letters, repeat=n)):
        if any(fnmatchcase(name, pattern) for name in NAMES if name.startswith("b.")):
            assert may_begin(pattern, "b."), pattern
    for pattern in ("[!b]*", "c*", "b", "bc.*", "?", "[!b].w", "head.*", "b[!.]*"):
        assert not may_begin(pattern, "b."), pattern
    for pattern in ("*", "b*", "?.w", "[a-c]*", "b.", "*z", "[b].*", "b[.]q"):
        assert may_begin(pattern, "b."), pattern
