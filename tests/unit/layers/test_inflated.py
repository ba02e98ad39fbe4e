"""The clip network: sizes as published, non-local blocks against loops, a picture's network in a video's."""

import pytest
import torch
from torch.nn.functional import max_pool2d

from retake.costs.operations import multiply_adds
from retake.layers.inflated import R50, SIZES, Affine, NonLocal, folded, inflate, inflated

SMALL = {
    "stem": 8, "widths": [16, 32, 32, 64], "blocks": [1, 2, 1, 1], "strides": [1, 2, 2, 1],
    "temporal": [[0], [0], [], [0]], "non_local": [[], [1], [0], []], "group_frames": [0, 2, 0, 0], "dilation": 2,
}  # fmt: skip


def on_meta(**changes):
    with torch.device("meta"):
        return inflated({"like": "r50"} | changes)


def numbers(network):
    """Kernels, biases, and the affine constants in the place of norms."""
    return sum(tensor.numel() for tensor in network.state_dict().values())


@pytest.mark.parametrize(
    ("changes", "count"),
    [({}, 34_582_336), ({"non_local": [[], [], [], []]}, 27_223_872), ({"like": "r101"}, 58_293_056)],
    ids=["R50-I3D-NL", "R50-I3D", "R101-I3D-NL"],
)
def test_parameters_are_those_of_the_published_networks(changes, count):
    """METHODS 8.6."""
    assert numbers(on_meta(**changes)) == count


@pytest.mark.parametrize(("side", "gmac"), [(224, 190.6), (256, 256.1)])
def test_multiply_adds_are_those_of_32_frames(side, gmac):
    """METHODS 8.6, in 10^9."""
    assert multiply_adds(on_meta(), [3, 32, side, side]) / 1e9 == pytest.approx(gmac, abs=0.05)


@pytest.mark.parametrize("dilation", [1, 2])
def test_maps_are_of_half_the_frames_and_a_sixteenth_of_the_side(dilation):
    network = on_meta(dilation=dilation)
    assert network(torch.empty(2, 3, 32, 224, 192, device="meta")).shape == (2, 2048, 16, 14, 12)
    assert (network.width, network.stride) == (2048, 16)


def test_kernels_over_time_and_strides_stand_where_table_7_1_has_them():
    tensors = on_meta(like="r101").state_dict()
    deep = {name: t.shape[2] for name, t in tensors.items() if t.ndim == 5 and t.shape[2] > 1}
    wanted = {"conv1.weight": 5} | {f"layer1.{n}.conv1.weight": 3 for n in range(3)}
    wanted |= {f"layer2.{n}.conv1.weight": 3 for n in (0, 2)} | {"layer4.1.conv1.weight": 3}
    assert deep == wanted | {f"layer3.{n}.conv1.weight": 3 for n in range(0, 23, 2)}
    network = on_meta()
    strided = {name: m.stride for name, m in network.named_modules() if getattr(m, "stride", 1) == (1, 2, 2)}
    assert set(strided) == {
        "conv1", "pool1", "layer2.0.conv2", "layer2.0.downsample.0", "layer3.0.conv2", "layer3.0.downsample.0",
    }  # fmt: skip
    assert [block.conv2.dilation for block in network.layer4] == [(1, 2, 2)] * 3
    assert [block.conv2.dilation for block in network.layer3] == [(1, 1, 1)] * 6
    assert sorted(network.non_local) == ["layer2_1", "layer2_3", "layer3_1", "layer3_3", "layer3_5"]


