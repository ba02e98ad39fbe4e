"""How several processes train one model: each has the whole of it, or a share (retake/training/sharding.py)."""

from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from retake.training.checkpoint import state_of


class Replicated:
    """Every process has the whole model; gradients are added up after the last mini-batch of a step."""

    in_step = False  # whether processes must take equally many batches, as their units meet in each

    def __init__(self, accelerator: Accelerator):
        self.accelerator = accelerator

    def place(self, model: nn.Module) -> None:
        """Put the model where it is trained, before its optimiser is made."""
        model.to(self.accelerator.device)

    def add_up(self, parameters: list[nn.Parameter]) -> None:
        """Sum gradients over processes. Losses are sums, so gradients add up; averaging wrappers would not know
        the counts.
        """
        if self.accelerator.num_processes == 1:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            parameter.grad = self.accelerator.reduce(parameter.grad, reduction="sum")

    def unscale(self, optimiser: Any) -> None:
        self.accelerator.unscale_gradients(optimiser)

    def agreed(self, said: bool) -> bool:
        """What the first process says, on all of those that act on it."""
        return said and self.accelerator.is_main_process

    def number(self, value: Tensor) -> float:
        """A number that every process has computed of its own."""
        return float(value)

    def copied(self, model: nn.Module) -> dict[str, Tensor]:
        """The model's tensors as they are now, kept aside."""
        return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}

    def gathered(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Whole tensors, on the first process at least."""
        return tensors

    def fill(self, model: nn.Module, given: dict[str, Tensor]) -> None:
        model.load_state_dict(given)

    def share_of(self, full: Tensor, parameter: Tensor) -> Tensor:  # noqa: ARG002
        """What this process holds of a tensor that belongs to a parameter."""
        return full

    def written(self, model: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Tensors of a checkpoint, and further names of some of them."""
        return state_of(model)


def parallel_of(name: str, accelerator: Accelerator) -> Replicated:
    """The way a stage names: replicate or fsdp2; a lone process has nothing to share out."""
    if name not in ("replicate", "fsdp2"):
        raise ValueError(f"stage: parallel: expected replicate or fsdp2, found {name!r}")
    if name == "replicate" or accelerator.num_processes == 1:
        return Replicated(accelerator)
    from retake.training.sharding import Sharded  # late: distributed tensors take a second to import

    return Sharded(accelerator)
