"""From a bank of one checkpoint and from frames a network gives the same scores, and learns beside it alone."""

import numpy as np
import pandas as pd
import pytest
import torch

from retake.data.detections import Detection, write_detections
from retake.data.row_index import index_rows
from retake.training import checkpoint
from retake.training.inference import predict
from retake.training.loop import train_stage
from retake.training.rows import extract_rows
from tests.unit.methods.lfb.test_model import SIZES, SMALL_NL, awake, model
from tests.unit.training.small_stage import write_annotations, write_index

MODULE = "retake.methods.lfb.model"
CUT = {"kind": "frames", "signal": None}
CLIP = {
    "clip": {"frames": 4, "step_s": 0.5}, "short_side": [32, 32], "crop": 32, "flip": False, "labels": "item",
    "segments": None,
}  # fmt: skip
BOXED = {"truth": False, "detector": "persons", "min_score": 0.5, "match_iou": 0.5, "one_class": False}
BOXES = [
    (0.3, 0.1, 0.5, 0.9),
    (0.0, 0.2, 0.45, 0.7),
    (0.5, 0.0, 1.0, 1.0),
    (0.0, 0.0, 0.05, 1.0),
]  # the last is cut off


@pytest.fixture(params=["boxes", "global", "steps"])
def case(request, tmp_path):
    """(folder, spec of what is shown, spec of what is stored, sizes), of boxes and of clips."""
    of_boxes = request.param == "boxes"
    rng = np.random.default_rng(0)
    arrays = {v: rng.integers(0, 256, (24, 32, 64, 3), dtype=np.uint8) for v in ("v", "w")}
    index = write_index(tmp_path / "media/shard000", arrays, "frames.npy")
    found = [Detection(v, float(t), box, 0.9 - 0.1 * n, "person") for v in ("v", "w") for t in (0, 1)
             for n, box in enumerate(BOXES)]  # fmt: skip
    table = tmp_path / "detections.parquet"
    write_detections(found, table)
    rows = [
        {"item_id": f"{v},{t}", "ref_id": f"{v},{t}", "video_id": v, "split": "train", "start_s": float(t),
         "end_s": t + 1.0, "labels": [t], "text_out": None, "box_xyxy": BOXES[t] if of_boxes else None}
        for v in ("v", "w") for t in (0, 1, 2)
    ]  # fmt: skip
    sizes = SIZES | ({} if of_boxes else {"head": "clips", "loss": "sigmoid"})
    torch.manual_seed(0)
    producer = awake(model(**sizes | {"operator": {"name": "avg"}}))
    backbone = producer.backbone.state_dict()
    cnn = model(**sizes)
    cnn.backbone.load_state_dict(backbone)
    save(cnn, tmp_path / "cnn.safetensors", sizes)
    sample = CLIP | {"at": "start", "boxes": BOXED if of_boxes else None}
    bank = {"rows": "boxes", "min_score": 0.5} if of_boxes else {"rows": "clips", "grid": None}
    bank = bank | ({"grid": "steps"} if request.param == "steps" else {})
    files = {"detections": table} if of_boxes else {}
    folder = tmp_path / "bank/shard000"
    extract_rows(
        recipe={"bank": bank | {"at_once": 3}, "module": MODULE, "data": CUT | {"sample": sample}},
        index=index, array_out=folder / "features.npy", boxes_out=folder / "boxes.npy",
        index_out=folder / "index.parquet", checkpoint=tmp_path / "cnn.safetensors", **files,
    )  # fmt: skip
    merged = tmp_path / "bank/index.parquet"
    index_rows(shards=[folder / "index.parquet"], media=index, checkpoint=tmp_path / "cnn.safetensors",
               index_out=merged, **files)  # fmt: skip
    spec = {
        "dataset": "toy", "split": "train", "kind": "frames", "sample": sample, "index": str(index),
        "annotations": str(write_annotations(tmp_path / "rows.parquet", rows)),
    }  # fmt: skip
    made_of = {"checkpoint": str(tmp_path / "cnn.safetensors"), "media": str(index)} | {
        k: str(v) for k, v in files.items()
    }
    stored = spec | {"stored": {"index": str(merged), "made_of": made_of}}
    return tmp_path, spec | {k: str(v) for k, v in files.items()}, stored, sizes