def literal_non_local(block, maps, frames):
    """One clip's (C, T, H, W), each cell in a loop: it attends to 2 x 2 cells of the frames it is grouped with."""

    def dense(layer, vector):
        return layer.weight.flatten(1) @ vector + layer.bias

    found = maps.clone()
    for t, y, x in torch.cartesian_prod(*(torch.arange(n) for n in maps.shape[1:])).tolist():
        asked, keys, values = dense(block.theta, maps[:, t, y, x]), [], []
        for other in range(t // frames * frames, t // frames * frames + frames):
            pooled = max_pool2d(maps[:, other], 2)
            for v, u in torch.cartesian_prod(*(torch.arange(n) for n in pooled.shape[1:])).tolist():
                keys.append(dense(block.phi, pooled[:, v, u]))
                values.append(dense(block.g, pooled[:, v, u]))
        weights = torch.stack([asked @ key for key in keys]).div(len(asked) ** 0.5).softmax(dim=0)
        seen = sum(w * value for w, value in zip(weights, values, strict=True))
        found[:, t, y, x] += dense(block.out, seen) * block.bn.weight + block.bn.bias
    return found


@pytest.mark.parametrize("frames", [0, 2])
@torch.no_grad()
def test_a_non_local_block_is_that_of_the_paper_in_loops(frames):
    torch.manual_seed(0)
    block = NonLocal(6, group_frames=frames, norm="affine")
    for tensor in block.state_dict().values():
        tensor.normal_()
    maps = torch.randn(2, 6, 4, 4, 4)
    wanted = torch.stack([literal_non_local(block, clip, frames or 4) for clip in maps])
    assert torch.allclose(block(maps), wanted, atol=1e-5)


@torch.no_grad()
def test_at_the_start_a_non_local_block_adds_nothing():
    maps = torch.randn(1, 6, 4, 4, 4)
    assert torch.equal(NonLocal(6, group_frames=2, norm="affine")(maps), maps)


def test_frames_that_are_no_whole_number_of_groups_are_an_error():
    with pytest.raises(ValueError, match="3 frames are no whole number of groups of 2"):
        NonLocal(6, group_frames=2, norm="affine")(torch.zeros(1, 6, 3, 4, 4))


def test_frozen_norms_are_nothing_that_could_be_trained():
    network = inflated(SMALL)
    affine = {
        f"{n}.{part}"
        for n, m in network.named_modules()
        if isinstance(m, Affine)
        for part in ("weight", "bias")
    }
    assert affine <= set(network.state_dict())
    assert not affine & {name for name, _ in network.named_parameters()}


@torch.no_grad()
def test_folded_norms_answer_as_the_trained_ones():
    torch.manual_seed(0)
    trained = inflated(SMALL, norm="batch")
    for name, tensor in trained.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) if "running_var" in name else torch.randn_like(tensor) * 0.3)
    frozen = inflated(SMALL)
    frozen.load_state_dict(folded(trained.state_dict()), strict=True)
    frames = torch.rand(1, 3, 4, 32, 32)
    assert torch.allclose(frozen(frames), trained.eval()(frames), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_video_that_stands_still_gives_what_the_image_network_gives_its_picture():
    """timm's network of the same blocks; its last stage is given stride 1 and dilation 2, as ours has."""
    import timm

    torch.manual_seed(0)
    layers, channels = (1, 1, 2, 2), (4, 8, 8, 16)
    image = timm.create_model("resnet50", layers=layers, channels=channels, num_classes=0).eval()
    for block in image.layer4:
        block.conv2.stride, block.conv2.dilation, block.conv2.padding = (1, 1), (2, 2), (2, 2)
    image.layer4[0].downsample[0].stride = (1, 1)
    for name, tensor in image.state_dict().items():
        if "running_var" in name or ".bn3.weight" in name:
            tensor.uniform_(0.5, 1.5)
    widths = [channel * 4 for channel in channels]
    sizes = R50 | {"widths": widths, "blocks": list(layers), "temporal": [[0], [0], [0], [1]]}
    video = inflated(sizes | {"non_local": [[], [0], [1], []]})
    video.load_state_dict(inflate(image.state_dict(), video), strict=True)
    picture = torch.randn(1, 3, 64, 48)
    maps = video(picture.unsqueeze(2).repeat(1, 1, 40, 1, 1))
    wanted = image.forward_features(picture)
    assert wanted.abs().max() > 0.1
    assert torch.allclose(maps[:, :, 10], wanted, rtol=1e-3, atol=1e-4)  # its ends see frames of zeros beyond


def test_an_image_network_that_does_not_fit_is_an_error():
    network = inflated(SMALL)
    tensors = {
        name: t for name, t in inflated(SMALL, norm="batch").state_dict().items() if "non_local" not in name
    }
    flat = {name: t[:, :, 0] if t.ndim == 5 else t for name, t in tensors.items()}
    inflate(flat, network)
    with pytest.raises(ValueError, match=r"'conv1\.weight' is not among the image network's tensors"):
        inflate({name: t for name, t in flat.items() if name != "conv1.weight"}, network)
    bad = {f"bn1.{part}": torch.ones(9) for part in ("weight", "bias", "running_mean", "running_var")}
    with pytest.raises(ValueError, match=r"'bn1\.weight' has shape \(9,\), the network's is \(8,\)"):
        inflate(flat | bad, network)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"like": "r18"}, "like: expected one of r50, r101, small, small_deep, found 'r18'"),
        ({"blocks": [1, 1]}, "blocks has 2 entries, widths 4"),
        ({"non_local": [[], [7], [], []]}, "non_local: stage 1 has 2 blocks, no block 7"),
        ({"kernel": [3, 4, 5]}, r"kernel: expected three odd numbers, found \[3, 4, 5\]"),
        ({"kernel": [3, 5]}, r"kernel: expected three odd numbers, found \[3, 5\]"),
    ],
)
def test_sizes_that_do_not_fit_are_an_error(changes, said):
    with pytest.raises(ValueError, match=said):
        inflated(SMALL | changes)
    with pytest.raises(ValueError, match="norm must be one of affine, batch, found 'layer'"):
        inflated(SMALL, norm="layer")


def test_the_first_kernel_is_as_large_as_said_and_the_published_ones_where_nothing_is():
    first = {name: inflated({"like": name}).conv1 for name in ("small", "small_deep")}
    first |= {"r50": on_meta().conv1, "r101": on_meta(like="r101").conv1, "other": inflated(SMALL).conv1}
    sizes = {name: (layer.kernel_size, layer.padding) for name, layer in first.items()}
    published, small = ((5, 7, 7), (2, 3, 3)), ((3, 5, 5), (1, 2, 2))
    assert sizes == {
        "small": small, "small_deep": small, "r50": published, "r101": published, "other": published,
    }  # fmt: skip
    assert inflated(SMALL | {"kernel": [1, 3, 5]})(torch.rand(1, 3, 4, 32, 32)).shape == (1, 64, 2, 2, 2)


def test_the_sizes_by_name_share_all_but_the_depth():
    assert {key for key in R50 if SIZES["r101"][key] != R50[key]} == {"blocks", "temporal", "non_local"}
