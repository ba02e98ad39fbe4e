import numpy as np
import pandas as pd
import pytest
import torch

from retake.training import checkpoint
from retake.training.captions import caption_videos
from retake.training.inference import asked, fuse_predictions, permuted, predict, reduced
from tests.unit.training.small_stage import ETENET, make_world, model_sizes

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
    table = pd.DataFrame({"item_id": ["b", "a", "b"], "scores": [[1.0, 0.0], [5.0, 5.0], [3.0, 2.0]]})
    joined = reduced(table, "classify", how).set_index("item_id")["scores"]
    for found, value in zip(joined["b"], wanted, strict=True):
        assert value is None or found == pytest.approx(value)
    with pytest.raises(ValueError, match="found 'median'"):
        reduced(table, "classify", "median")


def test_captions_cannot_be_joined():
    with pytest.raises(ValueError, match="no scores to join"):
        reduced(pd.DataFrame({"item_id": ["a", "a"], "text": ["x", "y"]}), "caption", "mean")


def scores(path, items, values):
    pd.DataFrame({"item_id": items, "scores": values}).to_parquet(path, index=False)
    return str(path)


def test_predictions_are_fused_by_item_not_by_place(tmp_path):
    parts = {
        scores(tmp_path / "a", ["x", "y"], [[1.0, 0.0], [0.0, 1.0]]): 2.0,
        scores(tmp_path / "b", ["y", "x"], [[3.0, 3.0], [6.0, 0.0]]): 1.0,
    }
    for combiner, wanted in (
        ("sum", [[8.0, 0.0], [3.0, 5.0]]),
        ("weighted_mean", [[8 / 3, 0.0], [1.0, 5 / 3]]),
    ):
        fuse_predictions(parts=parts, task="classify", combiner=combiner, out=tmp_path / "out")
        table = pd.read_parquet(tmp_path / "out")
        assert table["item_id"].to_list() == ["x", "y"]
        assert np.stack(table["scores"].to_list()) == pytest.approx(np.array(wanted))


def test_a_part_that_misses_items_is_named_with_them(tmp_path):
    parts = {
        scores(tmp_path / "a", ["x", "y"], [[1.0], [2.0]]): 1.0,
        scores(tmp_path / "b", ["x"], [[1.0]]): 1.0,
    }
    with pytest.raises(ValueError, match=r"b: 1 items are missing that another part has, first \['y'\]"):
        fuse_predictions(parts=parts, task="classify", combiner="sum", out=tmp_path / "out")


def test_a_method_may_bring_a_combiner_and_an_unknown_one_is_named(tmp_path):
    parts = {scores(tmp_path / "a", ["x"], [[1.0]]): 1.0}
    with pytest.raises(ValueError, match="found 'product'"):
        fuse_predictions(parts=parts, task="classify", combiner="product", out=tmp_path / "out")
    own = "retake.training.inference:weighted_sum"
    fuse_predictions(parts=parts, task="classify", combiner=own, out=tmp_path / "out")
    assert pd.read_parquet(tmp_path / "out")["scores"].to_list()[0].tolist() == [1.0]


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
