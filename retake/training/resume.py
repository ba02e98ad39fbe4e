"""Where a stage stands, written now and then so that a killed job goes on in the middle.

One safetensors file, replaced atomically: tensors of the model, the best model and the optimiser; the rest
is JSON in its header. Random numbers need no state: they are seeded anew at every step from (seed, step,
process).
"""

import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from retake.training.checkpoint import read_tensors, write_tensors

FILE = "state.safetensors"


@dataclass
class Progress:
    epoch: int = 0
    group: int = 0  # optimiser steps done in this epoch
    step: int = 0
    best: float | None = None  # value of the monitor
    best_step: int | None = None
    waited: int = 0  # validations since the best
    evaluated: int | None = None  # step of the last validation
    first: float | None = None  # total loss of the first step
    diverged: bool = False
    history: list[tuple[str, float, int]] = field(default_factory=list)  # every metric so far


def seed_step(seed: int, step: int, rank: int) -> None:
    """Every generator that a model may draw from, as a function of the step."""
    number = int(np.random.SeedSequence([seed % 2**63, step, rank]).generate_state(1, np.uint64)[0])
    if torch.cuda.is_initialized():
        torch.manual_seed(number % 2**63)
    else:  # it would note down where each call came from, for devices that are not there: a millisecond
        torch.default_generator.manual_seed(number % 2**63)
    random.seed(number)
    np.random.seed(number % 2**32)


class ResumeState:
    """Reads and writes the state under `folder`; `identity` says whose it is."""

    def __init__(self, folder: Path, identity: str, settings: dict[str, Any]):
        self.file, self.identity = folder / FILE, identity
        self.every_s, self.every_steps = settings["every_s"], settings["every_steps"]
        self.last_s = time.monotonic()

    def due(self, step: int) -> bool:
        if self.every_steps is not None:
            return step % self.every_steps == 0
        return time.monotonic() - self.last_s >= self.every_s

    def write(
        self,
        progress: Progress,
        parts: dict[str, dict[str, Tensor]],
        optimiser: dict[int, dict[str, Any]],
        extra: Any,
    ) -> None:
        """parts: "model" and "best" -> tensors by name; optimiser: the state in its state_dict; extra: JSON of
        the loss scaler.
        """
        tensors = {f"{part}/{name}": t for part, named in parts.items() for name, t in named.items()}
        plain: dict[str, dict[str, Any]] = {}
        for number, state in optimiser.items():
            for key, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"optimiser/{number}/{key}"] = value
                else:
                    plain.setdefault(str(number), {})[key] = value
        header = {"identity": self.identity, "progress": asdict(progress), "optimiser": plain, "extra": extra}
        write_tensors(self.file, {name: t.clone() for name, t in tensors.items()}, header)
        self.last_s = time.monotonic()

    def read(
        self, optimiser: torch.optim.Optimizer, share_of: Callable[[Tensor, Tensor], Tensor]
    ) -> tuple[Progress, dict[str, dict[str, Tensor]], Any] | None:
        """What was written last, the optimiser filled; None where nothing was.

        share_of(tensor, parameter): what this process holds of a tensor of the optimiser's state.
        Raises ValueError if it is the state of another run.
        """
        if not self.file.exists():
            return None
        tensors, header = read_tensors(self.file)
        if header.get("identity") != self.identity:
            raise ValueError(f"{self.file}: the state of another run; remove it to begin anew")
        parts: dict[str, dict[str, Tensor]] = {}
        state: dict[int, dict[str, Any]] = {int(n): dict(values) for n, values in header["optimiser"].items()}
        for name, tensor in tensors.items():
            part, rest = name.split("/", 1)
            if part == "optimiser":
                number, key = rest.split("/", 1)
                state.setdefault(int(number), {})[key] = tensor
            else:
                parts.setdefault(part, {})[rest] = tensor
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        for at, values in state.items():
            values |= {k: share_of(v, parameters[at]) for k, v in values.items() if isinstance(v, Tensor)}
        optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
        progress = Progress(**header["progress"])
        progress.history = [tuple(entry) for entry in progress.history]
        return progress, parts, header["extra"]
