"""What a stage trains: parameters by name pattern, and batch normalisations that stay as they are."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def matching(patterns: list[str], names: Iterable[str], where: str) -> set[str]:
    """Names that a pattern matches. Raises ValueError, with close names, on a pattern that matches none."""
    names = list(names)
    found: set[str] = set()
    for pattern in patterns:
        hits = {name for name in names if fnmatchcase(name, pattern)}
        if not hits:
            some = sorted({name.split(".")[0] + ".*" for name in names})
            raise ValueError(f"{where}: {pattern!r} matches no parameter; there are {', '.join(some)}")
        found |= hits
    return found


def norms_of(model: nn.Module, patterns: list[str]) -> dict[str, nn.Module]:
    """Batch normalisations by name whose name, or a parameter of which, a pattern matches."""
    norms = {name: module for name, module in model.named_modules() if isinstance(module, _BatchNorm)}
    places = {f"{name}{tail}": name for name in norms for tail in ("", ".weight", ".bias")}
    return {places[p]: norms[places[p]] for p in matching(patterns, places, "batch_norm.frozen")}


def check_stored(module: Any, sources: Iterable[Mapping[str, Any]], trained: Iterable[str]) -> None:
    """Raises ValueError where data reads stored rows, and what these stand for (the module's STORED) is trained."""
    if not any(source["stored"] for source in sources):
        return
    if not (begins := getattr(module, "STORED", ())):
        raise ValueError(
            f"data: stored: {module.__name__} names no STORED, which rows of a bank could stand for"
        )
    if moved := [name for name in trained if name.startswith(tuple(begins))]:
        raise ValueError(f"trainable: {moved[0]!r} is trained, and its work is read from stored rows")


class Freezer:
    """Keeps still what a stage does not train: gradients, running statistics and dropout of frozen parts.

    trainable   patterns over parameter names; each must match
    batch_norm  {"frozen": patterns over module or parameter names, "affine": frozen | trained}
    """

    def __init__(self, model: nn.Module, trainable: list[str], batch_norm: dict[str, Any]):
        self.model = model
        names = [name for name, _ in model.named_parameters()]
        chosen = matching(trainable, names, "trainable")
        norms = norms_of(model, batch_norm["frozen"])
        if batch_norm["affine"] == "frozen":
            chosen -= {f"{name}.{part}" for name in norms for part in ("weight", "bias")}
        elif batch_norm["affine"] != "trained":
            raise ValueError(f"batch_norm.affine: expected frozen or trained, found {batch_norm['affine']!r}")
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in chosen)
        self.trained = [name for name in names if name in chosen]
        if not self.trained:
            raise ValueError("trainable: nothing is left to train once batch normalisation is frozen")
        self.still = [*norms.values(), *self._frozen_parts()]
        self._set = False  # whether modes were set once

    def _frozen_parts(self) -> list[nn.Module]:
        """Modules that own parameters or running statistics below them, none of which is trained; of those within
        one another the outermost.
        """
        still, within = [], set()
        for module in self.model.modules():
            parameters = list(module.parameters())
            if module not in within and parameters and not any(p.requires_grad for p in parameters):
                still.append(module)
                within.update(module.modules())
        return still

    def train(self) -> None:
        """Training mode, save for what stays still. Where the modes are as they were left nothing is walked through."""
        if self._set and self.model.training and not any(module.training for module in self.still):
            return
        self._set = True
        self.model.train()
        for module in self.still:
            module.eval()
