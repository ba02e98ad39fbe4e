"""Milliseconds that a system's networks take for a frame, one after the other and all at the same time.

Networks are at random: a pass takes as long whatever the weights. At the same time means a stream each on a GPU,
a thread each without one. Each network sees its share of the frames of a few videos as one batch.
"""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn

from retake.layers.networks import network_of


def shares(networks: Sequence[Mapping[str, Any]]) -> tuple[int, list[int]]:
    """(frames of one video that are looked at, how many of them each network sees): the fewest that come out whole."""
    frames = math.lcm(*(one["frames"][1] for one in networks))
    return frames, [one["frames"][0] * frames // one["frames"][1] for one in networks]


class Networks:
    """A system's networks with a batch for each."""

    def __init__(self, networks: Sequence[Mapping[str, Any]], videos: int, device: torch.device):
        self.device, self.videos = device, videos
        self.frames, seen = shares(networks)
        self.parts: list[tuple[nn.Module, Tensor]] = []
        for one, count in zip(networks, seen, strict=True):
            network = network_of(one["network"], dict(one["arguments"]), one["input"][0]).eval().to(device)
            self.parts.append((network, torch.zeros(count * videos, *one["input"], device=device)))

    def warm_up(self) -> None:
        """One frame through each network on the CPU, everything on a GPU, which chooses its ways by size."""
        with torch.inference_mode():
            for network, batch in self.parts:
                network(batch if self.device.type == "cuda" else batch[:1])

    def in_turn(self) -> None:
        with torch.inference_mode():
            for network, batch in self.parts:
                network(batch)

    def at_once(self) -> None:
        with ThreadPoolExecutor(len(self.parts)) as threads:
            list(threads.map(self._alone, self.parts))

    def _alone(self, part: tuple[nn.Module, Tensor]) -> None:
        network, batch = part
        with torch.inference_mode():
            if self.device.type != "cuda":
                network(batch)
                return
            with torch.cuda.stream(torch.cuda.Stream(self.device)):
                network(batch)

    def milliseconds(self, work: Callable[[], None], repeats: int) -> float:
        """A frame's, the median of `repeats`."""
        taken = []
        for _ in range(repeats):
            self._wait()
            begin = time.perf_counter()
            work()
            self._wait()
            taken.append(time.perf_counter() - begin)
        return statistics.median(taken) / (self.frames * self.videos) * 1000

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def times(networks: Sequence[Mapping[str, Any]], videos: int, repeats: int) -> dict[str, float]:
    """ms_in_turn and ms_at_once of one system; equal where it has one network."""
    torch.set_num_threads(1)
    held = Networks(networks, videos, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    held.warm_up()
    found = {"ms_in_turn": held.milliseconds(held.in_turn, repeats)}
    alone = len(held.parts) == 1
    found["ms_at_once"] = found["ms_in_turn"] if alone else held.milliseconds(held.at_once, repeats)
    return found
