import json
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch

from retake.data.loader import Source
from retake.training import checkpoint
from retake.training.captions import caption_videos
from retake.training.inference import Answers, asked, permuted, predict
from tests.unit.training.small_stage import ETENET, make_world, model_sizes, write_annotations, write_index

COVIAR = "retake.methods.coviar.model"
WORDS = {"vocabulary": ["<eos>", "<unk>", "<sos>", "a", "dog", "cat", "car", "ball", "moves"]}


@pytest.fixture
def trained(tmp_path):
    """A checkpoint of random weights, sharp enough to tell videos apart, and the data of the small world."""
    from retake.methods.etenet.model import build

    torch.manual_seed(2)
    model = build(**model_sizes(), **WORDS)
    for parameter in model.parameters():
        parameter.data *= 6
    path = tmp_path / "c.safetensors"
    checkpoint.save(path, model, sizes=model_sizes(), prepared=WORDS, recipe_sha256="0")
    return path, make_world(tmp_path, train=8, val=5)


def answers(trained, tmp_path, name="p", at_once=2, data=None, **protocol):
    path, world = trained
    out = tmp_path / f"{name}.parquet"
    recipe = {"task": "caption", "data": (data or world) | {"split": "val"}, "at_once": at_once}
    recipe["protocol"] = {"beam": 2, "max_len": 4} | protocol
    predict(model_module=ETENET, recipe=recipe, checkpoint=path, seed=1, out=out)
    return pd.read_parquet(out)


def test_every_item_of_the_split_is_answered_once(trained, tmp_path):
    table = answers(trained, tmp_path)
    assert table["item_id"].to_list() == [f"val{n}" for n in range(5)]
    assert table["text"].nunique() > 1


def test_the_size_of_the_batches_changes_nothing(trained, tmp_path):
    assert answers(trained, tmp_path, at_once=2).equals(answers(trained, tmp_path, name="q", at_once=5))


def test_an_item_whose_video_failed_is_left_out(trained, tmp_path):
    import pyarrow.parquet as pq

    index = pq.read_table(trained[1]["index"])
    lost = tmp_path / "bank" / "lost.parquet"
    pq.write_table(index.filter(np.array([v != "val3" for v in index["video_id"].to_pylist()])), lost)
    table = answers(trained, tmp_path, data=trained[1] | {"index": str(lost)})
    assert table["item_id"].to_list() == ["val0", "val1", "val2", "val4"]


def test_the_blind_control_gives_each_item_the_caption_of_another_video(trained, tmp_path):
    seeing = answers(trained, tmp_path).set_index("item_id")["text"]
    blind = answers(trained, tmp_path, name="blind", permute=True).set_index("item_id")["text"]
    rows = [{"item_id": i, "video_id": i, "start_s": 0.0, "end_s": None} for i in seeing.index]
    for row, moved in zip(rows, permuted(rows), strict=True):
        assert blind[row["item_id"]] == seeing[moved["video_id"]]


def test_a_permutation_moves_every_video_once_and_depends_on_names_alone():
    rows = [{"item_id": n, "video_id": v, "start_s": 0.0, "end_s": None} for n, v in enumerate("abcdeab")]
    moved = permuted(rows)
    assert all(was["video_id"] != now["video_id"] for was, now in zip(rows, moved, strict=True))
    assert moved[0]["video_id"] == moved[5]["video_id"]
    assert {r["video_id"] for r in moved} == set("abcde")
    assert permuted(rows[::-1])[::-1] == moved


def test_one_video_or_a_part_of_one_cannot_be_moved():
    row = {"item_id": "i", "video_id": "a", "start_s": 0.0, "end_s": None}
    with pytest.raises(ValueError, match="one video"):
        permuted([row])
    with pytest.raises(ValueError, match="'i' is a part"):
        permuted([row | {"end_s": 2.0}, row | {"video_id": "b"}])


def test_references_of_one_item_ask_once_and_its_segments_each():
    row = {"item_id": "i", "video_id": "a", "start_s": 0.0, "end_s": None, "text_in": None, "ref_id": 1}
    assert asked([row, row | {"ref_id": 2}]) == [row]
    assert len(asked([row, row | {"start_s": 1.0}])) == 2


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ("mean", [2.0, 1.0]),
        ("max", [3.0, 2.0]),
        ("lse", [np.log(np.e + np.e**3), np.log(1 + np.e**2)]),
        ("prob_mean", [np.e**1 / (np.e + 1) / 2 + np.e**3 / (np.e**3 + np.e**2) / 2, None]),
    ],
)
def test_several_answers_of_an_item_are_joined(how, wanted):
    table = joined([("b", [1.0, 0.0]), ("a", [5.0, 5.0]), ("b", [3.0, 2.0])], how)
    for found, value in zip(table["b"], wanted, strict=True):
        assert value is None or found == pytest.approx(value)
    assert list(table["a"]) == [5.0, 5.0]  # asked once: as it is
    with pytest.raises(ValueError, match="found 'median'"):
        joined([], "median")


def test_captions_cannot_be_joined():
    answers = Answers("caption", "mean", Counter({"a": 2}))
    with pytest.raises(ValueError, match="no scores to join"):
        answers.add("a", {"text": "x"})