def save(network, path, sizes):
    own = {key: value for key, value in sizes.items() if key != "classes"}
    checkpoint.save(path, network, sizes=own, prepared={"classes": sizes["classes"]}, recipe_sha256="")


def operators(sizes, stored):
    """sto of clips needs a bank of steps."""
    of_clips, by_step = (
        sizes["head"] == "clips",
        np.load(stored.parent / "shard000/features.npy").shape[0] > 12,
    )
    return ["none"] if of_clips and not by_step else ["none", "sto"]


def test_scores_from_frames_and_from_rows_are_the_same(case):
    folder, shown, stored, sizes = case
    task = "detect" if sizes["head"] == "boxes" else "classify_multi"
    for name in operators(sizes, folder / "bank/index.parquet"):
        network = model(**sizes | {"operator": SMALL_NL | {"name": name}})
        network = network if name == "none" else awake(network)
        own = checkpoint.read_tensors(folder / "cnn.safetensors")[0]
        network.load_state_dict({k: v for k, v in own.items() if k.startswith("backbone.")}, strict=False)
        network.classifier.weight.data.normal_(std=0.01)
        save(network, folder / f"{name}.safetensors", sizes | {"operator": SMALL_NL | {"name": name}})
        tables = []
        for kind, data in (("shown", shown), ("stored", stored)):
            recipe = {
                "task": task,
                "data": data,
                "protocol": {"clips": 1, "crops": 1, "short_sides": [32]},
                "at_once": 4,
            }
            out = folder / f"{name}_{kind}.parquet"
            predict(
                model_module=MODULE, recipe=recipe, checkpoint=folder / f"{name}.safetensors", seed=1, out=out
            )
            tables.append(pd.read_parquet(out))
        first, second = tables
        assert list(first["item_id"]) == list(second["item_id"])
        assert len(first) == (
            2 * 2 * 3 if task == "detect" else 6
        )  # three of the boxes show; second 2 has none
        scores = [np.stack(table["scores"].tolist()) for table in tables]
        assert np.abs(scores[0] - scores[1]).max() < 1e-4
        assert scores[0].std(axis=0).max() > 1e-3  # they differ from item to item
        if task == "detect":
            assert np.array_equal(*(np.stack(table["box_xyxy"].tolist()) for table in tables))


def test_a_stage_learns_from_rows_alone_and_leaves_the_backbone(case, tmp_path):
    folder, _, stored, sizes = case
    (name, *_) = operators(sizes, folder / "bank/index.parquet")[::-1]
    own = {key: value for key, value in sizes.items() if key != "classes"}
    recipe = {
        "task": "detect", "model": own | {"operator": SMALL_NL | {"name": name}}, "data": [stored],
        "trainable": ["[!b]*"],
        "start": [{"checkpoint": str(folder / "cnn.safetensors"), "leave_out": ["classifier.*"]}], "fresh": ["[!b]*"],
        "optimiser": {"name": "adam", "lr": 0.01, "groups": [{"match": "*", "lr": 1.0, "weight_decay": 0.0}]},
        "length": {"steps": 4}, "batch": {"effective": 3, "at_once": 3},
    }  # fmt: skip

    def train(**changes):
        train_stage(
            model_module=MODULE, recipe=recipe | changes, seed=1, out=tmp_path / "out.safetensors",
            metric=lambda *_: None, scratch=tmp_path / "scratch",
        )  # fmt: skip

    train()
    before, after = (
        checkpoint.read_tensors(p)[0] for p in (folder / "cnn.safetensors", tmp_path / "out.safetensors")
    )
    assert all(torch.equal(before[k], after[k]) for k in before if k.startswith("backbone."))
    assert not torch.equal(before["classifier.bias"], after["classifier.bias"])
    with pytest.raises(
        ValueError, match=r"trainable: 'backbone\.\S+' is trained, and its work is read from stored rows"
    ):
        train(trainable=["*"])
