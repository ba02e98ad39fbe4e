"""Image networks of timm, applied to every frame of a clip.

Letters  B items, C feature width, T frames, H W pixels.
A trunk is a timm network without its classifier whose parameters keep timm's names, so that a published
file fits it.
"""

from typing import Any

import torch
from torch import Tensor, nn

from retake.layers.shapes import expect


def trunk(name: str, arguments: dict[str, Any], *, num_classes: int = 0, in_chans: int = 3) -> nn.Module:
    """The timm network `name` with global average pooling; without a classifier unless `num_classes` is
    given.

    `arguments` go to timm as they are. No weights are looked for: they come from a start of the stage.
    in_chans  colours, or whatever channels the network sees
    """
    import timm  # takes seconds: a job that reads features never needs it

    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()}
    return timm.create_model(name, pretrained=False, num_classes=num_classes, in_chans=in_chans, **arguments)


class PixelScale(nn.Module):
    """(pixels - mean) / std per channel; the constants are buffers that no checkpoint holds."""

    def __init__(self, mean: list[float], std: list[float]):
        super().__init__()
        if len(mean) != len(std):
            raise ValueError(f"mean has {len(mean)} channels, std {len(std)}")
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels (..., channels, H, W) in [0, 1]."""
        mean, std = self.mean, self.std
        if pixels.stride(-3) == 1:  # channels last: constants that lie alike are read row by row, not 3 by 3
            mean, std = (_lying(part, pixels.shape[-2:]) for part in (mean, std))
        return (pixels - mean) / std


def _lying(constants: Tensor, size: torch.Size) -> Tensor:
    """(channels, H, W) with channels last in memory."""
    return constants.expand(-1, *size).permute(1, 2, 0).contiguous().permute(2, 0, 1)


def over_frames(network: nn.Module, scale: PixelScale, frames: Tensor) -> Tensor:
    """Features (B, T, C) of clips: frames (B, channels, T, H, W) in [0, 1], each seen alone by `network`."""
    sizes = expect(frames, "B C T H W", C=len(scale.mean))
    pixels = frames.transpose(1, 2).flatten(0, 1)  # (B*T, channels, H, W)
    pixels = pixels.contiguous(
        memory_format=torch.channels_last
    )  # as frames lie on the disk; nearly twice as fast
    return network(scale(pixels)).unflatten(0, (sizes["B"], sizes["T"]))  # (B, T, C)
