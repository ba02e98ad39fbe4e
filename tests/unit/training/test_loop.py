"""The loop: what a step is, when training ends, and what is kept."""

import math
import sys
import types

import numpy as np
import pytest
import torch
from torch import nn

from retake.training import checkpoint
from retake.training.loop import StageRun, prepared_for, train_stage
from retake.training.settings import checked_stage
from tests.unit.training.small_stage import ETENET, Metrics, make_world, model_sizes, stage


class Line(nn.Module):
    """A model of one weight and one frozen-to-be bias; its count is not the number of rows."""

    def __init__(self, *, start, explode):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([float(start)]))
        self.bias = nn.Parameter(torch.zeros(1))
        self.explode, self.calls = explode, []

    def losses(self, batch):
        x = batch["features"].sum(dim=(1, 2))
        total = ((self.weight * x + self.bias - batch["value"]) ** 2).sum() / self.explode
        return {"total": total, "count": torch.tensor(2.0 * len(x))}

    def predict(self, batch, protocol):
        return [{"value": 0.0} for _ in batch["item_id"]]

    def on_shape(self, shape):
        self.calls.append(("shape", shape.items))

    def before_evaluation(self, loader):
        self.calls.append(("before", sum(len(b["item_id"]) for b in loader())))


@pytest.fixture
def line(monkeypatch):
    module = types.ModuleType("tests_line_model")
    module.build = lambda *, start, explode: Line(start=start, explode=explode)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.__name__


@pytest.fixture
def numbers(tmp_path):
    """Six training rows and two for validation: y = 3 x."""
    from tests.unit.training.small_stage import write_annotations, write_index

    rows, arrays = [], {}
    for n in range(8):
        split = "train" if n < 6 else "val"
        place = {"item_id": f"i{n}", "video_id": f"v{n}", "ref_id": f"r{n}"}
        rows.append({**place, "split": split, "value": 3.0 * n, "task": "regress"})
        arrays[f"v{n}"] = np.full((1, 1), n, np.float32)
    annotations = write_annotations(tmp_path / "numbers.parquet", rows)
    index = write_index(tmp_path / "bank", arrays)
    return {"dataset": "numbers", "annotations": str(annotations), "index": str(index), "kind": "features"}


def line_stage(numbers, **changes):
    recipe = {
        "task": "regress",
        "model": {"start": 0.0, "explode": 1.0},
        "trainable": ["weight"],
        "optimiser": {"name": "sgd", "momentum": 0.0, "groups": [{"match": "*", "lr": 0.01}]},
        "validation": {"data": numbers | {"split": "val"}},
        "batch": {"effective": 6, "at_once": 6},
        "length": {"epochs": 1},
    }
    return stage(numbers, **(recipe | changes))


def run(module, recipe, tmp_path, metrics=None, name="a", seed=1):
    out = tmp_path / name / "checkpoint.safetensors"
    train_stage(
        model_module=module, recipe=recipe, seed=seed, out=out,
        metric=Metrics() if metrics is None else metrics, scratch=tmp_path / f"{name}_scratch",
    )  # fmt: skip
    return out


def weight_of(path):
    return checkpoint.read_tensors(path)[0]["weight"].item()


def test_a_step_divides_by_the_count_of_the_whole_batch(line, numbers, tmp_path):
    gradient = sum(-2 * 3 * n * n for n in range(6)) / 12  # of the sum over rows, by 2 units a row
    assert weight_of(run(line, line_stage(numbers), tmp_path)) == pytest.approx(-0.01 * gradient, rel=1e-6)


def test_frozen_halves_stay_halves_in_the_checkpoint_and_what_is_trained_does_not(line, numbers, tmp_path):
    path = tmp_path / "published.safetensors"
    halves = {"weight": torch.tensor([1.0]).half(), "bias": torch.tensor([0.1]).half()}
    checkpoint.write_tensors(path, halves, {})
    recipe = line_stage(numbers, start=[{"checkpoint": str(path)}])
    first = run(line, recipe, tmp_path)
    tensors = checkpoint.read_tensors(first)[0]
    assert (tensors["weight"].dtype, tensors["bias"].dtype) == (torch.float32, torch.float16)
    assert torch.equal(tensors["bias"], halves["bias"])
    assert checkpoint.load(line, first).bias.dtype == torch.float32
    next_one = run(line, line_stage(numbers, start=[{"checkpoint": str(first)}]), tmp_path, name="b")
    assert checkpoint.read_tensors(next_one)[0]["bias"].dtype == torch.float16


