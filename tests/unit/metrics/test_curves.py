"""Numbers of a training's curves, worked out by hand."""

from statistics import mean, pstdev

import pytest

from retake.metrics.curves import OF_RECORD, diverged, grad_spread, last_loss, loss_spikes
from retake.schema.tasks import METRICS, TRAINED


def curve(*values):
    return [(10 * step, value) for step, value in enumerate(values, 1)]


@pytest.mark.parametrize(("num", "of"), [(1, 1), (9, 1), (19, 1), (20, 2), (200, 20)])
def test_the_last_loss_is_of_the_last_tenth(num, of):
    assert last_loss(curve(*range(num))) == mean(range(num - of, num))


def test_a_spike_stands_above_the_median_of_the_twenty_before():
    calm = [1.0] * 20
    assert loss_spikes(curve(*calm, 1.5, 1.51, 1.0)) == 1  # 1.5 times is none
    assert loss_spikes(curve(*[1.0] * 19, 9.0)) == 0  # nineteen before it
    assert loss_spikes(curve(*calm, 9.0, 9.0)) == 2  # a median is not moved by the first
    assert loss_spikes(curve(*range(40, 0, -1))) == 0
    steps = [1.0] * 10 + [3.0] * 10 + [2.9, 3.1]  # median of ten ones and ten threes: 2
    assert loss_spikes(curve(*steps)) == 0
    assert loss_spikes(curve(*steps[:20], 3.01)) == 1


def test_the_spread_is_of_the_second_half():
    norms = [100.0, 0.0, 7.0, 1.0, 2.0, 4.0]
    assert grad_spread(curve(*norms)) == pytest.approx(pstdev([1, 2, 4]) / mean([1, 2, 4]))
    assert grad_spread(curve(5.0, *norms)) == pytest.approx(pstdev([7, 1, 2, 4]) / mean([7, 1, 2, 4]))


@pytest.mark.parametrize("norms", [[1.0], [1.0, 2.0], [1.0, 0.0, 0.0]])
def test_a_spread_of_nothing_is_an_error(norms):
    with pytest.raises(ValueError, match="second half of train/grad_norm"):
        grad_spread(curve(*norms))


def test_a_training_diverged_where_it_says_so():
    assert diverged(curve(1.0)) == 1.0
    assert diverged([]) == diverged(curve(0.0)) == 0.0


def test_every_such_metric_is_of_no_task_and_better_low():
    assert set(OF_RECORD) < set(TRAINED)
    for name in TRAINED:
        assert (METRICS[name].tasks, METRICS[name].higher_is_better, METRICS[name].scale) == ((), False, 1.0)
    assert METRICS["loss_spikes"].unit == "steps"
