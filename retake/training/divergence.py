"""A training whose loss runs away, and what is kept of it (stage key `diverged: keep`)."""

import math

import torch
from accelerate import Accelerator
from torch import Tensor, nn

LIMIT = 1e4  # times the first loss


def runs_away(loss: float, first: float | None) -> bool:
    """Whether a loss is no number, or more than LIMIT times the first; of a first loss of 0 nothing can be said."""
    return not math.isfinite(loss) or (bool(first) and loss > LIMIT * abs(first or 0.0))


class Kept:
    """What a step changes of a model, as it was before: trained parameters and buffers of floats."""

    def __init__(self, model: nn.Module, trained: list[nn.Parameter], accelerator: Accelerator):
        self.accelerator = accelerator
        self.tensors: list[Tensor] = [*trained, *(b for b in model.buffers() if b.is_floating_point())]
        self.copies: list[Tensor] = []

    @torch.no_grad()
    def take(self) -> None:
        self.copies = [tensor.detach().clone() for tensor in self.tensors]

    @torch.no_grad()
    def put_back(self) -> None:
        for tensor, copy in zip(self.tensors, self.copies, strict=True):
            tensor.copy_(copy)

    @torch.no_grad()
    def finite(self) -> bool:
        """Whether every element is a number, on every process."""
        local = [t.to_local() if hasattr(t, "to_local") else t for t in self.tensors]
        odd = torch.stack([(~torch.isfinite(t)).any() for t in local]).sum()
        return not self.accelerator.reduce(odd, reduction="sum")