def test_mini_batches_of_any_size_add_up_to_the_same_step(line, numbers, tmp_path):
    whole = weight_of(run(line, line_stage(numbers), tmp_path, name="whole"))
    for at_once in (1, 4):
        recipe = line_stage(numbers, batch={"effective": 6, "at_once": at_once})
        assert weight_of(run(line, recipe, tmp_path, name=f"by{at_once}")) == pytest.approx(whole, rel=1e-6)


def test_the_accumulated_gradient_of_the_captioner_is_that_of_the_full_batch(tmp_path):
    data = make_world(tmp_path)
    grads = []
    for at_once in (8, 3):
        recipe = stage(data, batch={"effective": 8, "at_once": at_once}, length={"steps": 1})
        made = StageRun(ETENET, checked_stage(recipe), 1, Metrics(), tmp_path / f"s{at_once}")
        made.train()
        grads.append(torch.cat([p.grad.flatten() for p in made.trained]))
    assert grads[0].norm() > 0.1
    assert torch.allclose(grads[0], grads[1], atol=1e-6)


def test_a_small_last_batch_is_divided_by_its_own_count(line, numbers, tmp_path):
    recipe = line_stage(numbers, batch={"effective": 4, "at_once": 4}, length={"epochs": 1})
    metrics = Metrics()
    run(line, recipe, tmp_path, metrics)
    from retake.data.loader import epoch_groups
    from retake.training.batch_plan import BatchShape

    class Six:
        def order(self, rng):
            return [int(i) for u in rng.permutation(6) for i in rng.permutation([u])]

    shapes = [BatchShape(items=4, at_once=4)] * 2
    weight, losses = 0.0, []
    for _, group in epoch_groups([Six()], shapes, seed=1, epoch=0):
        rows = [n for _, n in group]
        losses.append(sum((weight * n - 3 * n) ** 2 for n in rows) / (2 * len(rows)))
        weight -= 0.01 * sum(2 * n * (weight * n - 3 * n) for n in rows) / (2 * len(rows))
    assert metrics.of("train/total") == pytest.approx(losses, rel=1e-5)


def test_gradients_are_clipped_element_by_element_or_by_norm(line, numbers, tmp_path):
    for clip in ({"value": 2.0}, {"norm": 2.0}):
        recipe = line_stage(numbers)
        recipe["optimiser"] = recipe["optimiser"] | {"clip": clip}
        path = run(line, recipe, tmp_path, name=f"clip{next(iter(clip))}")
        assert weight_of(path) == pytest.approx(0.02, rel=1e-4)


def test_the_learning_rate_follows_the_schedule(line, numbers, tmp_path):
    metrics = Metrics()
    schedule = {"name": "linear", "warmup_steps": 2, "floor": 0.0}
    run(line, line_stage(numbers, length={"steps": 6}, schedule=schedule), tmp_path, metrics)
    assert metrics.of("train/lr0") == pytest.approx([0.005, 0.01, 0.01, 0.0075, 0.005, 0.0025])


def test_what_is_not_named_trainable_stays(line, numbers, tmp_path):
    tensors, _ = checkpoint.read_tensors(run(line, line_stage(numbers), tmp_path))
    assert tensors["bias"].item() == 0.0
    tensors, _ = checkpoint.read_tensors(run(line, line_stage(numbers, trainable=["*"]), tmp_path, name="b"))
    assert tensors["bias"].item() != 0.0


def test_training_ends_when_validation_stops_getting_better_and_keeps_the_best(line, numbers, tmp_path):
    # a rate so large that every step overshoots further: the first validation is the best
    optimiser = {"name": "sgd", "momentum": 0.0, "groups": [{"match": "*", "lr": 0.5}]}
    length = {"epochs": 20, "patience": 3, "monitor": "val/total"}
    metrics = Metrics()
    path = run(line, line_stage(numbers, optimiser=optimiser, length=length), tmp_path, metrics)
    values = metrics.of("val/total")
    assert len(values) == 4
    assert min(values) == values[0]
    rows = [6.0, 7.0]
    best = sum((weight_of(path) * x - 3 * x) ** 2 for x in rows) / 4
    assert best == pytest.approx(values[0], rel=1e-5)


