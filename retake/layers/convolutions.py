"""Convolutions over time and space, on processors as the two-dimensional ones that cost less.

Letters  B clips, C channels, T frames, H W pixels or cells, K frames that a kernel sees.
Each is nn.Conv3d: its names, shapes and results (to rounding), forwards and backwards. Elsewhere than on processors
it is also the very call.
"""

from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

FEW = 8  # channels: fewer fill no vector register, in torch's kernels for three dimensions


class Conv3d(nn.Conv3d):
    """nn.Conv3d of zero padding, faster on processors where its kernel sees one cell, or the input has few channels."""

    def forward(self, maps: Tensor) -> Tensor:
        """maps (B, C, T, H, W)."""
        if maps.device.type != "cpu" or not self._is_plain_over_time:
            return super().forward(maps)
        if self.kernel_size[1:] == (1, 1) and self.stride == (1, 1, 1) and self.padding[1:] == (0, 0):
            return self._over_time(maps)
        return self._stacked(maps) if self.in_channels < FEW else super().forward(maps)

    @property
    def _is_plain_over_time(self) -> bool:
        """Whether the kernel sees several frames, as many come out as go in, and nothing else is particular."""
        frames, padding = self.kernel_size[0], self.padding
        plain = self.groups == 1 and self.padding_mode == "zeros" and not isinstance(padding, str)
        alone = (self.stride[0], self.dilation[0]) == (1, 1)
        return plain and alone and frames > 1 and padding[0] == frames // 2 and frames % 2 == 1

    def _over_time(self, maps: Tensor) -> Tensor:
        """A kernel of K x 1 x 1: one of K x 1 over frames and the cells in a row."""
        rows = conv2d(maps.flatten(3), self.weight.flatten(3), self.bias, padding=(self.padding[0], 0))
        return rows.unflatten(3, maps.shape[3:])

    def _stacked(self, maps: Tensor) -> Tensor:
        """K frames that a kernel sees become K * C channels of one picture: no copy is made of more than these."""
        size, around = self.kernel_size[0], self.padding[0]
        frames = pad(
            maps.permute(0, 2, 3, 4, 1), (0, 0, 0, 0, 0, 0, around, around)
        )  # (B, T + K - 1, H, W, C)
        seen = frames.unfold(1, size, 1).flatten(4)  # (B, T, H, W, C * K)
        pictures, weight = seen.flatten(0, 1).permute(0, 3, 1, 2), self.weight.flatten(1, 2)
        stride, padding, dilation = self.stride[1:], self.padding[1:], self.dilation[1:]
        found = conv2d(pictures, weight, self.bias, stride, padding, dilation)  # type: ignore[arg-type]
        return found.unflatten(0, (len(maps), -1)).transpose(1, 2)
