"""What blocks of a method's own network cost: attention counted in pairs, and a training step through it timed.

The method's blocks.py makes them, of the arguments that its recipe gives a system:
    pairs(**arguments) -> int                                  pairs of a query and a key that are compared
    block(**arguments) -> (network, inputs)                    network(*inputs) is one tensor; the inputs' gradients
                                                               are asked for where they have requires_grad
Blocks are at random, and take turns, so that an hour's load falls on all alike.
"""

import statistics
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

Block = tuple[nn.Module, tuple[Tensor, ...]]


def module_of(method: str) -> Any:
    return import_module(f"retake.methods.{method}.blocks")


def pairs(method: str, arguments: Mapping[str, Any]) -> float:
    """Pairs of a query and a key of one block."""
    return float(module_of(method).pairs(**arguments))


def step(block: Block) -> None:
    """Forward and backward once; gradients are dropped."""
    network, inputs = block
    network(*inputs).sum().backward()
    network.zero_grad(set_to_none=True)
    for tensor in inputs:
        tensor.grad = None


def kept(block: Block) -> int:
    """Bytes that are held from the forward pass to the backward one, parameters and inputs apart, each once."""
    network, inputs = block
    own = {t.untyped_storage().data_ptr() for t in [*network.parameters(), *network.buffers(), *inputs]}
    held: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        held.setdefault(tensor.untyped_storage().data_ptr(), tensor)  # alive, so that no address comes twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        answer = network(*inputs)
    total = sum(t.untyped_storage().nbytes() for place, t in held.items() if place not in own)
    del answer
    return total


def steps(method: str, blocks: Mapping[str, Mapping[str, Any]], repeats: int) -> dict[str, dict[str, float]]:
    """ms_step and mb_kept (10^6 bytes) of each block: the median of `repeats` after one that is not counted."""
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    made: dict[str, Block] = {}
    for name, arguments in blocks.items():
        network, inputs = module_of(method).block(**arguments)
        moved = tuple(t.detach().to(device).requires_grad_(t.requires_grad) for t in inputs)
        made[name] = (network.to(device), moved)
    memory = {name: kept(block) / 1e6 for name, block in made.items()}
    taken: dict[str, list[float]] = {name: [] for name in made}
    for turn in range(repeats + 1):
        for name, block in made.items():
            seconds = _seconds(block, device)
            taken[name] += [seconds] * (turn > 0)
    return {
        name: {"ms_step": statistics.median(taken[name]) * 1000, "mb_kept": memory[name]} for name in made
    }


def _seconds(block: Block, device: torch.device) -> float:
    _wait(device)
    begin = time.perf_counter()
    step(block)
    _wait(device)
    return time.perf_counter() - begin


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
