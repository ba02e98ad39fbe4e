"""I3D-ResNet: an image network whose kernels reach over time, with non-local blocks and frozen norms.

Letters  B clips, T frames, C channels, H W pixels or cells.
Source   METHODS 8.1 (thesis table 7.1); where stride, padding and groups stand was read in the published code.
Names    those of timm's ResNet (conv1, bn1, layer1.0.conv1, ..., layer4.2.bn3), so that an image network's tensors
         are found by name (`inflate`); non-local blocks are non_local.<layer>_<block>, as layer2_1.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from retake.layers.convolutions import Conv3d
from retake.layers.shapes import expect

NORMS = ("affine", "batch")
CONV1 = (5, 7, 7)  # its kernel, as published
SHRINKS = 4  # by its inner width a bottleneck
HALVED = 4  # what the first convolution and pooling make of a side
EPSILON = 1e-5
R50: dict[str, Any] = {
    "stem": 64,
    "widths": [256, 512, 1024, 2048],
    "blocks": [3, 4, 6, 3],
    "strides": [1, 2, 2, 1],  # over space
    "temporal": [[0, 1, 2], [0, 2], [0, 2, 4], [1]],  # blocks whose first kernel sees three frames
    "non_local": [[], [1, 3], [1, 3, 5], []],  # blocks after which one stands
    "group_frames": [0, 4, 0, 0],  # frames that attend to each other; 0: all
    "dilation": 2,  # of the last stage
}
SMALL: dict[str, Any] = {
    "kernel": [3, 5, 5],  # CONV1 was half of its time
    "stem": 8,
    "widths": [16, 16, 32, 32],
    "blocks": [1, 1, 1, 1],
    "strides": [1, 2, 1, 1],
    "temporal": [[0], [0], [0], [0]],
    "non_local": [[], [], [0], []],
    "group_frames": [0, 0, 0, 0],
    "dilation": 1,
}
SIZES: dict[str, dict[str, Any]] = {
    "r50": R50,
    "r101": R50
    | {
        "blocks": [3, 4, 23, 3],
        "temporal": [[0, 1, 2], [0, 2], list(range(0, 23, 2)), [1]],
        "non_local": [[], [1, 3], [6, 13, 20], []],
    },
    "small": SMALL,  # ours, for mini scale: pictures of about 64 pixels, maps of an eighth of their side
    "small_deep": SMALL
    | {
        "blocks": [1, 1, 3, 1],
        "temporal": [[0], [0], [0, 2], [0]],
        "non_local": [[], [], [1], []],
    },
}


class Affine(nn.Module):
    """What batch normalisation comes to once it is frozen: a factor and an offset a channel, never trained."""

    def __init__(self, width: int):
        super().__init__()
        self.register_buffer("weight", torch.ones(width))
        self.register_buffer("bias", torch.zeros(width))

    def forward(self, maps: Tensor) -> Tensor:
        """maps (B, C, T, H, W)."""
        shape = (1, -1, *[1] * (maps.ndim - 2))
        return torch.addcmul(self.bias.view(shape), maps, self.weight.view(shape))


def norm_of(kind: str, width: int) -> nn.Module:
    return Affine(width) if kind == "affine" else nn.BatchNorm3d(width, eps=EPSILON)


class Bottleneck(nn.Module):
    """Kernels of t x 1 x 1, 1 x 3 x 3 (which has the stride) and 1 x 1 x 1, beside a short cut."""

    def __init__(
        self, width_in: int, width: int, *, stride: int, frames: int, dilation: int, norm: str
    ):  # fmt: skip
        super().__init__()
        inner = width // SHRINKS
        self.conv1 = Conv3d(width_in, inner, (frames, 1, 1), padding=(frames // 2, 0, 0), bias=False)
        self.bn1 = norm_of(norm, inner)
        self.conv2 = Conv3d(
            inner, inner, (1, 3, 3), stride=(1, stride, stride), padding=(0, dilation, dilation),
            dilation=(1, dilation, dilation), bias=False,
        )  # fmt: skip
        self.bn2 = norm_of(norm, inner)
        self.conv3 = Conv3d(inner, width, 1, bias=False)
        self.bn3 = norm_of(norm, width)
        if norm == "batch":  # a block begins as its short cut
            nn.init.zeros_(self.bn3.weight)
        self.downsample = None
        if stride != 1 or width_in != width:
            self.downsample = nn.Sequential(
                Conv3d(width_in, width, 1, stride=(1, stride, stride), bias=False), norm_of(norm, width)
            )

    def forward(self, maps: Tensor) -> Tensor:
        beside = maps if self.downsample is None else self.downsample(maps)
        maps = self.bn1(self.conv1(maps)).relu()
        maps = self.bn2(self.conv2(maps)).relu()
        return (self.bn3(self.conv3(maps)) + beside).relu()


class NonLocal(nn.Module):
    """Every cell of a clip adds a weighted sum over all cells: softmax of theta . phi over sqrt(inner width).

    group_frames  frames that attend to each other, neighbours; 0: all of the clip
    Keys and values are of 2 x 2 cells, the largest of each. At the start nothing is added: the last convolution is 0,
    or, where norms are trained, the last norm's factor.
    """

    def __init__(self, width: int, *, group_frames: int, norm: str):
        super().__init__()
        self.inner, self.group = width // 2, group_frames
        self.theta, self.phi, self.g = (Conv3d(width, self.inner, 1) for _ in range(3))
        self.out = Conv3d(self.inner, width, 1)
        self.bn = norm_of(norm, width)
        for layer in (self.theta, self.phi, self.g, self.out):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.out.weight if norm == "affine" else self.bn.weight)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, T, H, W) to the same. Raises ValueError on frames that are no whole number of groups."""
        sizes = expect(maps, "B C T H W")
        if not self.group:
            return maps + self.added(maps)
        if sizes["T"] % self.group:
            raise ValueError(f"{sizes['T']} frames are no whole number of groups of {self.group}")
        parts = maps.unflatten(2, (-1, self.group)).transpose(1, 2)  # (B, groups, C, frames, H, W)
        added = self.added(parts.flatten(0, 1)).unflatten(0, parts.shape[:2])
        return maps + added.transpose(1, 2).flatten(2, 3)

    def added(self, maps: Tensor) -> Tensor:
        """What one group's cells see in each other, (B, C, T, H, W)."""
        pooled = nn.functional.max_pool3d(maps, (1, 2, 2))
        asked = self.theta(maps).flatten(2)  # (B, inner, cells)
        keys, values = self.phi(pooled).flatten(2), self.g(pooled).flatten(2)
        weights = (asked.transpose(1, 2) @ keys * self.inner**-0.5).softmax(dim=2)
        seen = values @ weights.transpose(1, 2)  # (B, inner, cells)
        return self.bn(self.out(seen.unflatten(2, maps.shape[2:])))


