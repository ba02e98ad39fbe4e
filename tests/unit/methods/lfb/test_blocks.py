"""What the network costs at the paper's size: the trunk, and what operator and classifier add, by hand."""

import pytest
import torch

from retake.costs.operations import gflops, parameters, params_m
from retake.methods.lfb.blocks import network

NAME = "retake.methods.lfb.blocks:network"
CLIP = [3, 32, 224, 224]
TRUNK, CLASSES, D, C, SLOTS = 190_646_321_152, 80, 512, 2048, 300  # METHODS 8.6: 190.6 GMAC


def one(**arguments):
    return [{"network": NAME, "arguments": arguments, "input": CLIP, "frames": (1, 1)}]


def test_an_operator_costs_its_linear_layers_and_two_products_a_layer():
    alone, supported = one(), one(operator={"name": "nl", "layers": 2})
    assert gflops(alone) * 1e9 == pytest.approx(TRUNK + C * CLASSES, abs=1)
    reduced = C * D * (1 + SLOTS)
    layer = 2 * D * D + 2 * SLOTS * D * D + 2 * SLOTS * D  # theta and out; phi and g; affinity and sum
    assert gflops(supported) * 1e9 == pytest.approx(TRUNK + (C + D) * CLASSES + reduced + 2 * layer, abs=1)
    assert gflops(supported) / gflops(alone) < 1.01  # "far below 1% of the backbone"


def test_parameters_are_the_published_ones():
    assert params_m(one(operator={"name": "nl", "layers": 2})) == pytest.approx(38.986640)
    assert params_m(one(operator={"name": "avg"})) == pytest.approx(
        (34_582_336 + 2 * C * CLASSES + CLASSES) / 1e6
    )


def test_it_answers_as_the_model_does():
    with torch.device("meta"):
        made = network(operator={"name": "sto"}, num_classes=3).eval()
        assert made(torch.empty(2, *CLIP)).shape == (2, 3)
    assert parameters(made) == 34_582_336 + 4_199_424 + 3 * 2561
