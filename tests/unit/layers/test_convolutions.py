"""The convolution that costs less is nn.Conv3d: results, gradients, names, whatever the layout and the kernel."""

import pytest
import torch
from torch import nn
from torch.nn.functional import linear

from retake.layers import convolutions
from retake.layers.convolutions import Conv3d
from retake.layers.inflated import inflated

KERNELS = {  # name -> (channels in, out, what nn.Conv3d takes)
    "stem": (3, 8, {"kernel_size": (5, 7, 7), "stride": (1, 2, 2), "padding": (2, 3, 3), "bias": False}),
    "stem, dilated": (2, 4, {"kernel_size": 3, "padding": (1, 2, 2), "dilation": (1, 2, 2)}),
    "over time": (8, 4, {"kernel_size": (3, 1, 1), "padding": (1, 0, 0), "bias": False}),
    "over time, few channels, bias": (3, 4, {"kernel_size": (5, 1, 1), "padding": (2, 0, 0)}),
    "over space": (8, 4, {"kernel_size": (1, 3, 3), "stride": (1, 2, 2), "padding": (0, 1, 1)}),
    "of one cell": (4, 16, {"kernel_size": 1}),
    "of one cell, many channels": (16, 4, {"kernel_size": 1, "bias": False}),
    "of one cell, a stride": (16, 4, {"kernel_size": 1, "stride": (1, 2, 2)}),
    "of one cell, groups": (8, 4, {"kernel_size": 1, "groups": 2}),
    "one cell, a margin": (2, 4, {"kernel_size": (3, 1, 1), "padding": 1}),
    "one cell, a stride": (8, 4, {"kernel_size": (3, 1, 1), "stride": (1, 2, 2), "padding": (1, 0, 0)}),
    "a stride over time": (3, 4, {"kernel_size": 3, "stride": (2, 1, 1), "padding": 1}),
    "dilated over time": (3, 4, {"kernel_size": (3, 1, 1), "dilation": (2, 1, 1), "padding": (2, 0, 0)}),
    "no margin over time": (3, 4, {"kernel_size": 3, "padding": (0, 1, 1)}),
    "groups": (4, 4, {"kernel_size": 3, "padding": 1, "groups": 2}),
    "a mirrored margin": (3, 4, {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"}),
    "same": (3, 4, {"kernel_size": 3, "padding": "same"}),
}
LAYOUTS = {"first": torch.contiguous_format, "last": torch.channels_last_3d}


def both(name):
    """The convolution and torch's own, of the same numbers."""
    width_in, width, arguments = KERNELS[name]
    torch.manual_seed(0)
    ours, theirs = Conv3d(width_in, width, **arguments), nn.Conv3d(width_in, width, **arguments)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    return ours, theirs, width_in


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", KERNELS)
def test_results_and_gradients_are_those_of_torch(name, layout):
    ours, theirs, width_in = both(name)
    maps = torch.randn(2, width_in, 6, 12, 10).to(memory_format=LAYOUTS[layout])
    found = []
    for layer in (ours, theirs):
        seen = maps.clone().requires_grad_()
        out = layer(seen)
        (out * torch.linspace(-1, 1, out.numel()).view(out.shape)).sum().backward()
        found.append([out.detach(), seen.grad, *(part.grad for part in layer.parameters())])
    for one, other in zip(*found, strict=True):
        assert one.shape == other.shape
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-5 * float(other.abs().max()))


def test_a_single_frame_and_a_single_clip_are_seen_too():
    for name in ("stem", "over time"):
        ours, theirs, width_in = both(name)
        maps = torch.randn(1, width_in, 1, 9, 9)
        assert torch.allclose(ours(maps), theirs(maps), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions_stay_what_they_are(dtype):
    for name in ("stem", "over time"):
        ours, theirs, width_in = both(name)
        maps = torch.randn(1, width_in, 4, 8, 8, dtype=dtype)
        one, other = ours.to(dtype)(maps), theirs.to(dtype)(maps)
        assert one.dtype == dtype
        assert torch.allclose(one, other, atol=3e-2 if dtype == torch.bfloat16 else 1e-12)
        with torch.autocast("cpu", torch.bfloat16):
            assert ours.float()(maps.float()).dtype == torch.bfloat16


def test_the_kernels_of_a_clip_network_are_no_longer_torchs_slowest(monkeypatch):
    """Which kernels are taken in another way: those that see one cell, of one frame (as a product) or of several."""
    taken = []
    monkeypatch.setattr(convolutions, "linear", lambda *given: taken.append("one") or linear(*given))
    own = Conv3d._over_time
    monkeypatch.setattr(Conv3d, "_over_time", lambda self, maps: taken.append("frames") or own(self, maps))
    inflated({"like": "small"})(torch.rand(1, 3, 4, 32, 32))
    attention = ["one"] * 4  # theta, phi, g, out
    blocks = [
        ["one", "frames", "one"],
        ["frames", "one"],
        ["one", "frames", "one", *attention],
        ["frames", "one"],
    ]
    assert taken == [
        way for block in blocks for way in block
    ]  # short cuts first; the second one has a stride


def test_few_channels_are_read_plane_by_plane_and_many_written_side_by_side(monkeypatch):
    """The layouts that cost least, whatever layout the frames come in."""
    read = []
    own = nn.Conv3d.forward
    monkeypatch.setattr(nn.Conv3d, "forward", lambda self, maps: read.append(maps) or own(self, maps))
    ours, _, width_in = both("stem")
    for layout in LAYOUTS.values():
        found = ours(torch.randn(2, width_in, 4, 12, 10).to(memory_format=layout))
        assert found.is_contiguous(memory_format=torch.channels_last_3d)
    assert [maps.is_contiguous() for maps in read] == [True] * len(LAYOUTS)


def test_away_from_processors_it_is_torchs_own_call():
    ours, _, width_in = both("stem")
    asked = []
    own, nn.Conv3d.forward = (
        nn.Conv3d.forward,
        lambda self, maps: asked.append(maps.device.type) or own(self, maps),
    )
    try:
        ours.to("meta")(torch.empty(1, width_in, 4, 8, 8, device="meta"))
    finally:
        nn.Conv3d.forward = own
    assert asked == ["meta"]
    assert convolutions.FEW > 3, "a picture's channels are few"
