"""How long separable cross-attention takes beside full cross-attention, forward and backward.

    python benchmarks/attention.py [--frames 16] [--places 400] [--words 16] [--videos 1] [--repetitions 9]

One layer of each at the paper's width, at random, on one thread (or the GPU); they take turns in one run. Features need
no gradient, as those of a frozen encoder. Printed: milliseconds of a step of each, and the ratio full to separable
(median, smallest to largest), by the clock and in processor time; on a busy machine only the latter means anything.
Then the pairs that each compares, and the memory kept for the backward pass. Target: 5.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from retake.costs.blocks import kept, step
from retake.methods.frozencaptioner.attention import WAYS
from retake.methods.frozencaptioner.blocks import block, pairs

SIZES = {
    "layers": 1,
    "width": 2048,
    "key_width": 768,
    "heads": 32,
    "head_width": 64,
    "latents": 64,
    "ffn_factor": 4,
}
PAIR = ("separable", "full")


def taken(made: tuple, device: torch.device) -> tuple[float, float]:
    """Seconds of a step by the clock and of this process's time."""
    clock, own = time.perf_counter(), time.process_time()
    step(made)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - clock, time.process_time() - own


def ways(names: list[str], sizes: dict[str, int], device: torch.device) -> dict[str, tuple]:
    found = {}
    for name in names:
        network, inputs = block(attention=name, **SIZES, **sizes)
        moved = tuple(t.detach().to(device).requires_grad_(t.requires_grad) for t in inputs)
        found[name] = (network.to(device), moved)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("frames", 16), ("places", 400), ("words", 16), ("videos", 1), ("repetitions", 9)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--all", action="store_true", help="the naive axial way and the Perceiver, too")
    given = vars(parser.parse_args())
    repetitions, everything = given.pop("repetitions"), given.pop("all")
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    made = ways(list(WAYS) if everything else list(PAIR), given, device)
    for one in made.values():  # not counted
        step(one)
    times = {name: [] for name in made}
    for _ in range(repetitions):
        for name, one in made.items():
            times[name].append(taken(one, device))
    say = sys.stdout.write
    say(f"{given['frames']} frames of {given['places']} places, {given['words']} words, {device.type}\n")
    asked = {name: given[name] for name in ("frames", "places", "words")} | {"latents": SIZES["latents"]}
    for name, one in made.items():
        clock, own = (statistics.median(t[n] for t in times[name]) * 1000 for n in (0, 1))
        compared, held = pairs(attention=name, **asked), kept(one) / 1e6
        say(
            f"{name:<10} {clock:9.2f} ms {own:9.2f} ms of processor, {compared:>8} pairs, {held:8.1f} MB kept\n"
        )
    for what, n in (("clock", 0), ("processor", 1)):
        ratios = [f[n] / s[n] for s, f in zip(times["separable"], times["full"], strict=True)]
        spread = f"{min(ratios):.1f} to {max(ratios):.1f}"
        say(f"full / separable, {what}: {statistics.median(ratios):.1f} ({spread} over {repetitions})\n")


if __name__ == "__main__":
    main()
