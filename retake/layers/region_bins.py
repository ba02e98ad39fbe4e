"""RoIAlign: what lies in each bin of a box of a map. Where it is trained on a processor as one product of matrices.

Letters  B maps, C channels, H W cells, N boxes of all maps together, S bins along a side, P points along one.
Source   METHODS 8.1: bins are sampled as densely as they are large, a point bilinearly. Bilinear weights are those of
         the row times those of the column, so a bin is a weighted sum over all cells. Backwards torchvision's kernel
         costs several times that; forwards, and of large maps, it costs less, as it skips what weighs nothing.
"""

import torch
from torch import Tensor, nn

SMALL = 256  # cells of a map up to which the product is taken


def region_bins(maps: Tensor, boxes: Tensor, box_map: Tensor, side: int) -> Tensor:
    """(N, C, S, S): means over the points of each of `side` x `side` bins of each box.

    maps   (B, C, H, W); boxes (N, 4) as x1, y1, x2, y2 in cells; box_map (N,) which map each lies in
    The first cell's middle is at 0: there is no shift by half a cell. A box has a side of a cell at least.
    """
    height, width = maps.shape[2:]
    if maps.device.type != "cpu" or height * width > SMALL or not maps.requires_grad:
        from torchvision.ops import roi_align  # takes seconds

        regions = torch.cat([box_map[:, None].to(maps.dtype), boxes.to(maps.dtype)], dim=1)
        return roi_align(maps, regions, side, spatial_scale=1.0, sampling_ratio=0, aligned=False)
    found = boxes.to(maps.dtype)
    across, along = (weights(found[:, at], found[:, at + 2], n, side) for at, n in ((0, width), (1, height)))
    cells = (along[:, :, None, :, None] * across[:, None, :, None, :]).flatten(3).flatten(1, 2)
    bins = cells @ maps.flatten(2).transpose(1, 2)[box_map]  # (N, S * S, H * W) @ (N, H * W, C)
    return bins.transpose(1, 2).unflatten(2, (side, side))


def weights(begin: Tensor, end: Tensor, cells: int, side: int) -> Tensor:
    """(N, S, cells): how much each cell of a row weighs in each bin of a box from `begin` (N,) to `end` (N,)."""
    size = (end - begin).clamp(min=1) / side  # of a bin
    count = size.ceil()  # of its points
    number = torch.arange(int(count.max()) if len(count) else 0, device=begin.device)
    step = (number + 0.5) / count[:, None]  # (N, P), in bins
    at = (
        begin[:, None, None]
        + (torch.arange(side, device=begin.device)[:, None] + step[:, None]) * size[:, None, None]
    )
    counted = (number < count[:, None])[:, None] & (at >= -1) & (at <= cells)
    nearness = 1 - (at.clamp(0, cells - 1)[..., None] - torch.arange(cells, device=begin.device)).abs()
    each = nearness.clamp(min=0) * counted[..., None]  # (N, S, P, cells)
    return each.sum(dim=2) / count[:, None, None]


class RegionBins(nn.Module):
    """In the place of torchvision's MultiScaleRoIAlign of one map: bins of boxes in pixels of the pictures."""

    def __init__(self, name: str, side: int, stride: int):
        super().__init__()
        self.name, self.side, self.stride = name, side, stride

    def forward(self, maps: dict[str, Tensor], boxes: list[Tensor], sizes: list[tuple[int, int]]) -> Tensor:  # noqa: ARG002
        """(N, C, S, S). boxes: of each picture (n, 4)."""
        counts = torch.tensor([len(some) for some in boxes])
        of = torch.repeat_interleave(torch.arange(len(boxes)), counts).to(boxes[0].device)
        return region_bins(maps[self.name], torch.cat(boxes) / self.stride, of, self.side)
