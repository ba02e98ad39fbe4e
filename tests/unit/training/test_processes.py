"""Two processes train as one does."""

import torch

from tests.unit.training.processes import trained
from tests.unit.training.small_stage import ETENET, make_world, stage


def test_two_processes_take_the_steps_of_one(tmp_path):
    """Six rows, five in a step: the shares are uneven, and the last step leaves one process without a row."""
    data = make_world(tmp_path, train=3, val=2)
    length = {"epochs": 2, "monitor": "val/cider"}
    # not Adam: it makes whole steps of what is rounding alone, such as the gradient of a bias under a softmax
    sgd = {"name": "sgd", "groups": [{"match": "*", "lr": 0.05}]}
    recipe = stage(data, batch={"effective": 5, "at_once": 2}, length=length, optimiser=sgd)
    one, two = (trained(ETENET, recipe, tmp_path / str(num), num)[0] for num in (1, 2))
    assert one.keys() == two.keys()
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)
