"""Damages files: a mutation is a function of a file's bytes and a seed, and of nothing else."""

from collections.abc import Callable

import numpy as np

Mutation = Callable[[bytes, np.random.Generator], bytes]
HEADER = 64  # bytes at a file's start in which most formats say what they are


def truncated(data: bytes, rng: np.random.Generator) -> bytes:
    """The file ends early, as after a broken download."""
    return data[: int(rng.integers(len(data)))]


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    """Up to eight single bits are turned over, anywhere."""
    changed = bytearray(data)
    for at in rng.integers(len(data), size=int(rng.integers(1, 9))):
        changed[at] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def blanked(data: bytes, rng: np.random.Generator) -> bytes:
    """A run of bytes is zero, as on a disk that was never written there."""
    begin = int(rng.integers(len(data)))
    end = min(len(data), begin + int(rng.integers(1, 4096)))
    return data[:begin] + bytes(end - begin) + data[end:]


def without_a_run(data: bytes, rng: np.random.Generator) -> bytes:
    """A run of bytes is missing, all after it comes too early."""
    begin = int(rng.integers(len(data)))
    return data[:begin] + data[begin + int(rng.integers(1, 2048)) :]


def doubled(data: bytes, rng: np.random.Generator) -> bytes:
    """A run of bytes stands there twice, as after a download that went on at the wrong place."""
    begin, end = sorted(int(n) for n in rng.integers(len(data) + 1, size=2))
    return data[:end] + data[begin:]


def header_noise(data: bytes, rng: np.random.Generator) -> bytes:
    """The first bytes are noise."""
    return rng.bytes(min(HEADER, len(data))) + data[HEADER:]


def junk_behind(data: bytes, rng: np.random.Generator) -> bytes:
    """Noise after the file's end."""
    return data + rng.bytes(int(rng.integers(1, 10_000)))


MUTATIONS: tuple[Mutation, ...] = (
    truncated,
    flipped,
    blanked,
    without_a_run,
    doubled,
    header_noise,
    junk_behind,
)


def headers_swapped(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """The beginning of one file on the rest of another."""
    length = int(rng.integers(8, 2048))
    return other[:length] + data[length:]


def mutants(files: dict[str, bytes], count: int) -> dict[str, tuple[str, bytes]]:
    """`count` damaged files: name -> (name of the file that was damaged, its bytes).

    Files and kinds of damage come in turn; what a mutation draws depends on the mutant's number alone.
    """
    names = sorted(files)
    found: dict[str, tuple[str, bytes]] = {}
    for number in range(count):
        rng = np.random.default_rng([20, number])
        name = names[number % len(names)]
        kind = (number // len(names)) % (len(MUTATIONS) + 1)
        if kind == len(MUTATIONS):
            other = files[names[(number + 1 + int(rng.integers(len(names) - 1))) % len(names)]]
            how, data = "headers_swapped", headers_swapped(files[name], other, rng)
        else:
            how, data = MUTATIONS[kind].__name__, MUTATIONS[kind](files[name], rng)
        stem, _, ending = name.rpartition(".")
        found[f"{number:03d}_{how}_{stem}.{ending}"] = (name, data)
    return found
