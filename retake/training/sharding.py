"""A model's parameters, gradients and optimiser state shared out over the processes (stage key `parallel: fsdp2`).

Processes, their devices and the process group are accelerate's. The sharding itself is torch's `fully_shard`,
called here: accelerate's own fsdp2 wraps the model and averages gradients by process, where the loop divides a
sum by the count of all; and on CPUs accelerate leaves parameters whole without a word, so that no test could
hold it to anything.

Every parameter is cut along its first axis, process r having the r-th piece. A unit's whole parameters are
brought together while it runs and dropped after. Frozen parameters are shared out like trained ones.
"""

from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from retake.training.checkpoint import state_of
from retake.training.parallel import Replicated

CALLED = ("losses", "predict")  # what the loop calls, as others call forward


def shard_units(model: nn.Module) -> list[nn.Module]:
    """The modules whose parameters are brought together at a time: what the model's `shard_units()` lists, or
    the direct children of its outermost module lists.

    Raises ValueError where there is none, or where a parameter belongs to a unit and to something outside it.
    """
    units = list(model.shard_units()) if hasattr(model, "shard_units") else _listed(model)
    if not units:
        raise ValueError(
            "parallel: fsdp2: the model has no module list; expected shard_units() to name its blocks"
        )
    inside = {id(m) for unit in units for m in unit.modules()}
    owners: dict[int, int] = {}
    for number, unit in enumerate(units):
        for parameter in unit.parameters():
            if owners.setdefault(id(parameter), number) != number:
                raise ValueError("parallel: fsdp2: two of the model's units have a parameter in common")
    for name, module in model.named_modules():
        if id(module) not in inside:
            for own, parameter in module.named_parameters(recurse=False):
                if id(parameter) in owners:
                    raise ValueError(f"parallel: fsdp2: {name}.{own} is also in one of the model's units")
    return units


def _listed(module: nn.Module) -> list[nn.Module]:
    found: list[nn.Module] = []
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            for block in child:
                found += _listed(nn.ModuleList([block])) if isinstance(block, nn.ModuleList) else [block]
        else:
            found += _listed(child)
    return [block for block in found if any(True for _ in block.parameters())]


def share_out(model: nn.Module, accelerator: Accelerator) -> None:
    """Shard the model in place; its parameters are DTensors from here on. Its buffers stay whole.

    Gradients of the processes are added up, exactly as the loop adds them up without sharding.
    """
    if hasattr(model, "before_evaluation"):
        raise ValueError(
            "parallel: fsdp2: a model that looks at batches before an evaluation is not shared out"
        )
    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    for unit in shard_units(model):
        fully_shard(unit, mesh=mesh)
    fully_shard(model, mesh=mesh)
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)  # a sum, no average
            module.set_force_sum_reduction_for_comms(
                True
            )  # else the factor is applied by an operation of GPUs
    for name in CALLED:
        if hasattr(model, name):
            register_fsdp_forward_method(model, name)


def whole(tensor: Tensor) -> Tensor:
    """The tensor with its pieces put together, on every process; every process must ask for it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


class Sharded(Replicated):
    """Every process has a share of the model, and brings together one unit at a time."""

    in_step = True

    def place(self, model: nn.Module) -> None:
        self.aliases = state_of(model)[1]
        share_out(model, self.accelerator)

    def add_up(self, parameters: list[nn.Parameter]) -> None:
        """Done: each backward pass adds up what it has."""

    def unscale(self, optimiser: Any) -> None:
        """Undo the loss scaling; a gradient that overflowed on one process is one on all, and all skip the step."""
        self.accelerator.unscale_gradients(optimiser)
        if self.accelerator.scaler is None:
            return
        states = self.accelerator.scaler._per_optimizer_states[id(optimiser.optimizer)]
        for found in states["found_inf_per_device"].values():
            local = found.to_local() if isinstance(found, DTensor) else found
            torch.distributed.all_reduce(local, op=torch.distributed.ReduceOp.MAX)

    def agreed(self, said: bool) -> bool:
        mine = torch.tensor(float(said and self.accelerator.is_main_process), device=self.accelerator.device)
        return bool(self.accelerator.reduce(mine, reduction="sum") > 0)

    def number(self, value: Tensor) -> float:
        return float(whole(value))

    def copied(self, model: nn.Module) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    def gathered(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        found = {}
        for name, tensor in tensors.items():
            full = whole(tensor.detach())  # on all processes; the others drop it at once
            if self.accelerator.is_main_process:
                found[name] = full.cpu()
        return found

    @torch.no_grad()
    def fill(self, model: nn.Module, given: dict[str, Tensor]) -> None:
        """Copy whole or shared tensors in. Raises ValueError on names that differ."""
        tensors = model.state_dict()
        if odd := sorted(tensors.keys() ^ given.keys()):
            raise ValueError(f"{len(odd)} names are not both the model's and given, first {odd[0]!r}")
        for name, tensor in tensors.items():
            tensor.copy_(self.share_of(given[name], tensor))

    def share_of(self, full: Tensor, parameter: Tensor) -> Tensor:
        if isinstance(full, DTensor) or not isinstance(parameter, DTensor) or full.shape != parameter.shape:
            return full
        at = full.to(self.accelerator.device)
        return distribute_tensor(at, parameter.device_mesh, parameter.placements, src_data_rank=None)

    def written(self, model: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
        own = {name: t for name, t in model.state_dict().items() if name not in self.aliases}
        return self.gathered(own), self.aliases
