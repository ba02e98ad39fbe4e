"""Features of boxes: RoIAlign against sums in loops, grids by hand, boxes that are none."""

import math

import pytest
import torch
import torchvision.ops
from torchvision.ops import roi_align

from retake.layers.region_bins import RegionBins, region_bins
from retake.layers.regions import SIDE, grid_features, region_features


def sampled(plane, y, x):
    """The bilinear value of (H, W) at a point of its cells' upper left corners; beyond the rim, that of the rim."""
    height, width = plane.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = max(y, 0.0), max(x, 0.0)
    top, left = min(int(y), height - 1), min(int(x), width - 1)
    below, right = min(top + 1, height - 1), min(left + 1, width - 1)
    y, x = (float(top) if top == height - 1 else y), (float(left) if left == width - 1 else x)
    dy, dx = y - top, x - left
    upper = plane[top, left] * (1 - dx) + plane[top, right] * dx
    lower = plane[below, left] * (1 - dx) + plane[below, right] * dx
    return float(upper * (1 - dy) + lower * dy)


def literal_feature(plane, box):
    """The largest of 7 x 7 bins, each the mean of as many points as it is cells large; sides of a cell at least."""
    height, width = plane.shape
    x1, y1, x2, y2 = box[0] * width, box[1] * height, box[2] * width, box[3] * height
    wide, high = max(x2 - x1, 1.0), max(y2 - y1, 1.0)
    points_y, points_x = math.ceil(high / SIDE), math.ceil(wide / SIDE)
    bins = []
    for row in range(SIDE):
        for column in range(SIDE):
            values = [
                sampled(
                    plane,
                    y1 + (row + (i + 0.5) / points_y) * high / SIDE,
                    x1 + (column + (j + 0.5) / points_x) * wide / SIDE,
                )
                for i in range(points_y)
                for j in range(points_x)
            ]
            bins.append(sum(values) / len(values))
    return max(bins)


@pytest.mark.parametrize("trained", [False, True])
def test_a_box_has_the_largest_of_its_bins(trained):
    maps = torch.randn(2, 3, 4, 9, 12, generator=torch.Generator().manual_seed(0)).requires_grad_(trained)
    boxes = torch.tensor(
        [[0.1, 0.2, 0.6, 0.9], [0.0, 0.0, 1.0, 1.0], [0.5, 0.5, 0.52, 0.53], [0.7, 0.0, 1.0, 0.4]]
    )
    item = torch.tensor([1, 0, 0, 1])
    found = region_features(maps, boxes, item)
    for row, box, clip in zip(found, boxes.tolist(), item.tolist(), strict=True):
        wanted = [literal_feature(channel.mean(dim=0), box) for channel in maps.detach()[clip]]
        assert row.tolist() == pytest.approx(wanted, abs=1e-5)


def boxes_of_all_sizes(height, width):
    """(60, 4) in cells and (60,) maps: within a map of two, at its edges, smaller than a cell, larger than the map."""
    draw = torch.Generator().manual_seed(1)
    corners = torch.rand(52, 2, 2, generator=draw) * torch.tensor([width, height])
    some = torch.cat([corners.amin(dim=1), corners.amax(dim=1)], dim=1)
    odd = [
        [0, 0, width, height], [-1.5, -2, 3, 3], [width - 1, height - 1, width + 2, height + 2], [2, 2, 2.2, 2.1],
        [0, 0, 0.5, height], [-3, -3, width + 3, height + 3], [width - 0.2, 0, width, 1], [1, 1, 1, 1],
    ]  # fmt: skip
    return torch.cat([some, torch.tensor(odd)]), torch.arange(60) % 2


@pytest.mark.parametrize("side", [5, 7])
def test_bins_and_their_gradients_are_torchvisions(side):
    maps = torch.randn(2, 6, 9, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    boxes, of = boxes_of_all_sizes(9, 12)
    regions = torch.cat([of[:, None], boxes], dim=1).double()
    found = []
    for call in (
        lambda seen: region_bins(seen, boxes, of, side),
        lambda seen: roi_align(seen, regions, side, spatial_scale=1.0, sampling_ratio=0, aligned=False),
    ):
        seen = maps.clone().requires_grad_()
        bins = call(seen)
        (bins * torch.linspace(-1, 1, bins.numel()).view(bins.shape)).sum().backward()
        found.append((bins.detach(), seen.grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=0)


def test_where_torchvisions_kernel_costs_less_it_is_called(monkeypatch):
    """Large maps, and those that nothing is learnt from."""
    asked = []
    monkeypatch.setattr(
        torchvision.ops,
        "roi_align",
        lambda *given, **how: asked.append(given[0].shape) or roi_align(*given, **how),
    )
    box, of = torch.tensor([[0.0, 0.0, 3.0, 3.0]]), torch.tensor([0])
    for maps in (
        torch.ones(1, 2, 16, 16),
        torch.ones(1, 2, 16, 17).requires_grad_(),
        torch.ones(1, 2, 16, 16).requires_grad_(),
    ):
        region_bins(maps, box, of, 5)
    assert asked == [(1, 2, 16, 16), (1, 2, 16, 17)]


def test_bins_of_pictures_are_those_of_their_boxes_in_pixels():
    """As torchvision's own pooling of one map, whose place the layer takes in a detector."""
    maps = {"0": torch.randn(2, 3, 9, 12, generator=torch.Generator().manual_seed(0)).requires_grad_()}
    boxes = [torch.tensor([[8.0, 16.0, 60.0, 70.0], [0.0, 0.0, 96.0, 72.0]]), torch.zeros(0, 4)]
    sizes = [(72, 96)] * 2
    theirs = torchvision.ops.MultiScaleRoIAlign(["0"], 5, 0)(maps, boxes, sizes)
    assert torch.allclose(RegionBins("0", 5, 8)(maps, boxes, sizes), theirs, atol=1e-5)


def test_no_box_is_no_feature():
    assert region_features(torch.ones(1, 5, 2, 4, 4), torch.zeros(0, 4), torch.zeros(0).long()).shape == (
        0,
        5,
    )


@pytest.mark.parametrize(
    "box",
    [[0.2, 0.2, 0.2, 0.4], [0.5, 0.2, 0.4, 0.4], [-0.1, 0, 0.5, 0.5], [0, 0, 0.5, 1.1], [0, 0, math.nan, 1]],
)
def test_a_box_without_area_or_outside_is_an_error(box):
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], box])
    with pytest.raises(
        ValueError, match=r"box 1 of the batch is .*; expected x1 < x2 and y1 < y2 in \[0, 1\]"
    ):
        region_features(torch.ones(1, 2, 2, 4, 4), boxes, torch.tensor([0, 0]))


def test_a_box_of_a_clip_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match="box_item: expected numbers below 1"):
        region_features(torch.ones(1, 2, 2, 4, 4), torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([1]))


def test_a_grid_has_the_mean_of_each_cell_row_by_row():
    maps = torch.arange(2 * 3 * 4 * 4, dtype=torch.float32).view(1, 2, 3, 4, 4)
    found = grid_features(maps, 2)
    assert found.shape == (1, 4, 2)
    for number, (top, left) in enumerate([(0, 0), (0, 2), (2, 0), (2, 2)]):
        wanted = maps[0, :, :, top : top + 2, left : left + 2].mean(dim=(1, 2, 3))
        assert torch.allclose(found[0, number], wanted)
