"""Clip networks as foundations: published blobs, what is trained here, rows of banks, an image network's start."""

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from retake.data.weights import WeightsError, fetch_weights
from retake.layers.clip_classifier import MEAN, STD, build, from_config, published
from retake.layers.inflated import SIZES, inflated
from retake.schema.card import read_weights_card
from retake.training.banks import load_weights
from retake.weights.i3d_imagenet_r50 import convert as of_images
from retake.weights.i3d_k400_r50 import convert
from retake.weights.i3d_k400_r101 import convert as convert_r101

TINY = SIZES["small"] | {"stem": 4, "widths": [8, 8, 8, 8], "non_local": [[], [0], [0], []]}
THEIRS = {"conv1": "branch2a", "conv2": "branch2b", "conv3": "branch2c", "downsample.0": "branch1"}
OF_NORMS = {"weight": "s", "bias": "b", "running_mean": "rm", "running_var": "riv"}


def their_name(name):
    """The blob of one of our tensors, by METHODS 8.1 and the published code's way to name them."""
    *path, part = name.split(".")
    if path[0] == "conv1":
        return "conv1_w"
    if path[0] == "bn1":
        return f"res_conv1_bn_{OF_NORMS[part]}"
    if path[0] == "non_local":
        stage, place = path[1].removeprefix("layer").split("_")
        block = f"nonlocal_conv{int(stage) + 1}_{place}"
        return f"{block}_bn_{OF_NORMS[part]}" if path[2] == "bn" else f"{block}_{path[2]}_{part[0]}"
    block = f"res{int(path[0].removeprefix('layer')) + 1}_{path[1]}"
    layer = ".".join(path[2:])
    if layer in THEIRS:
        return f"{block}_{THEIRS[layer]}_w"
    norm = {"bn1": "branch2a", "bn2": "branch2b", "bn3": "branch2c", "downsample.1": "branch1"}[layer]
    return f"{block}_{norm}_bn_{OF_NORMS[part]}"


@pytest.fixture
def tiny(monkeypatch):
    """The published network, tiny, with trained norms; and its blobs."""
    monkeypatch.setitem(SIZES, "r50", TINY)
    torch.manual_seed(0)
    network = inflated({"like": "r50"}, norm="batch").eval()
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(
                torch.rand_like(tensor) + 0.5 if "running_var" in name else torch.randn_like(tensor) * 0.3
            )
    tensors = {name: t for name, t in network.state_dict().items() if "num_batches" not in name}
    return network, {their_name(name): tensor.numpy() for name, tensor in tensors.items()}


def bring(tmp_path, blobs, weights="i3d_k400_r50", file="r50_k400_pretrained.pkl"):
    mine = tmp_path / "mine"
    mine.mkdir(exist_ok=True)
    rest = {"lr": 0.1, "model_iter": 5, "conv1_w_momentum": np.zeros(3), "pred_w": np.zeros((400, 8))}
    (mine / file).write_bytes(pickle.dumps({"blobs": blobs | rest}, protocol=2))
    out = {"weights_out": tmp_path / "model.safetensors", "config_out": tmp_path / "config.json"}
    fetch_weights(weights=weights, folder=mine, **out)
    return load_weights(f"retake.weights.{weights}.model", out["weights_out"], out["config_out"])


@torch.no_grad()
def test_the_published_pickle_becomes_a_trunk_that_answers_alike(tiny, tmp_path):
    network, blobs = tiny
    found = bring(tmp_path, blobs)
    frames = torch.rand(2, 3, 4, 32, 32)
    wanted = network((frames - 0.45) / 0.225)
    assert torch.allclose(found.maps({"frames": frames}), wanted, rtol=1e-3, atol=1e-3)
    assert (MEAN, STD) == ([0.45] * 3, [0.225] * 3)


def test_norms_that_are_folded_already_are_taken_as_they_are(tiny, tmp_path):
    _, blobs = tiny
    folded = {name: array for name, array in blobs.items() if not name.endswith(("_rm", "_riv"))}
    found = bring(tmp_path, folded).network
    assert found.bn1.weight.tolist() == pytest.approx(blobs["res_conv1_bn_s"].tolist())


def test_colours_are_turned_where_the_card_says_so(tiny, tmp_path, monkeypatch):
    _, blobs = tiny
    card = tmp_path / "card.yaml"
    card.write_text(convert.CARD.read_text().replace("channel_order: rgb", "channel_order: bgr"))
    monkeypatch.setattr(convert, "CARD", card)
    assert np.array_equal(
        bring(tmp_path, blobs).network.conv1.weight.detach().numpy(), blobs["conv1_w"][:, ::-1]
    )


def test_blobs_of_another_network_are_refused(tiny, tmp_path):
    _, blobs = tiny
    with pytest.raises(WeightsError, match="'res6_0_branch2a_w' is no name of this network's"):
        bring(tmp_path, blobs | {"res6_0_branch2a_w": np.zeros(2)})
    fewer = {name: array for name, array in blobs.items() if not name.startswith("res5")}
    with pytest.raises(WeightsError, match=r"it has \[1, 1, 1, 0\] blocks, r50 has \[1, 1, 1, 1\]"):
        bring(tmp_path, fewer)


