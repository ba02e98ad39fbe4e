"""Frozen features and the weights they come from."""

import json
from importlib import import_module

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

from retake.data.array_index import Arrays
from retake.data.loader import Source, to_device
from retake.training import checkpoint
from retake.training.banks import clip_groups, extract_bank
from retake.training.loop import StageRun
from retake.training.pretrain import pretrain_weights
from retake.training.settings import checked_stage
from tests.unit.training.small_stage import (
    ETENET,
    Metrics,
    caption_rows,
    model_sizes,
    small_encoder,
    stage,
    write_annotations,
    write_index,
)

WEIGHTS = "retake.weights.imagenet_irv2.model"


def pictures(folder):
    """Twelve pictures of two classes, bright on the left or on the right."""
    rng = np.random.default_rng(0)
    rows, arrays = [], {}
    for n in range(12):
        split = "train" if n < 8 else "val"
        picture = rng.integers(0, 60, (1, 32, 32, 3), dtype=np.uint8)
        picture[:, :, 16 * (n % 2) : 16 * (n % 2) + 16] += 180
        arrays[f"p{n}"] = picture
        place = {"item_id": f"p{n}", "video_id": f"p{n}", "ref_id": f"p{n}", "end_s": 0.0}
        rows.append({**place, "split": split, "labels": [n % 2]})
    annotations = write_annotations(folder / "pictures.parquet", rows)
    index = write_index(folder / "pictures", arrays, "frames.npy")
    return {"dataset": "pictures", "annotations": str(annotations), "index": str(index), "kind": "frames"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A weights folder pre-trained on the pictures, and what it reported."""
    folder = tmp_path_factory.mktemp("weights")
    data = pictures(folder)
    recipe = stage(
        data, task="classify", model=small_encoder() | {"num_classes": 2}, trainable=["*"],
        validation={"data": data | {"split": "val"}}, length={"epochs": 12},
        batch={"effective": 8, "at_once": 8},
    )  # fmt: skip
    metrics = Metrics()
    pretrain_weights(
        weights_module=WEIGHTS, recipe=recipe, seed=1, out=folder / "model.safetensors",
        config=folder / "config.json",
        metric=metrics, scratch=folder / "scratch",
    )  # fmt: skip
    return folder, metrics


@pytest.fixture
def clips(tmp_path):
    """A shard of clips of different lengths."""
    rng = np.random.default_rng(1)
    rows = caption_rows({"train": 3, "val": 1})
    arrays = {
        video: rng.integers(0, 256, (2 + n, 32, 32, 3), dtype=np.uint8)
        for n, video in enumerate(dict.fromkeys(r["video_id"] for r in rows))
    }
    return rows, arrays, write_index(tmp_path / "media", arrays, "frames.npy")


def bank(weights, index, out, **recipe):
    extract_bank(
        weights_module=WEIGHTS, recipe=recipe, weights=weights / "model.safetensors",
        config=weights / "config.json",
        index=index, array_out=out / "features.npy", index_out=out / "index.parquet",
    )  # fmt: skip
    return Arrays(out / "index.parquet")


def test_a_pretrained_network_has_learnt_and_lies_in_the_published_layout(weights):
    import timm

    folder, metrics = weights
    assert metrics.of("train/top1")[-1] == 1.0 > metrics.of("train/total")[-1]
    config = json.loads((folder / "config.json").read_text())
    published = timm.create_model(
        config["architecture"],
        num_classes=config["num_classes"],
        layers=(1, 1, 1, 1),
        channels=(4, 4, 6, 6),
        stem_width=8,
    )
    published.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
    assert config["num_features"] == 6


def test_a_published_config_without_arguments_is_read(weights):
    from retake.weights.imagenet_irv2.model import from_config

    config = {
        "architecture": "resnet10t", "num_classes": 7, "num_features": 512,
        "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [1.0, 1.0, 1.0], "input_size": [3, 299, 299]},
    }  # fmt: skip
    model = from_config(config)
    assert model.width == 512
    assert model.scale.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_a_bank_holds_a_row_a_frame_under_the_frames_index(weights, clips, tmp_path):
    _, arrays, index = clips
    found = bank(weights[0], index, tmp_path / "bank")
    assert {v: found.rows(v).shape for v in found} == {v: (len(a), 6) for v, a in arrays.items()}
    assert found.rows("train0").dtype == np.float32
    before, after = pq.read_table(index), pq.read_table(tmp_path / "bank" / "index.parquet")
    assert after.drop(["array"]).equals(before.drop(["array"]))
    assert set(after["array"].to_pylist()) == {"features.npy"}


def test_features_do_not_depend_on_how_many_are_made_at_once(weights, clips, tmp_path):
    a, b = (bank(weights[0], clips[2], tmp_path / f"b{n}", at_once=n) for n in (2, 64))
    assert all(np.allclose(a.rows(v), b.rows(v), atol=1e-5) for v in a)


def test_an_empty_shard_gives_an_empty_bank(weights, clips, tmp_path):
    index = clips[2].with_name("empty.parquet")
    pq.write_table(pq.read_table(clips[2]).slice(0, 0), index)
    assert len(bank(weights[0], index, tmp_path / "bank")) == 0
    assert np.load(tmp_path / "bank" / "features.npy").shape == (0, 6)


def end_to_end(weights, clips, tmp_path, **changes):
    """The second stage's JSON, over a decoder trained on the bank; and that bank."""
    rows, _, index = clips
    annotations = write_annotations(tmp_path / "clips.parquet", rows)
    found = bank(weights, index, tmp_path / "bank")
    data = {
        "dataset": "clips",
        "annotations": str(annotations),
        "kind": "features",
        "index": str(found.index),
    }
    first = StageRun(ETENET, checked_stage(stage(data, length={"steps": 2})), 1, Metrics(), tmp_path / "s1")
    first.train()
    first.save(tmp_path / "decoder.safetensors")
    start = [
        {"checkpoint": str(tmp_path / "decoder.safetensors")},
        {"checkpoint": str(weights / "model.safetensors"), "into": "encoder.", "leave_out": ["fc.*"]},
    ]
    frames = data | {"kind": "frames", "index": str(index)}
    recipe = stage(
        frames, model=model_sizes(encoder=small_encoder()), start=start, trainable=["*"],
        batch_norm={"frozen": ["encoder.*"], "affine": "frozen"},
    )  # fmt: skip
    return recipe | changes, found, first


def test_the_second_stage_begins_where_the_first_one_ended(weights, clips, tmp_path):
    recipe, found, first = end_to_end(weights[0], clips, tmp_path)
    second = StageRun(ETENET, checked_stage(recipe), 1, Metrics(), tmp_path / "s2")
    batch = second.sources[0].batch([0, 3])
    from retake.data.loader import to_device

    features = second.model.eval().features(to_device(batch, torch.device("cpu")))
    for row, video in enumerate(["train0", "train1"]):
        wanted = torch.from_numpy(found.rows(video).copy())
        assert torch.allclose(features[row, : len(wanted)], wanted, atol=1e-5)
    second._evaluate()
    assert second._evaluate()["val/total"] == pytest.approx(first._evaluate()["val/total"], rel=1e-5)


def test_the_second_stage_moves_the_encoder_but_not_its_normalisation(weights, clips, tmp_path):
    recipe, _, _ = end_to_end(weights[0], clips, tmp_path, length={"steps": 2})
    second = StageRun(ETENET, checked_stage(recipe), 1, Metrics(), tmp_path / "s2")
    before = {k: v.clone() for k, v in second.model.state_dict().items()}
    second.train()
    second.save(tmp_path / "both.safetensors")
    after = checkpoint.read_tensors(tmp_path / "both.safetensors")[0]
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    norms = {k for k in before if ".bn" in k or "downsample.1" in k}
    assert norms
    assert not changed & norms
    assert {k for k in before if k.startswith("encoder.") and k not in norms} <= changed


CLIPS = "retake.weights.timesformer_howto100m.model"


@pytest.fixture(scope="module")
def video_weights(tmp_path_factory):
    """A weights folder of a small network that sees clips, at random."""
    folder = tmp_path_factory.mktemp("video")
    sizes = {"frames": 3, "size_px": 16, "patch": 8, "hidden": 16, "layers": 2, "heads": 2, "num_classes": 0}
    module = import_module(CLIPS)
    torch.manual_seed(0)
    model = module.build(**sizes)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    tensors, config = module.published(model, sizes)
    checkpoint.write_tensors(folder / "model.safetensors", tensors, {})
    (folder / "config.json").write_text(json.dumps(config))
    return folder, model.eval()


def video_bank(weights, index, out, **recipe):
    extract_bank(
        weights_module=CLIPS, recipe=recipe, weights=weights / "model.safetensors", config=weights / "config.json",
        index=index, array_out=out / "features.npy", index_out=out / "index.parquet",
    )  # fmt: skip
    return Arrays(out / "index.parquet")


@pytest.fixture
def long_clips(tmp_path):
    """A shard of clips of 3 frames, of 2, and of a single one: a picture."""
    rng = np.random.default_rng(2)
    lengths = {"train0": 3, "train1": 1, "train2": 3, "train3": 2, "val0": 3, "val1": 1}
    arrays = {video: rng.integers(0, 256, (n, 16, 16, 3), dtype=np.uint8) for video, n in lengths.items()}
    return arrays, write_index(tmp_path / "media", arrays, "frames.npy")


def test_a_network_that_sees_clips_is_shown_each_index_row_alone(video_weights, long_clips, tmp_path):
    folder, model = video_weights
    arrays, index = long_clips
    found = video_bank(folder, index, tmp_path / "bank", at_once=6)
    assert (
        pq.read_table(tmp_path / "bank/index.parquet")
        .drop(["array"])
        .equals(pq.read_table(index).drop(["array"]))
    )
    for video, frames in arrays.items():
        with torch.no_grad():
            pixels = torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 255
            wanted = model.features(pixels)[0]
        assert found.rows(video).shape == (len(frames), 4, 16)
        assert np.allclose(found.rows(video), wanted.numpy(), atol=1e-5)


@pytest.mark.parametrize("at_once", [1, 4, 64])
def test_clips_of_one_length_go_together_and_no_frame_twice(at_once):
    groups = clip_groups([0, 3, 4, 7, 9, 12], [3, 1, 3, 2, 3, 1], at_once)
    assert sorted(np.concatenate([rows.ravel() for rows in groups]).tolist()) == list(range(13))
    assert all(rows.size <= max(at_once, rows.shape[1]) for rows in groups)
    if at_once == 64:
        assert [rows.shape for rows in groups] == [(2, 1), (1, 2), (3, 3)]


def test_half_precision_halves_the_bank_and_is_float32_for_the_model(video_weights, long_clips, tmp_path):
    folder, _ = video_weights
    arrays, index = long_clips
    whole = video_bank(folder, index, tmp_path / "whole")
    half = video_bank(folder, index, tmp_path / "half", dtype="float16", precision="bf16")
    assert half.rows("train0").dtype == np.float16
    assert np.allclose(half.rows("train0"), whole.rows("train0"), atol=0.1)
    rows = [{"item_id": v, "video_id": v, "ref_id": v, "split": "train", "text_out": "x"} for v in arrays]
    spec = {
        "annotations": write_annotations(tmp_path / "t.parquet", rows),
        "index": half.index,
        "split": "train",
    }
    batch = to_device(Source(spec | {"kind": "features"}).batch([0, 1]), torch.device("cpu"))
    assert (batch["features"].shape, batch["features"].dtype) == ((2, 3, 4, 16), torch.float32)
    assert batch["keep"].tolist() == [[True] * 3, [True, False, False]]
    assert np.array_equal(batch["features"][0].numpy(), half.rows("train0").astype(np.float32))
    assert not batch["features"][1, 1:].any()


def test_a_feature_too_large_for_its_dtype_is_an_error(video_weights, long_clips, tmp_path):
    folder, model = video_weights
    large = {name: t.clone() for name, t in model.network.state_dict().items()}
    large["layernorm.weight"] = large["layernorm.weight"] * 1e6
    checkpoint.write_tensors(tmp_path / "model.safetensors", large, {})
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    video_bank(tmp_path, long_clips[1], tmp_path / "a")
    with pytest.raises(FloatingPointError, match="is no number in float16"):
        video_bank(tmp_path, long_clips[1], tmp_path / "b", dtype="float16")


def test_an_empty_shard_of_clips_gives_an_empty_bank(video_weights, long_clips, tmp_path):
    index = long_clips[1].with_name("empty.parquet")
    pq.write_table(pq.read_table(long_clips[1]).slice(0, 0), index)
    assert len(video_bank(video_weights[0], index, tmp_path / "bank")) == 0
