"""A training is scored by its record and by its weights before and after."""

import json
import sys
import types

import pandas as pd
import pytest
import torch

from retake.schema.metrics_file import MetricsFile
from retake.schema.record import digest_of
from retake.training import checkpoint
from retake.training.scoring import score_training

IDENTITY = {
    "method": "demo", "variant": "full", "dataset": "toy", "split": "pre", "protocol": "training", "seed": 1,
    "scale": "mini", "items_of": None,
}  # fmt: skip
POINTS = {"train/total": [4.0, 3.0, 2.0, 1.0], "train/grad_norm": [9.0, 9.0, 1.0, 3.0]}


def told(folder, points=POINTS, end="finished"):
    path = folder / "record.jsonl"
    job = {"kind": "job", "params": {"lr": 1}, "inputs": {"a": "b"}, "code": "c", "digest": "d"}
    lines = [job]
    for name, values in points.items():
        lines += [{"kind": "metric", "name": name, "value": v, "step": n} for n, v in enumerate(values, 1)]
    lines += [{"kind": "end", "status": end, "wall_s": 1.0, "peak_mb": 1.0}] if end else []
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def scored(tmp_path, monkeypatch):
    """Score by a record and three checkpoints: of two starts, and what was trained from them."""
    module = types.ModuleType("tests_scored_model")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    gates = {name: tmp_path / f"{name}.safetensors" for name in ("first", "second", "after")}
    checkpoint.write_tensors(gates["first"], {"gate": torch.tensor([0.1, 0.5]), "old": torch.ones(1)}, {})
    checkpoint.write_tensors(gates["second"], {"x": torch.ones(1)}, {})
    checkpoint.write_tensors(gates["after"], {"a.gate": torch.tensor([0.4, 0.4])}, {})
    start = [
        {"checkpoint": str(gates["first"]), "into": "a.", "leave_out": ["o*"]},
        {"checkpoint": str(gates["second"]), "into": "", "leave_out": []},
    ]

    def made(metrics, record, start=start, hook=None):
        if hook is not None:
            module.training_metrics = hook
        recipe = {"metrics": metrics, "start": start, "identity": IDENTITY}
        out, items = tmp_path / "m.json", tmp_path / "m.parquet"
        values = score_training(
            model_module=module.__name__,
            recipe=recipe,
            record=record,
            checkpoint=gates["after"],
            out=out,
            items_out=items,
        )
        assert MetricsFile.read(out).values == values
        return values, out, items

    return made


def test_what_the_record_says_becomes_a_metrics_file_without_items(tmp_path, scored):
    values, out, items = scored(["diverged", "grad_spread", "last_loss", "loss_spikes"], told(tmp_path))
    assert values == {"diverged": 0.0, "grad_spread": 0.5, "last_loss": 1.0, "loss_spikes": 0.0}
    file = MetricsFile.read(out)
    assert (file.items, file.items_of, file.split, file.protocol) == (None, None, "pre", "training")
    assert file.record == {"path": (tmp_path / "record.jsonl").as_posix(), "digest": "d"}
    assert file.digests["recipe"] == digest_of({"lr": 1})
    assert set(file.digests) == {"recipe", "code", "inputs", "checkpoint"}
    table = pd.read_parquet(items)
    assert (list(table.columns), len(table)) == (["item_id"], 0)


def test_the_model_says_what_its_weights_tell(tmp_path, scored):
    def moved(before, after):
        assert set(before) == {"a.gate", "x"}  # under the model's names, without what was left out
        return {"gate_move": (after["a.gate"] - before["a.gate"]).abs().max().item(), "more": 1.0}

    assert scored(["gate_move"], told(tmp_path), hook=moved)[0] == {"gate_move": pytest.approx(0.3)}


def test_a_stage_that_started_from_nothing_has_nothing_before(tmp_path, scored):
    def moved(before, after):
        return {"gate_move": 1.0 if before is None else 0.0}

    assert scored(["gate_move"], told(tmp_path), start=[], hook=moved)[0] == {"gate_move": 1.0}


def test_a_training_that_diverged_says_so(tmp_path, scored):
    assert scored(["diverged"], told(tmp_path, {"train/diverged": [1.0]}))[0] == {"diverged": 1.0}


NORM, LOSS = "train/grad_norm", "train/total"


@pytest.mark.parametrize(
    ("metrics", "record", "hook", "message"),
    [
        (["last_loss"], (POINTS, None), None, "record.jsonl: the training did not end"),
        (["last_loss"], (POINTS, "failed"), None, "record.jsonl: the training did not end"),
        (["grad_spread"], ({LOSS: [1.0]},), None, "grad_spread: no point of train/grad_norm"),
        (["grad_spread"], ({NORM: [1.0]},), None, "record.jsonl: grad_spread: the second half"),
        (["last_loss"], ({LOSS: [float("nan")]},), None, "last_loss is nan"),
        (["gate_move"], (POINTS,), None, "gate_move: it has no training_metrics"),
        (["gate_move"], (POINTS,), lambda *_: {"gate": 1.0}, r"gives \['gate'\], no gate_move"),
    ],
)
def test_what_cannot_be_scored_is_named(tmp_path, scored, metrics, record, hook, message):
    with pytest.raises(ValueError, match=message):
        scored(metrics, told(tmp_path, *record), hook=hook)
