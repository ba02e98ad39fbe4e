"""Features of boxes in a clip: mean over time, RoIAlign, the largest over space (METHODS 8.1, head).

Letters  B clips, N boxes of all clips together, C channels, T frames, H W cells, G cells of a side of a grid,
         S steps of time, of which a network has fewer than frames.
"""

from torch import Tensor, nn

from retake.layers.region_bins import region_bins
from retake.layers.shapes import expect

SIDE = 7  # of the cells that a box is cut into


def region_features(maps: Tensor, boxes: Tensor, box_item: Tensor) -> Tensor:
    """(N, C): of each box the features of its clip. Raises ValueError on a box outside the clips or without area.

    maps      (B, C, T, H, W), which cover the whole picture
    boxes     (N, 4) as x1, y1, x2, y2 in [0, 1] of the picture; box_item (N,) which clip each is of
    Bins are sampled as densely as they are large (sampling ratio 0), without the half-cell shift of later versions.
    """
    sizes = expect(maps, "B C T H W")
    expect(boxes, "N 4", N=len(box_item))
    if not len(boxes):
        return maps.new_zeros(0, sizes["C"])
    if maps.device.type == "meta":  # shapes alone
        return maps.new_empty(len(boxes), sizes["C"])
    check_boxes(boxes, box_item, sizes["B"])
    scale = boxes.new_tensor([sizes["W"], sizes["H"]] * 2)  # to cells
    return region_bins(maps.mean(dim=2), boxes * scale, box_item, SIDE).amax(dim=(2, 3))


def check_boxes(boxes: Tensor, box_item: Tensor, num_clips: int) -> None:
    """Raises ValueError that names the first box that is none."""
    wrong = ~((boxes[:, :2] < boxes[:, 2:]).all(dim=1) & (boxes >= 0).all(dim=1) & (boxes <= 1).all(dim=1))
    if bool(wrong.any()):
        number = int(wrong.nonzero()[0])
        raise ValueError(
            f"box {number} of the batch is {boxes[number].tolist()}; expected x1 < x2 and y1 < y2 in [0, 1]"
        )
    if bool(((box_item < 0) | (box_item >= num_clips)).any()):
        raise ValueError(f"box_item: expected numbers below {num_clips}, the clips of the batch")


GRIDS = ("detections", "global", "steps", 2, 4)  # what a row of a bank is of


def bank_rows(maps: Tensor, boxes: tuple[Tensor, Tensor] | None, grid: str | int = "detections") -> Tensor:
    """What a bank keeps of clips: (N, C) of boxes, (B, C) of clips, (B, S, C) of steps, (B, G * G, C) of cells.

    boxes  with box_item, as `region_features` takes them; without, and of grid "global", a clip's mean over all; of
           grid "steps" a mean over each step, of which the mean is the clip's
    Raises ValueError on a grid that nobody has.
    """
    if grid not in GRIDS:
        raise ValueError(f"grid: expected one of {', '.join(map(str, GRIDS))}, found {grid!r}")
    if isinstance(grid, int):
        return grid_features(maps, grid)
    if grid == "steps":
        return maps.mean(dim=(3, 4)).transpose(1, 2)
    if grid == "global" or boxes is None:
        return maps.mean(dim=(2, 3, 4))
    return region_features(maps, *boxes)


def grid_features(maps: Tensor, side: int) -> Tensor:
    """(B, G * G, C): means over time and each cell of a grid of `side` x `side`, row by row. maps (B, C, T, H, W)."""
    expect(maps, "B C T H W")
    return nn.functional.adaptive_avg_pool2d(maps.mean(dim=2), side).flatten(2).transpose(1, 2)
