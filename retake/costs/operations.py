"""Multiply-adds of networks, counted on tensors that hold no numbers: no weights, no data, hardly any time.

Counted are convolutions and matrix products, as papers do: a multiplication with its addition is one. Biases,
norms, poolings and activations are left out.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from retake.layers.networks import network_of


def multiply_adds(network: nn.Module, shape: Sequence[int]) -> int:
    """Of one pass of an input (1, *shape). `network` must lie on torch's meta device."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network.eval()(torch.empty(1, *shape, device="meta"))
    return counter.get_total_flops() // 2  # it counts multiplications and additions apart


def gflops(networks: Sequence[Mapping[str, Any]]) -> float:
    """10^9 multiply-adds of a system's networks (schema.costs.Pass), each by its share of frames, added."""
    parts = []
    for one in networks:
        with torch.device("meta"):
            network = network_of(one["network"], dict(one["arguments"]), one["input"][0])
        seen, of = one["frames"]
        parts.append(multiply_adds(network, one["input"]) * seen / of)
    return math.fsum(parts) / 1e9
