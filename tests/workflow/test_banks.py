"""A method with a detector and banks, invented here, in the real workflow: what `snakemake -n` plans of it."""

import pytest
import yaml

from tests.workflow.conftest import checkout_at

SAMPLE = {"clip": {"frames": 8, "step_s": 0.1}, "at": "start", "short_side": [32, 40], "crop": 32}
SEEN = {"view": "videos_small", "signal": "rgb", "sample": SAMPLE}
STAGE = {
    "trainable": ["*"], "optimiser": {"name": "sgd", "groups": [{"match": "*", "lr": 0.1}]}, "length": {"steps": 2},
    "batch": {"effective": 8, "at_once": 4}, "validation": None,
}  # fmt: skip
MEMORY = {"bank": "people", "window_s": 60.0, "per_step": 5}
RECIPE = {
    "paper": {"key": "b", "title": "Beacon", "authors": "nobody", "venue": "invented"},
    "task": "caption",
    "model": {"width": 8},
    "views": {
        "videos_small": {"kind": "stream", "size": [48, 64]},
        "keyframes_small": {"kind": "frames", "sampling": "clock", "every_s": 1.0, "resize": [48, 64]},
    },
    "detectors": {"persons": {"weights": "imagenet_irv2", "view": "keyframes_small"}},
    "banks": {"people": {"variant": "near", "rows": "boxes", "detector": "persons"}},
    "stages": {"first": STAGE | {"data": [SEEN]}, "second": STAGE | {"data": [SEEN | {"memory": MEMORY}]}},
    "variants": {"near": {"stages": ["first"]}, "far": {"stages": ["second"]}},
    "protocols": {"plain": {"beam": 1, "max_len": 6}, "long": {"beam": 1, "max_len": 6, "window_s": 90.0}},
    "tables": {
        "table_1": {
            "title": "Windows",
            "rows": [
                {"variant": "far", "dataset": "msvd", "protocol": p, "metrics": ["bleu4"]}
                for p in ("plain", "long")
            ],
        }
    },
}
SHARDS = 2  # of the data set at this scale
FILLING = {
    "transcode_video": SHARDS, "detect_objects": SHARDS, "index_detections": 1, "extract_rows": SHARDS,
    "index_rows": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def beacon(tmp_path_factory):
    """The project with that method and nothing made; its first variant stands in no table."""
    project = checkout_at(tmp_path_factory.mktemp("beacon") / "project")
    folder = project.folder / "retake/methods/beacon"
    folder.mkdir()
    (folder / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    (folder / "model.py").write_text("def build(*, width: int):\n    pass\n")
    (folder / "reported.csv").write_text("")
    config = project.folder / "config.yaml"
    said = yaml.safe_load(config.read_text()) | {"run": [{"method": "beacon", "datasets": ["msvd"]}]}
    config.write_text(yaml.safe_dump(said))
    return project


def test_two_windows_of_one_bank_train_and_fill_once(beacon):
    planned = beacon.planned("results/mini/tables/beacon/table_1.csv")
    assert planned["train_stage"] == 2, "and who fills the bank, once"
    assert planned["predict"] == 2
    assert {rule: planned.get(rule) for rule in FILLING} == FILLING
    assert "extract_bank" not in planned


def test_features_are_made_without_who_reads_them(beacon):
    planned = beacon.planned("features")
    assert planned.pop("train_stage") == 1
    assert {rule: planned.get(rule) for rule in FILLING} == FILLING
    assert not {"predict", "score", "tabulate"} & set(planned)


def test_another_seed_fills_another_bank_from_the_same_detections(beacon):
    planned = beacon.planned("features", "--config", "seeds=[1,2]")
    assert (planned["train_stage"], planned["extract_rows"], planned["index_rows"]) == (2, 2 * SHARDS, 2)
    assert (planned["detect_objects"], planned["index_detections"]) == (SHARDS, 1)