class InflatedResNet(nn.Module):
    """clips (B, 3, T, H, W), scaled pixels, to maps (B, C, T / 2, H / stride, W / stride); C = the last of `widths`.

    kernel      frames, height and width of the first convolution's, odd numbers; stem: its channels; then space is
                halved twice, by it and by pooling
    widths      channels that each stage gives; blocks: how many it has; strides: of its first, over space
    temporal    of each stage, the blocks whose first kernel sees three frames
    non_local   of each stage, the blocks after which a non-local block stands
    group_frames, dilation   see `R50`
    norm        affine: frozen, for fine-tuning; batch: of a network that is trained from the start (see `folded`)
    """

    def __init__(
        self, *, stem: int, widths: Sequence[int], blocks: Sequence[int], strides: Sequence[int],
        temporal: Sequence[Sequence[int]], non_local: Sequence[Sequence[int]], group_frames: Sequence[int],
        dilation: int, kernel: Sequence[int] = CONV1, norm: str = "affine",
    ):  # fmt: skip
        super().__init__()
        check_sizes(
            kernel, widths=widths, blocks=blocks, strides=strides, temporal=temporal, non_local=non_local,
            group_frames=group_frames, norm=norm,
        )  # fmt: skip
        self.width, self.stride = widths[-1], HALVED * math.prod(strides)
        time, high, wide = kernel
        around = (time // 2, high // 2, wide // 2)
        self.conv1 = Conv3d(3, stem, (time, high, wide), stride=(1, 2, 2), padding=around, bias=False)
        self.bn1 = norm_of(norm, stem)
        self.pool1 = nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1))
        self.pool2 = nn.MaxPool3d((2, 1, 1), stride=(2, 1, 1))
        self.non_local = nn.ModuleDict()
        self.num_stages, before = len(widths), stem
        for stage, width in enumerate(widths):
            layer = nn.ModuleList()
            for place in range(blocks[stage]):
                layer.append(
                    Bottleneck(
                        before,
                        width,
                        stride=strides[stage] if place == 0 else 1,
                        frames=3 if place in temporal[stage] else 1,
                        dilation=dilation if stage == self.num_stages - 1 else 1,
                        norm=norm,
                    )
                )
                if place in non_local[stage]:
                    self.non_local[f"layer{stage + 1}_{place}"] = NonLocal(
                        width, group_frames=group_frames[stage], norm=norm
                    )
                before = width
            self.add_module(f"layer{stage + 1}", layer)
        for module in self.modules():
            if isinstance(module, nn.Conv3d) and module.bias is None:
                nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")

    def forward(self, frames: Tensor) -> Tensor:
        expect(frames, "B 3 T H W")
        maps = self.pool1(self.bn1(self.conv1(frames)).relu())
        for stage in range(1, self.num_stages + 1):
            for place, block in enumerate(self.get_submodule(f"layer{stage}")):
                maps = block(maps)
                if (name := f"layer{stage}_{place}") in self.non_local:
                    maps = self.non_local[name](maps)
            if stage == 1:
                maps = self.pool2(maps)
        return maps


