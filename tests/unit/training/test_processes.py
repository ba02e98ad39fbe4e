"""Two processes train as one does."""

import pytest
import torch

from tests.unit.training.processes import trained_both_ways
from tests.unit.training.small_stage import ETENET, make_world, stage
from tests.unit.training.test_mixture_plan import MODEL, mixed


def captions(folder):
    """Six rows, five in a step: the shares are uneven, and the last step leaves one process without a row."""
    data = make_world(folder, train=3, val=2)
    length = {"epochs": 2, "monitor": "val/cider"}
    # not Adam: it makes whole steps of what is rounding alone, such as the gradient of a bias under a softmax
    sgd = {"name": "sgd", "groups": [{"match": "*", "lr": 0.05}]}
    return stage(data, batch={"effective": 5, "at_once": 2}, length=length, optimiser=sgd)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    trainings = {"captions": (ETENET, captions(folder)), "mixture": (MODEL, mixed(folder / "mixed"))}
    return trained_both_ways(trainings, folder)


@pytest.mark.parametrize("name", ["captions", "mixture"])
def test_two_processes_take_the_steps_of_one(trained, name):
    (one, *_), (two, *_) = trained[name]
    assert one.keys() == two.keys()
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)
