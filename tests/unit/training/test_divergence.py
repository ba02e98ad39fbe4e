"""A loss that runs away: the training fails, or what was before is kept; and the record of gradients."""

import math

import pytest
import torch

from retake.training import checkpoint
from retake.training.divergence import LIMIT, Kept, runs_away
from tests.unit.training.small_stage import Metrics
from tests.unit.training.test_loop import line, line_stage, numbers, run, weight_of  # noqa: F401 - fixtures
from tests.unit.training.test_resume import StoppedError, stop_at


@pytest.mark.parametrize(
    ("loss", "first", "wanted"),
    [
        (math.nan, 1.0, True),
        (math.inf, 1.0, True),
        (-math.inf, 1.0, True),
        (LIMIT, 1.0, False),
        (LIMIT * 1.001, 1.0, True),
        (LIMIT * 2.1, -2.0, True),
        (LIMIT * 1.9, -2.0, False),
        (1e30, 0.0, False),
        (1e30, None, False),
        (math.nan, None, True),
    ],
)
def test_when_a_loss_runs_away(loss, first, wanted):
    assert runs_away(loss, first) is wanted


def exploding(numbers, rate, **changes):  # noqa: F811
    """w <- w - rate * gradient on a parabola: each step multiplies the error by 1 - rate * 55 / 6."""
    optimiser = {"name": "sgd", "momentum": 0.0, "groups": [{"match": "*", "lr": rate}]}
    keep = {"optimiser": optimiser, "length": {"steps": 40}, "diverged": "keep", "validation": None}
    return line_stage(numbers, **(keep | changes))


def test_it_ends_at_the_first_loss_beyond_the_limit_with_the_weights_that_had_it(line, numbers, tmp_path):  # noqa: F811
    rate, metrics = 1.0, Metrics()
    path = run(line, exploding(numbers, rate), tmp_path, metrics)
    factor = 1 - rate * 55 / 6  # of the error w - 3, whose square the loss is
    ended = next(n for n in range(40) if factor ** (2 * n) > LIMIT)
    losses = metrics.of("train/total")
    assert len(losses) == ended
    assert losses == pytest.approx([9 * 55 / 12 * factor ** (2 * n) for n in range(ended)], rel=1e-4)
    assert [(value, step) for name, value, step in metrics if name == "train/diverged"] == [(1.0, ended + 1)]
    assert weight_of(path) == pytest.approx(3 - 3 * factor**ended, rel=1e-4)


def test_a_loss_that_is_no_number_leaves_the_weights_before(line, numbers, tmp_path):  # noqa: F811
    """So large a rate that the second loss is infinite: the weight that gave it is a number, and is kept."""
    metrics = Metrics()
    path = run(line, exploding(numbers, 1e30), tmp_path, metrics)
    assert len(metrics.of("train/total")) == 1
    assert weight_of(path) == pytest.approx(3e30 * 55 / 6, rel=1e-4)


def test_a_step_that_makes_weights_no_numbers_is_undone(line, numbers, tmp_path):  # noqa: F811
    metrics = Metrics()
    path = run(line, exploding(numbers, 1e38), tmp_path, metrics)
    assert weight_of(path) == 0.0
    assert metrics.of("train/diverged") == [1.0]


def test_left_alone_a_loss_that_is_no_number_fails(line, numbers, tmp_path):  # noqa: F811
    with pytest.raises(FloatingPointError, match="step 1: total loss inf"):
        run(line, exploding(numbers, 1e30, diverged="fail"), tmp_path)


def test_what_does_not_diverge_is_the_same_under_both(line, numbers, tmp_path):  # noqa: F811
    metrics = Metrics()
    kept = run(line, exploding(numbers, 0.01), tmp_path, metrics, name="keep")
    plain = run(line, exploding(numbers, 0.01, diverged="fail"), tmp_path, name="fail")
    assert weight_of(kept) == weight_of(plain) != 0.0
    assert metrics.of("train/diverged") == []


def test_a_training_that_went_on_diverges_where_it_would_have(line, numbers, tmp_path):  # noqa: F811
    """The first loss is part of what is kept of a killed training."""
    recipe = exploding(numbers, 1.0)
    whole, metrics = Metrics(), Metrics()
    run(line, recipe, tmp_path, whole)
    with pytest.raises(StoppedError):
        run(line, recipe, tmp_path, stop_at(2, Metrics()), name="killed")
    run(line, recipe, tmp_path, metrics, name="killed")
    assert metrics.of("train/total") == whole.of("train/total")
    assert weight_of(tmp_path / "killed/checkpoint.safetensors") == weight_of(
        tmp_path / "a/checkpoint.safetensors"
    )


def test_buffers_are_put_back_with_the_parameters():
    model = torch.nn.BatchNorm1d(2)
    accelerator = type("A", (), {"reduce": staticmethod(lambda t, reduction: t)})
    kept = Kept(model, [model.weight], accelerator)
    kept.take()
    model(torch.full((3, 2), math.nan))
    assert not kept.finite()
    kept.put_back()
    assert kept.finite()
    assert model.running_mean.tolist() == [0.0, 0.0]


def test_the_gradients_norm_is_recorded_as_it_was_before_clipping(line, numbers, tmp_path):  # noqa: F811
    recipe, metrics = line_stage(numbers, length={"steps": 2}), Metrics()
    recipe["optimiser"] = recipe["optimiser"] | {"clip": {"norm": 2.0}}
    run(line, recipe, tmp_path, metrics)
    slopes = [2 * (w - 3) * 55 / 12 for w in (0.0, 0.02)]  # a clipped step of 0.01 * 2
    assert metrics.of("train/grad_norm") == pytest.approx([abs(s) for s in slopes], rel=1e-5)


def test_it_is_recorded_as_often_as_the_loss(line, numbers, tmp_path):  # noqa: F811
    metrics = Metrics()
    run(line, line_stage(numbers, length={"steps": 600}, validation=None), tmp_path, metrics)
    steps = [[s for name, _, s in metrics if name == f"train/{n}"] for n in ("total", "grad_norm")]
    assert steps[0] == steps[1] == list(range(3, 601, 3))
    assert checkpoint.read_header(tmp_path / "a/checkpoint.safetensors")["sizes"]