def check_sizes(
    kernel: Sequence[int], *, widths: Sequence[int], blocks: Sequence[int], norm: str, **lists: Sequence[Any]
) -> None:
    """Raises ValueError where a list is not of one entry a stage, or names a block that its stage does not have."""
    if len(kernel) != len(CONV1) or any(size < 1 or size % 2 == 0 for size in kernel):
        raise ValueError(f"kernel: expected three odd numbers, found {list(kernel)}")
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {', '.join(NORMS)}, found {norm!r}")
    for name, values in {"blocks": blocks, **lists}.items():
        if len(values) != len(widths):
            raise ValueError(f"{name} has {len(values)} entries, widths {len(widths)}")
    for name in ("temporal", "non_local"):
        for stage, places in enumerate(lists[name]):
            if odd := [place for place in places if not 0 <= place < blocks[stage]]:
                raise ValueError(f"{name}: stage {stage} has {blocks[stage]} blocks, no block {odd[0]}")


def inflated(sizes: dict[str, Any], norm: str = "affine") -> InflatedResNet:
    """The network of these sizes, at random; {"like": "r50"} takes all of that one but those that stand beside it.

    Raises ValueError on a network that nobody has, TypeError on sizes that are missing or unknown.
    """
    sizes = dict(sizes)
    like = sizes.pop("like", None)
    if like is not None and like not in SIZES:
        raise ValueError(f"like: expected one of {', '.join(SIZES)}, found {like!r}")
    return InflatedResNet(**(SIZES[like] if like else {}) | sizes, norm=norm)


def folded(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a network with norm="batch" as those of the same one with norm="affine": it answers alike."""
    found = dict(tensors)
    for name in [n.removesuffix(".running_var") for n in tensors if n.endswith(".running_var")]:
        mean, variance = (found.pop(f"{name}.{part}") for part in ("running_mean", "running_var"))
        found.pop(f"{name}.num_batches_tracked", None)
        factor = found[f"{name}.weight"] / (variance + EPSILON).sqrt()
        found[f"{name}.bias"] = found[f"{name}.bias"] - mean * factor
        found[f"{name}.weight"] = factor
    return found


def inflate(tensors: dict[str, Tensor], network: InflatedResNet) -> dict[str, Tensor]:
    """The network's tensors begun from an image network's of the same names (timm's ResNet with bottlenecks).

    A kernel is repeated over its T frames and divided by T, so that a video that stands still gives what its picture
    gives; norms are folded where the network's are frozen; non-local blocks, which an image network lacks, stay as
    they are. The classifier is left out. Raises ValueError on a tensor that is missing or does not fit.
    """
    frozen = any(isinstance(module, Affine) for module in network.modules())
    given = folded(tensors) if frozen else tensors
    found = {}
    for name, own in network.state_dict().items():
        if name.startswith("non_local.") or name.endswith("num_batches_tracked"):
            found[name] = own
            continue
        if name not in given:
            raise ValueError(f"{name!r} is not among the image network's tensors")
        tensor = given[name]
        if own.ndim == 5:
            tensor = tensor.unsqueeze(2).repeat(1, 1, own.shape[2], 1, 1) / own.shape[2]
        if tensor.shape != own.shape:
            raise ValueError(f"{name!r} has shape {tuple(tensor.shape)}, the network's is {tuple(own.shape)}")
        found[name] = tensor
    return found
