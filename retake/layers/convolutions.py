"""Convolutions over time and space, on processors as calls that cost less.

Letters  B clips, C channels, T frames, H W pixels or cells, K frames that a kernel sees.
Each is nn.Conv3d: its names, shapes and results (to rounding), forwards and backwards. Elsewhere than on processors
it is also the very call.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

FEW = 8  # channels: fewer fill no vector register where a cell's channels lie together


class Conv3d(nn.Conv3d):
    """nn.Conv3d of zero padding, faster on processors where its kernel sees one cell, or the input has few channels."""

    def forward(self, maps: Tensor) -> Tensor:
        """maps (B, C, T, H, W)."""
        if maps.device.type != "cpu" or self.groups > 1 or self.padding_mode != "zeros":
            return super().forward(maps)
        if self.kernel_size[1:] == (1, 1) and self.stride == (1, 1, 1):
            if self.kernel_size[0] == 1 and self.padding == (0, 0, 0):
                return linear(maps.movedim(1, 4), self.weight.flatten(1), self.bias).movedim(4, 1)
            if self._keeps_frames and self.padding[1:] == (0, 0):
                return self._over_time(maps)
        if self.in_channels < FEW:  # planes in, and out as all that comes after is fastest
            return super().forward(maps.contiguous()).contiguous(memory_format=torch.channels_last_3d)
        return super().forward(maps)

    @property
    def _keeps_frames(self) -> bool:
        """Whether the kernel sees several frames, next to each other, and as many come out as go in."""
        frames, padding = self.kernel_size[0], self.padding
        if isinstance(padding, str) or self.dilation[0] != 1:
            return False
        return frames > 1 and padding[0] == frames // 2 and frames % 2 == 1

    def _over_time(self, maps: Tensor) -> Tensor:
        """A kernel of K x 1 x 1: one of K x 1 over frames and the cells in a row."""
        rows = conv2d(maps.flatten(3), self.weight.flatten(3), self.bias, padding=(self.padding[0], 0))
        return rows.unflatten(3, maps.shape[3:])
