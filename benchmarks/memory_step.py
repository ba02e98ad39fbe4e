"""What a bank adds to a training step at the paper's size, as a share of the short-term network's step.

python benchmarks/memory_step.py [--frames 32] [--side 224] [--clips 1] [--repeats 1] [--slots 300]

R50-I3D-NL on the GPU where there is one, else in processor seconds: forward, backward and optimiser of a batch of
clips with one box each; and alone what a bank adds to it (FBO-NL of 2 layers, its windows drawn from a file of features
that is warm), which is too little to be seen in the difference of two steps. Prints JSON.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator, default_rng

from retake.methods.lfb.blocks import batch_of, network
from retake.methods.lfb.operators import operator_of

WIDTH, SECONDS, ROWS = 2048, 897, 3  # of a film's bank: its seconds, and features of each


def windows(bank: np.ndarray, clips: int, slots: int, rng: Generator) -> torch.Tensor:
    """(clips, slots, WIDTH): parts of the file, from any row on."""
    starts = rng.integers(0, len(bank) - slots, size=clips)
    return torch.from_numpy(np.stack([bank[at : at + slots] for at in starts]).astype(np.float32))


def clock(device: torch.device) -> float:
    """On a GPU the time of day; else processor seconds, in which others' load on the machine does not count."""
    if device.type != "cuda":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def median_s(work: Callable[[], None], repeats: int, device: torch.device) -> float:
    """Seconds of `work`, the median of `repeats` after one that is not counted."""
    taken = []
    for turn in range(repeats + 1):
        begin = clock(device)
        work()
        taken += [clock(device) - begin] * (turn > 0)
    return statistics.median(taken)


def short_term_s(clips: torch.Tensor, repeats: int) -> float:
    """Of a step of the network without a bank: forward, backward, optimiser."""
    made = network().train().to(clips.device)
    optimiser = torch.optim.SGD(made.parameters(), lr=1e-3, momentum=0.9, nesterov=True)
    batch = batch_of(clips, 1, WIDTH) | {"labels": torch.zeros(len(clips), 80, device=clips.device)}

    def work() -> None:
        optimiser.zero_grad()
        made.model.losses(batch)["total"].backward()
        optimiser.step()

    return median_s(work, repeats, clips.device)


def bank_s(bank: np.ndarray, given: argparse.Namespace, device: torch.device) -> float:
    """Of what a bank adds to it: windows read, the operator forward and backward, its parameters' optimiser."""
    operator = (
        operator_of({"name": "nl", "layers": 2}, short_width=WIDTH, memory_width=WIDTH).train().to(device)
    )
    optimiser = torch.optim.SGD(operator.parameters(), lr=1e-3, momentum=0.9, nesterov=True)
    short = torch.rand(given.clips, WIDTH, device=device, requires_grad=True)
    keep = torch.ones(given.clips, given.slots, dtype=torch.bool, device=device)
    rng, item = default_rng(0), torch.arange(given.clips, device=device)

    def work() -> None:
        memory = windows(bank, given.clips, given.slots, rng).to(device)
        optimiser.zero_grad()
        operator(short, memory, keep, item).sum().backward()
        optimiser.step()

    return median_s(work, 20, device)


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, value in (("frames", 32), ("side", 224), ("clips", 1), ("repeats", 1), ("slots", 300)):
        parser.add_argument(f"--{name}", type=int, default=value)
    given = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    clips = torch.rand(given.clips, 3, given.frames, given.side, given.side, device=device)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.npy"
        np.save(path, default_rng(0).standard_normal((SECONDS * ROWS, WIDTH)).astype(np.float16))
        bank = np.load(path, mmap_mode="r")
        told = {"bank_s": bank_s(bank, given, device), "short_term_s": short_term_s(clips, given.repeats)}
    told["added_share"] = told["bank_s"] / told["short_term_s"]
    print(json.dumps(vars(given) | {"device": device.type} | told, indent=1))


if __name__ == "__main__":
    main()
