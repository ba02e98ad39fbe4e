"""What a part of a network is made of and gives: a table of layers, told by the network itself.

A part is the modules whose names match one of some patterns; those inside another one of it belong to that. What it
gives is what the last of them to run gives. Tensors hold no numbers: no weights, no data, hardly any time.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from retake.costs.operations import without_numbers

SIDES = ("out_channels", "out_frames", "out_height", "out_width")
KERNELS = (nn.Conv2d, nn.Conv3d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool2d, nn.AvgPool3d)


def described(one: Mapping[str, Any], patterns: Sequence[str]) -> dict[str, float]:
    """The metrics schema.costs.PARTS of a part of a network (schema.costs.Pass); of pictures none of frames.

    Raises ValueError where nothing matches, or what matches does not run or gives no maps.
    """
    try:
        return part_of(without_numbers(one), one["input"], patterns)
    except ValueError as error:
        raise ValueError(f"network {one['network']!r}: {error}") from None


def part_of(network: nn.Module, shape: Sequence[int], patterns: Sequence[str]) -> dict[str, float]:
    """As `described`, of a network that lies on torch's meta device and an input (1, *shape)."""
    found = blocks_of(network, patterns)
    given: list[Any] = []

    def note(module: nn.Module, inputs: Any, output: Any) -> None:  # noqa: ARG001  as torch calls it
        given.append(output)

    hooks = [module.register_forward_hook(note) for module in found.values()]
    try:
        with torch.no_grad():
            network.eval()(torch.empty(1, *shape, device="meta"))
    finally:
        for hook in hooks:
            hook.remove()
    if not given or not isinstance(given[-1], Tensor) or given[-1].ndim not in (4, 5):
        raise ValueError(f"parts: {', '.join(found)} give no maps of (B, C, ..., H, W)")
    sides = SIDES if given[-1].ndim == 5 else [side for side in SIDES if side != "out_frames"]
    told: dict[str, float] = {"blocks": float(len(found))}
    told |= _kernels([part for module in found.values() for part in module.modules()])
    return told | {side: float(n) for side, n in zip(sides, given[-1].shape[1:], strict=True)}


def blocks_of(network: nn.Module, patterns: Sequence[str]) -> dict[str, nn.Module]:
    """The outermost modules whose names match. Raises ValueError on a pattern that none matches."""
    named = [(name, module) for name, module in network.named_modules() if name]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name, _ in named):
            top = ", ".join(name for name, _ in network.named_children())
            raise ValueError(f"parts: no module is called {pattern!r}; has {top}")
    found: dict[str, nn.Module] = {}
    for name, module in named:  # a module before what is in it
        inside = any(name.startswith(f"{outer}.") for outer in found)
        if not inside and any(fnmatchcase(name, pattern) for pattern in patterns):
            found[name] = module
    return found


def _kernels(modules: Sequence[nn.Module]) -> dict[str, float]:
    """Of convolutions and poolings: how many see several frames, the longest and the widest; none: nothing."""
    sizes = []
    for module in modules:
        if isinstance(module, KERNELS):
            size = module.kernel_size
            per_side = (
                size if isinstance(size, tuple) else (size,) * (3 if "3d" in type(module).__name__ else 2)
            )
            sizes.append((per_side[0] if len(per_side) == 3 else 1, max(per_side[-2:])))
    if not sizes:
        return {}
    frames, pixels = zip(*sizes, strict=True)
    return {
        "over_time": float(sum(one > 1 for one in frames)),
        "kernel_frames": float(max(frames)),
        "kernel_px": float(max(pixels)),
    }
