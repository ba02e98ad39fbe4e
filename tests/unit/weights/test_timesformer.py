"""The video network: transformers' class against the paper's facts in loops, sizes, tables resized, files."""

import json

import pytest
import torch

from retake.data.weights import WeightsError, fetch_weights
from retake.training.banks import load_weights
from retake.weights.timesformer_howto100m import convert
from retake.weights.timesformer_howto100m.model import MEAN, STD, build, from_config, published
from tests.unit.weights.literal_timesformer import patch_features, random_weights

MODULE = "retake.weights.timesformer_howto100m.model"
FILE = "TimeSformer_divST_96x32_224_HowTo100M.pyth"
PAPER = {"size_px": 224, "patch": 16, "hidden": 768, "layers": 12, "heads": 12, "num_classes": 0}
WIDTH, PATCH = 128, 4  # two heads of 64


@pytest.fixture(scope="module")
def weights():
    """Of a network for 4 frames of 3 x 3 patches."""
    return random_weights(frames=4, grid=3, patch=PATCH, width=WIDTH, blocks=2)


@pytest.fixture(scope="module")
def model(weights):
    made = from_config(convert.config(weights)).eval()
    made.network.load_state_dict(convert.rename(weights), strict=True)
    return made


@pytest.mark.parametrize(
    ("num_frames", "size"),
    [(4, (12, 12)), (1, (12, 12)), (8, (12, 12)), (3, (24, 24)), (2, (8, 20))],
    ids=["as published", "a picture", "more frames", "larger", "wide"],
)
@torch.no_grad()
def test_features_are_those_of_the_paper_in_loops(weights, model, num_frames, size):
    frames = torch.rand(2, 3, num_frames, *size, generator=torch.Generator().manual_seed(1))
    found = model.features(frames)
    assert found.shape == (2, num_frames, (size[0] // PATCH) * (size[1] // PATCH), WIDTH)
    pixels = (frames.transpose(1, 2) - 0.45) / 0.225
    for clip, features in zip(pixels, found, strict=True):
        wanted = patch_features(weights, clip, heads=2, patch=PATCH)
        assert torch.allclose(features, wanted, atol=1e-5, rtol=1e-5)
    assert (MEAN, STD) == ([0.45] * 3, [0.225] * 3)


@pytest.mark.parametrize(("frames", "parameters"), [(96, 121_326_336), (8, 121_258_752)])
def test_the_trunk_has_the_published_parameters(frames, parameters):
    """Embeddings with class token and both tables, 12 blocks, last layer norm; no classifier (METHODS 3.6)."""
    with torch.device("meta"):
        trunk = build(frames=frames, **PAPER)
    assert sum(p.numel() for p in trunk.network.parameters()) == parameters
    assert sum(p.numel() for p in trunk.parameters()) == parameters


def test_what_time_adds_begins_at_zero_in_all_blocks_but_the_first():
    blocks = build(
        frames=2, **PAPER | {"size_px": 32, "hidden": 64, "layers": 3, "heads": 1}
    ).network.encoder.layer
    assert [bool(block.temporal_dense.weight.any()) for block in blocks] == [True, False, False]


def test_frames_that_no_patch_fits_are_refused(model):
    with pytest.raises(ValueError, match=r"a multiple of 4 pixels, found \(12, 14\)"):
        model.features(torch.rand(1, 3, 2, 12, 14))
    with pytest.raises(ValueError, match="as many patches as the square"):
        model.features(torch.rand(1, 3, 2, 4, 36))
    with pytest.raises(ValueError, match=r"expected a tensor of shape \(B, 3, T, H, W\)"):
        model.features(torch.rand(1, 4, 2, 12, 12))


def test_a_pickle_of_the_model_zoo_becomes_a_weights_folder(weights, model, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    held = {
        "epoch": 3,
        "model_state": weights,
        "optimizer_state": {"state": {}},
        "cfg": "MODEL:\n  ARCH: vit\n",
    }
    torch.save(held, mine / FILE)
    out = {"weights_out": tmp_path / "model.safetensors", "config_out": tmp_path / "config.json"}
    fetch_weights(weights="timesformer_howto100m", folder=mine, **out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "mine", "model.safetensors"]
    assert (mine / FILE).is_file()
    again = load_weights(MODULE, out["weights_out"], out["config_out"])
    assert {k: v.tolist() for k, v in again.state_dict().items()} == {
        k: v.tolist() for k, v in model.state_dict().items()
    }


def test_a_name_of_another_network_is_refused(weights):
    with pytest.raises(ValueError, match=r"'blocks\.0\.gate\.weight' is no name of TimeSformer's"):
        convert.rename(weights | {"model.blocks.0.gate.weight": torch.zeros(1)})


def test_trained_here_it_lies_in_the_layout_of_the_published_one(tmp_path):
    sizes = {"frames": 2, "size_px": 16, "patch": 8, "hidden": 64, "layers": 2, "heads": 1, "num_classes": 3}
    tensors, config = published(build(**sizes), sizes)
    theirs = random_weights(frames=2, grid=2, patch=8, width=64, blocks=2)
    assert config == convert.config(theirs)
    assert {n: t.shape for n, t in tensors.items()} == {n: t.shape for n, t in convert.rename(theirs).items()}
    assert json.loads(json.dumps(config)) == config


def test_the_loss_is_a_sum_over_clips_that_learns():
    torch.manual_seed(0)
    model = build(frames=2, size_px=16, patch=8, hidden=64, layers=1, heads=1, num_classes=3)
    frames = torch.rand(4, 3, 2, 16, 16)
    batch = {"frames": frames, "labels": torch.tensor([[1.0, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 0]])}
    parts = [model.losses({k: v[i : i + 2] for k, v in batch.items()}) for i in (0, 2)]
    whole = model.losses(batch)
    assert whole["total"].item() == pytest.approx(sum(p["total"].item() for p in parts), rel=1e-5)
    assert whole["count"].item() == 4
    scores = torch.tensor([row["scores"] for row in model.predict(batch, {})])
    wanted = -(batch["labels"] * scores.log()).sum()
    assert whole["total"].item() == pytest.approx(wanted.item(), rel=1e-4)


def test_files_of_other_content_are_refused(tmp_path, weights):
    torch.save({"model_state": {"model.cls_token": 3}}, tmp_path / FILE)
    out = {"weights_out": tmp_path / "o/model.safetensors", "config_out": tmp_path / "o/config.json"}
    with pytest.raises(WeightsError, match="holds no tensors by name"):
        fetch_weights(weights="timesformer_howto100m", folder=tmp_path, **out)
    torch.save({"model_state": {"conv1.weight": torch.zeros(1)}}, tmp_path / FILE)
    with pytest.raises(WeightsError, match="holds other tensors than those of this network"):
        fetch_weights(weights="timesformer_howto100m", folder=tmp_path, **out)
    with pytest.raises(WeightsError, match="no address is known from which it can be fetched"):
        fetch_weights(weights="timesformer_howto100m", folder=None, **out)