def test_without_a_monitor_the_last_weights_are_kept(line, numbers, tmp_path):
    optimiser = {"name": "sgd", "momentum": 0.0, "groups": [{"match": "*", "lr": 0.5}]}
    metrics = Metrics()
    path = run(line, line_stage(numbers, optimiser=optimiser, length={"epochs": 3}), tmp_path, metrics)
    last = sum((weight_of(path) * x - 3 * x) ** 2 for x in (6.0, 7.0)) / 4
    assert last == pytest.approx(metrics.of("val/total")[-1], rel=1e-5)


def test_a_monitor_that_is_not_measured_is_named(line, numbers, tmp_path):
    with pytest.raises(ValueError, match=r"'val/nope' is not among \['val/total'\]"):
        run(line, line_stage(numbers, length={"epochs": 1, "monitor": "val/nope"}), tmp_path)


def test_validation_comes_every_so_many_steps_and_at_the_end(line, numbers, tmp_path):
    metrics = Metrics()
    recipe = line_stage(numbers, length={"steps": 5, "evaluate_every": {"steps": 2}})
    run(line, recipe, tmp_path, metrics)
    assert [step for name, _, step in metrics if name == "val/total"] == [2, 4, 5]


def test_max_steps_cuts_a_run_short(line, numbers, tmp_path):
    metrics = Metrics()
    run(line, line_stage(numbers, length={"epochs": 9}, max_steps=1), tmp_path, metrics)
    assert [step for name, _, step in metrics if name == "train/total"] == [1]


def test_a_loss_that_is_no_number_stops_the_run(line, numbers, tmp_path):
    with pytest.raises(FloatingPointError, match="step 0"):
        run(line, line_stage(numbers, model={"start": math.inf, "explode": 1.0}), tmp_path)


def test_a_model_is_told_the_shape_and_asked_before_it_is_evaluated(line, numbers, tmp_path):
    recipe = line_stage(numbers, batch={"effective": 4, "at_once": 2})
    made = StageRun(line, checked_stage(recipe), 1, Metrics(), tmp_path / "s")
    made.train()
    assert made.model.calls == [("shape", 4), ("shape", 4), ("before", 6)]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    data = make_world(tmp_path)
    recipe = stage(data, model=model_sizes(dropout=0.3, word_dropout=0.2))
    first, again, other = (
        run(ETENET, recipe, tmp_path, name=name, seed=seed).read_bytes()
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == again
    assert first != other


def test_the_captioner_learns_and_is_judged_by_cider(tmp_path):
    metrics = Metrics()
    recipe = stage(
        make_world(tmp_path), length={"epochs": 25, "monitor": "val/cider", "evaluate_every": {"epochs": 5}}
    )
    run(ETENET, recipe, tmp_path, metrics)
    assert metrics.of("train/total")[-1] < metrics.of("train/total")[0] / 4
    assert metrics.of("val/cider")[-1] > 2 > metrics.of("val/cider")[0]


def test_bf16_trains_too(tmp_path):
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    metrics = Metrics()
    run(ETENET, stage(make_world(tmp_path), precision="bf16", length={"epochs": 8}), tmp_path, metrics)
    AcceleratorState._reset_state(reset_partial_state=True)
    assert metrics.of("train/total")[-1] < metrics.of("train/total")[0]


def test_a_vocabulary_comes_from_the_start_and_else_from_the_rows(tmp_path):
    path = tmp_path / "c.safetensors"
    checkpoint.write_tensors(path, {"x": torch.zeros(1)}, {"prepared": {"vocabulary": ["x"]}})
    module = types.SimpleNamespace(prepare=lambda rows, sizes: {"vocabulary": rows})
    assert prepared_for(module, {}, [{"checkpoint": path}], ["r"]) == {"vocabulary": ["x"]}
    assert prepared_for(module, {}, [], ["r"]) == {"vocabulary": ["r"]}
    assert prepared_for(types.SimpleNamespace(), {}, [], ["r"]) == {}


def test_two_starts_with_different_vocabularies_are_refused(tmp_path):
    starts = []
    for word in "ab":
        starts.append({"checkpoint": tmp_path / f"{word}.safetensors"})
        checkpoint.write_tensors(
            starts[-1]["checkpoint"], {"x": torch.zeros(1)}, {"prepared": {"vocabulary": [word]}}
        )
    with pytest.raises(ValueError, match="vocabulary is not that of an earlier start"):
        prepared_for(types.SimpleNamespace(), {}, starts, [])