def test_every_tensor_of_the_published_sizes_has_a_blob():
    for like, rename in (("r50", convert.rename), ("r101", convert_r101.rename)):
        with torch.device("meta"):
            ours = inflated({"like": like}).state_dict()
        blobs = {their_name(name): torch.zeros(t.shape).half() for name, t in ours.items()}
        assert {name: t.shape for name, t in rename(blobs).items()} == {n: t.shape for n, t in ours.items()}


def test_the_cards_have_the_published_sizes():
    for name, count in (("i3d_k400_r50", 34_582_336), ("i3d_k400_r101", 58_293_056)):
        card = read_weights_card(f"retake/weights/{name}/card.yaml")
        with torch.device("meta"):
            trunk = build(**card.paper.model | {"num_classes": 0}).network
        assert sum(t.numel() for t in trunk.state_dict().values()) == count
        assert card.paper.model["channel_order"] == "rgb"
        small = build(**card.mini.model)
        assert 1 + sum(3 * n for n in SIZES[card.mini.model["backbone"]["like"]]["blocks"]) < 20
        assert small.head.out_features == 12
    with pytest.raises(ValueError, match="channel_order: expected rgb or bgr, found 'grb'"):
        build(backbone=TINY, num_classes=2, channel_order="grb")


def test_trained_here_it_learns_and_lies_in_the_layout_of_the_published_one(tmp_path):
    """Clips in which a bright field moves to the right or to the left, and such that stand still."""
    torch.manual_seed(0)
    sizes = {"backbone": TINY, "num_classes": 3}
    model = build(**sizes)
    frames = torch.rand(12, 3, 8, 32, 32) * 0.2
    for clip in range(12):
        for t in range(8):
            left = (3 * t, 21 - 3 * t, 12)[clip % 3]
            frames[clip, :, t, 8:20, left : left + 10] += 0.7
    batch = {"frames": frames, "labels": torch.eye(3).repeat(4, 1)}
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    first = model.losses(batch)["total"].item()
    for _ in range(25):
        optimiser.zero_grad()
        model.losses(batch)["total"].backward()
        optimiser.step()
    assert model.losses(batch)["top1"].item() == 12 > 0 < first / 2 > model.losses(batch)["total"].item()
    tensors, config = published(model.eval(), sizes)
    frozen = from_config(config).eval()
    frozen.network.load_state_dict(tensors, strict=True)
    assert frozen.head is None
    with torch.no_grad():
        assert torch.allclose(frozen.maps(batch), model.maps(batch), rtol=1e-3, atol=1e-3)
    parts = [model.losses({k: v[i : i + 6] for k, v in batch.items()})["total"].item() for i in (0, 6)]
    assert model.losses(batch)["total"].item() == pytest.approx(sum(parts), rel=1e-4)
    with pytest.raises(ValueError, match="every clip needs exactly one label"):
        model.losses(batch | {"labels": torch.ones(12, 3)})


def test_rows_of_a_bank_are_of_boxes_clips_or_cells():
    model = from_config({"backbone": TINY, "mean": MEAN, "std": STD}).eval()
    batch = {"frames": torch.rand(2, 3, 4, 32, 32)}
    maps = model.maps(batch)
    assert torch.allclose(model.bank_rows(batch, grid="global"), maps.mean(dim=(2, 3, 4)))
    assert model.bank_rows(batch, grid=2).shape == (2, 4, 8)
    boxes = {"boxes": torch.tensor([[0.0, 0.0, 0.5, 0.5]] * 3), "box_item": torch.tensor([0, 1, 1])}
    found = model.bank_rows(batch | boxes)
    assert found.shape == (3, 8)
    assert torch.equal(found[1], found[2])


def test_an_image_networks_file_becomes_a_trunk(tmp_path, monkeypatch):
    monkeypatch.setitem(SIZES, "r50", TINY)
    image = {
        name: t[:, :, 0] if t.ndim == 5 else t
        for name, t in inflated(TINY, norm="batch").state_dict().items()
    }
    image = {name: t.contiguous() for name, t in image.items() if not name.startswith("non_local")}
    mine = tmp_path / "mine"
    mine.mkdir()
    save_file(
        image | {"fc.weight": torch.zeros(1000, 8), "fc.bias": torch.zeros(1000)}, mine / "model.safetensors"
    )
    out = {"weights_out": tmp_path / "model.safetensors", "config_out": tmp_path / "config.json"}
    fetch_weights(weights="i3d_imagenet_r50", folder=mine, **out)
    made = load_weights("retake.weights.i3d_imagenet_r50.model", out["weights_out"], out["config_out"])
    assert torch.allclose(made.network.conv1.weight.sum(dim=2), image["conv1.weight"], atol=1e-6)
    assert made.scale.mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert not made.network.non_local["layer2_0"].out.weight.any()
    before = load_file(out["weights_out"])
    fetch_weights(weights="i3d_imagenet_r50", folder=mine, **out)
    assert all(torch.equal(tensor, before[name]) for name, tensor in load_file(out["weights_out"]).items())
    with pytest.raises(ValueError, match=r"'stem\.weight' is no name of this network's"):
        of_images.rename(image | {"stem.weight": torch.zeros(1)})
