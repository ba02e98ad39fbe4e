"""Networks by name: sizes as published, and a name that nobody has."""

import itertools

import pytest
import torch

from retake.layers.networks import CLASSES, network_of


def test_c3d_has_the_parameters_that_its_layers_add_up_to():
    widths = [3, 64, 128, 256, 256, 512, 512, 512, 512]
    convolutions = sum(27 * a * b + b for a, b in itertools.pairwise(widths))
    full = [8192, 4096, 4096, CLASSES]
    layers = sum(a * b + b for a, b in itertools.pairwise(full))
    with torch.device("meta"):
        network = network_of("c3d", {}, 3)
    assert sum(p.numel() for p in network.parameters()) == convolutions + layers
    assert network(torch.empty(2, 3, 16, 112, 112, device="meta")).shape == (2, CLASSES)


@pytest.mark.parametrize(("name", "shape"), [("res3d", (3, 8, 112, 112)), ("resnet18", (2, 64, 64))])
def test_networks_take_their_input(name, shape):
    with torch.device("meta"):
        network = network_of(name, {}, shape[0]).eval()
    assert network(torch.empty(1, *shape, device="meta")).shape == (1, CLASSES)


def test_a_name_that_nobody_has_is_an_error():
    with pytest.raises(
        ValueError, match="network 'resnot18': neither c3d nor res3d nor i3d_nl nor one of timm"
    ):
        network_of("resnot18", {}, 3)


def test_a_module_may_make_its_own():
    made = network_of("torch.nn:Conv2d", {"in_channels": 3, "out_channels": 4, "kernel_size": 1}, 3)
    assert made(torch.zeros(1, 3, 2, 2)).shape == (1, 4, 2, 2)


def test_an_inflated_network_may_differ_from_the_published_one():
    with torch.device("meta"):
        network = network_of("i3d_nl_r101", {"non_local": [[]] * 4}, 3)
    assert not len(network.non_local)
    with pytest.raises(ValueError, match="'i3d_nl_r50' sees 3 channels, not 2"):
        network_of("i3d_nl_r50", {}, 2)


def test_clips_of_other_channels_are_an_error():
    with pytest.raises(ValueError, match="'res3d' sees 3 channels, not 2"):
        network_of("res3d", {}, 2)
