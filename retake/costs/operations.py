"""Multiply-adds and parameters of networks, counted on tensors that hold no numbers: no weights, no data, hardly any
time.

Counted are convolutions and matrix products, as papers do: a multiplication with its addition is one. Biases,
norms, poolings and activations are left out. Constants of frozen norms count as parameters, as those of trained ones.
"""

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from retake.layers.inflated import Affine
from retake.layers.networks import network_of


def multiply_adds(network: nn.Module, shape: Sequence[int]) -> int:
    """Of one pass of an input (1, *shape). `network` must lie on torch's meta device."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network.eval()(torch.empty(1, *shape, device="meta"))
    return counter.get_total_flops() // 2  # it counts multiplications and additions apart


def parameters(network: nn.Module) -> int:
    """Of all layers, each tensor once, frozen norms' factors and offsets among them."""
    frozen = [part for module in network.modules() if isinstance(module, Affine) for part in module.buffers()]
    return sum(tensor.numel() for tensor in [*network.parameters(), *frozen])


def without_numbers(one: Mapping[str, Any]) -> nn.Module:
    """The network of a schema.costs.Pass on torch's meta device. Systems share networks: each is made once."""
    return _made(json.dumps([one["network"], one["arguments"], one["input"][0]], sort_keys=True))


@cache
def _made(said: str) -> nn.Module:
    name, arguments, channels = json.loads(said)
    with torch.device("meta"):
        return network_of(name, arguments, channels)


def gflops(networks: Sequence[Mapping[str, Any]]) -> float:
    """10^9 multiply-adds of a system's networks (schema.costs.Pass), each by its share of frames, added."""
    parts = []
    for one in networks:
        seen, of = one["frames"]
        parts.append(_multiply_adds(without_numbers(one), tuple(one["input"])) * seen / of)
    return math.fsum(parts) / 1e9


_multiply_adds = cache(multiply_adds)  # of networks that are made once


def params_m(networks: Sequence[Mapping[str, Any]]) -> float:
    """10^6 parameters of a system's networks, added: what two networks share is not known, and counts twice."""
    return sum(parameters(without_numbers(one)) for one in networks) / 1e6


def relative(values: dict[str, dict[str, float]], to: str) -> dict[str, dict[str, float]]:
    """Each system's values, and each of them over that of the system `to`, as <metric>_x."""
    return {
        name: {**own, **{f"{metric}_x": value / values[to][metric] for metric, value in own.items()}}
        for name, own in values.items()
    }