def joined(rows, how):
    """Item -> scores of `rows` (item, scores), which are all there are of each item."""
    answers = Answers("classify", how, Counter(item for item, _ in rows))
    for item, scores in rows:
        answers.add(item, {"scores": scores})
    return answers.table().set_index("item_id")["scores"]


def test_captions_are_written_for_people(trained, tmp_path):
    path, world = trained
    renamed = pd.read_parquet(world["annotations"])
    renamed["item_id"] = "item of " + renamed["item_id"]  # people ask for videos
    renamed.to_parquet(tmp_path / "renamed")
    recipe = {
        "task": "caption", "data": world | {"split": "val", "annotations": str(tmp_path / "renamed")},
        "protocol": {"beam": 2, "max_len": 4}, "at_once": 2,
        "checkpoint": str(path), "checkpoint_sha256": "0",
    }  # fmt: skip
    jsonl, table = tmp_path / "o.jsonl", tmp_path / "o.csv"
    caption_videos(model_module=ETENET, recipe=recipe, seed=1, jsonl_out=jsonl, csv_out=table)
    wanted = answers(trained, tmp_path).set_index("item_id")["text"].to_dict()
    assert pd.read_json(jsonl, lines=True).set_index("video")["caption"].to_dict() == wanted
    assert pd.read_csv(table).set_index("video")["caption"].to_dict() == wanted
    assert sorted(p.name for p in tmp_path.glob("*.parquet")) == ["p.parquet", "toy.parquet"]


@pytest.fixture
def classifier(tmp_path):
    """A small network of three classes, and how two videos without a label are asked of it."""
    from retake.methods.coviar.model import build

    sizes = {
        "network": {"name": "resnet18", "arguments": {"layers": [1, 1, 1, 1], "channels": [4, 4, 6, 6]}},
        "mean": [0.5] * 3, "std": [0.5] * 3, "input_norm": False, "norm_momentum": 0.1,
        "num_classes": 3, "loss": "softmax",
    }  # fmt: skip
    classes = {"classes": ["Archery", "Bowling, indoors", "Curling"]}
    torch.manual_seed(0)
    model = build(**sizes, **classes).eval()
    rows = [{"item_id": v, "video_id": v, "ref_id": v, "split": "test"} for v in ("b.mp4", "a.mp4")]
    rng = np.random.default_rng(0)
    frames = {row["video_id"]: rng.integers(0, 256, (9, 40, 48, 3), dtype=np.uint8) for row in rows}
    sample = {"segments": 3, "crop": 32, "stack": 1, "scales": [1.0], "distort": 0, "flip": False}
    data = {
        "annotations": str(write_annotations(tmp_path / "t.parquet", rows)), "split": "test",
        "index": str(write_index(tmp_path / "a", frames, "frames.npy")), "kind": "frames", "dataset": "own",
        "sample": sample | {"colour": None, "labels": "item"},
    }  # fmt: skip
    protocol = {"clips": 3, "crops": 10, "resize": [36, 36], "reduce": "mean"}
    recipe = {"task": "classify", "data": data, "at_once": 7, "protocol": protocol}

    def saved():
        path = tmp_path / "c.safetensors"
        checkpoint.save(path, model, sizes=sizes, prepared=classes, recipe_sha256="0")
        return path

    return model, recipe, saved


def test_an_items_scores_are_the_mean_over_every_cut_of_every_frame(classifier, tmp_path):
    model, recipe, saved = classifier
    out = tmp_path / "p.parquet"
    predict(model_module=COVIAR, recipe=recipe, checkpoint=saved(), seed=1, out=out)
    source = Source(recipe["data"], num_classes=3)
    assert source.ask(recipe["protocol"]) == 60
    found = pd.read_parquet(out).set_index("item_id")["scores"]
    for place, video in enumerate(("b.mp4", "a.mp4")):
        cuts = source.batch(range(30 * place, 30 * place + 30))["frames"].float() / 255
        with torch.no_grad():
            assert found[video] == pytest.approx(model(cuts).mean(dim=(0, 1)).numpy(), abs=1e-5)


def test_classes_are_written_for_people_by_falling_score(classifier, tmp_path):
    """A network whose classifier's bias alone decides."""
    model, recipe, saved = classifier
    model.network.fc.weight.data.zero_()
    model.network.fc.bias.data = torch.tensor([0.5, 2.0, -1.0])
    recipe |= {"checkpoint": str(saved()), "checkpoint_sha256": "0"}
    jsonl, table = tmp_path / "o.jsonl", tmp_path / "o.csv"

    caption_videos(model_module=COVIAR, recipe=recipe, seed=1, jsonl_out=jsonl, csv_out=table)

    falling = [("Bowling, indoors", 2.0), ("Archery", 0.5), ("Curling", -1.0)]
    lines = [json.loads(line) for line in jsonl.read_text().splitlines()]
    assert [line["video"] for line in lines] == ["a.mp4", "b.mp4"]
    for line in lines:
        assert [(one["class"], one["score"]) for one in line["classes"]] == falling
    written = pd.read_csv(table)
    assert list(written.columns) == ["video", "class", "score"]
    assert [tuple(row) for row in written.to_numpy()] == [
        (v, *one) for v in ("a.mp4", "b.mp4") for one in falling
    ]
