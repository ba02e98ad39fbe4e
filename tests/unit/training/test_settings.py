import pytest

from retake.training.settings import checked_stage
from tests.unit.training.small_stage import stage

DATA = {"dataset": "toy", "annotations": "a", "index": "i", "kind": "features"}


def test_defaults_are_filled_in():
    recipe = checked_stage(stage(DATA))
    assert recipe["data"][0]["share"] == 1.0
    assert recipe["optimiser"]["betas"] == [0.9, 0.999]
    assert recipe["length"]["evaluate_every"] == {"epochs": 1, "steps": None}
    assert recipe["batch_norm"] == {"frozen": [], "affine": "frozen"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precison": "bf16"}, r"stage: unknown keys \['precison'\]"),
        ({"batch": {"effective": 8}}, r"stage: batch: missing keys \['at_once'\]"),
        ({"data": [{"dataset": "toy"}]}, r"stage: data\[0\]: missing keys"),
        ({"start": [{"checkpoint": "c", "int": "x"}]}, r"stage: start\[0\]: unknown keys \['int'\]"),
        ({"length": {"epochs": 1, "steps": 2}}, "exactly one of epochs and steps"),
        ({"length": {"epochs": 1, "patience": 2}}, "patience needs a monitor"),
        ({"length": {"epochs": 1, "monitor": "val/cider"}, "validation": None}, "needs a validation"),
        ({"length": {"epochs": 1, "evaluate_every": {}}}, "evaluate_every: expected exactly one"),
    ],
)
def test_what_cannot_be_run_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        checked_stage(stage(DATA) | changes)
