"""Answers about boxes and about clips: asked in several ways, joined by item, from tables and coded videos."""

import json
import logging
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from retake.data.clips import moment_name, moment_of
from retake.data.loader import Source, to_device
from retake.schema.protocol import Protocol
from retake.schema.sample import Sample
from retake.training import checkpoint
from retake.training.captions import caption_videos
from retake.training.inference import BoxAnswers, predict
from retake.training.loop import StageRun
from retake.training.settings import checked_stage
from tests.unit.data.streams_of import joined, release, transcode, write_clips
from tests.unit.training import boxes_model
from tests.unit.training.small_stage import Metrics, stage, write_annotations

MODEL = "tests.unit.training.boxes_model"
CLIP = {"clip": {"frames": 4, "step_s": 0.2}, "crop": 32, "short_side": [32, 40], "flip": True}
# of 48 x 64: in the middle, in the left eighth, which the middle square does not show
MIDDLE, LEFT = [0.25, 0.25, 0.75, 0.75], [0.0, 0.0, 0.125, 1.0]
MANY = {"clips": 1, "crops": 3, "flip": True, "short_sides": [32, 40, 48], "reduce": "mean"}


def keyframe(video, second, *boxes):
    """Rows of one keyframe: a box each, or one without any."""
    item = f"{video},{second:04}"
    told = {
        "item_id": item,
        "video_id": video,
        "split": "test",
        "start_s": float(second),
        "end_s": second + 1.0,
    }
    rows = [told | {"box_xyxy": box, "labels": [n % 2]} for n, box in enumerate(boxes)]
    rows = rows or [told | {"box_xyxy": None, "labels": []}]
    return [row | {"ref_id": f"{item},{n}"} for n, row in enumerate(rows)]


ROWS = [
    *keyframe("b", 1, MIDDLE, LEFT),
    *keyframe("b", 2),
    *keyframe("a", 1, LEFT),
    *keyframe("a", 2, MIDDLE),
]


@pytest.fixture(scope="module")
def streams(tmp_path_factory):
    """Two videos of ten frames a second, coded at their own size."""
    folder = tmp_path_factory.mktemp("streams")
    transcode(
        release(folder, write_clips(folder, {"a": 40, "b": 40}, rate=10)),
        folder / "coded",
        size=None,
        short_side=48,
    )
    return joined(folder / "coded", "packets.npy")


def data_of(folder, streams, rows=ROWS, detections=None, **changes):
    sample = Sample(**(CLIP | changes)).model_dump(mode="json")
    table = write_annotations(folder / "t.parquet", rows)
    return {
        "dataset": "toy", "annotations": str(table), "split": "test", "index": str(streams), "kind": "stream",
        "signal": "rgb", "sample": sample, "detections": detections,
    }  # fmt: skip


def asked(folder, data, protocol, *, task="detect", at_once=4, boxes=True):
    """(the model, its predictions by item)"""
    torch.manual_seed(0)
    sizes = {"num_classes": 2, "boxes": boxes}
    model, path, out = boxes_model.build(**sizes).eval(), folder / "c.safetensors", folder / "p.parquet"
    model.head.weight.data *= 4
    checkpoint.save(path, model, sizes=sizes, prepared={}, recipe_sha256="0")
    said = Protocol(**protocol).model_dump(mode="json", exclude_none=True)
    recipe = {"task": task, "data": data, "protocol": said, "at_once": at_once}
    predict(model_module=MODEL, recipe=recipe, checkpoint=path, seed=1, out=out)
    return model, pd.read_parquet(out)


BOXED = {"boxes": {"detector": None}}


def literal(model, data, protocol):
    """(item, box) -> mean score of class 0 over the ways in which the box shows, way by way."""
    source, found = Source(data, num_classes=2), {}
    for number in range(source.ask(protocol)):
        batch = to_device(source.batch([number]), torch.device("cpu"))
        for one in model.predict(batch, {})[0]:
            found.setdefault((batch["item_id"][0], tuple(one["box_xyxy"])), []).append(one["scores"])
    return {key: np.mean(scores, axis=0) for key, scores in found.items()}, found


@pytest.mark.parametrize("at_once", [1, 4, 50])
def test_a_boxs_scores_are_the_mean_over_the_cuts_that_show_it(at_once, streams, tmp_path):
    data = data_of(tmp_path, streams, **BOXED)
    model, table = asked(tmp_path, data, MANY, at_once=at_once)
    wanted, seen = literal(model, data, MANY)
    assert {len(parts) for (_, box), parts in seen.items() if box == tuple(LEFT)} == {6}, (
        "the first crop alone"
    )
    assert {len(parts) for (_, box), parts in seen.items() if box == tuple(MIDDLE)} == {18}
    assert list(table["item_id"]) == ["a,0001", "a,0002", "b,0001", "b,0001"]
    assert list(table.columns) == ["item_id", "box_xyxy", "scores"]
    for row in table.itertuples():
        assert row.scores == pytest.approx(wanted[row.item_id, tuple(row.box_xyxy)])


@pytest.mark.parametrize("at_once", [1, 4, 50])
def test_crops_that_show_the_same_are_shown_once_and_count_as_often(at_once, tmp_path, monkeypatch):
    """Of square frames the three crops are one."""
    transcode(release(tmp_path, write_clips(tmp_path, {"a": 40, "b": 40})), tmp_path / "coded", size=[48, 48])
    data = data_of(tmp_path, joined(tmp_path / "coded", "packets.npy"), **BOXED)
    shown, own = [], boxes_model.Colours.predict
    monkeypatch.setattr(
        boxes_model.Colours, "predict", lambda *given: shown.append(len(given[1]["frames"])) or own(*given)
    )
    model, table = asked(tmp_path, data, MANY, at_once=at_once)
    assert sum(shown) == {1: 4 * 18, 4: 4 * 12, 50: 4 * 6}[at_once]
    wanted, seen = literal(model, data, MANY)
    assert {len(parts) for parts in seen.values()} == {18}
    for row in table.itertuples():
        assert row.scores == pytest.approx(wanted[row.item_id, tuple(row.box_xyxy)], abs=1e-7)


def test_items_that_show_no_box_have_no_row_and_are_counted(streams, tmp_path, caplog):
    """One keyframe has none, and of another the middle square does not show the only one."""
    caplog.set_level(logging.INFO)
    _, table = asked(tmp_path, data_of(tmp_path, streams, **BOXED), {"short_sides": [48]})
    assert list(table["item_id"]) == ["a,0002", "b,0001"]
    assert [list(box) for box in table["box_xyxy"]] == [MIDDLE, MIDDLE]
    assert "2 of 4 items show no box and have no row; first a,0001, b,0002" in caplog.text
    assert "2 of 4 boxes show in no cut and have no row; first of a,0001, b,0001" in caplog.text
    assert "t.parquet: no detector is named; the boxes are those that it labels" in caplog.text


def test_boxes_of_answers_come_from_the_detector(streams, tmp_path, caplog):
    found = [("b", 1.0, 0.86, [0.3, 0.3, 0.6, 0.6]), ("b", 2.0, 0.99, MIDDLE), ("b", 1.0, 0.5, MIDDLE)]
    names = ("video_id", "time_s", "score", "box_xyxy")
    pq.write_table(
        pa.table({name: [r[n] for r in found] for n, name in enumerate(names)}), tmp_path / "d.parquet"
    )
    data = data_of(tmp_path, streams, detections=str(tmp_path / "d.parquet"), boxes={"detector": "persons"})
    _, table = asked(tmp_path, data, {"min_score": 0.85, "short_sides": [48]})
    assert list(table["item_id"]) == ["b,0001", "b,0002"]
    assert list(table["box_xyxy"][0]) == pytest.approx([0.3, 0.3, 0.6, 0.6])
    assert "no detector is named" not in caplog.text
    assert "show in no cut" not in caplog.text
    assert list(asked(tmp_path, data, {"short_sides": [48]})[1]["item_id"]) == ["b,0002"]  # the sample's 0.9
    with pytest.raises(ValueError, match=r"d.parquet: split 'test': no item shows a box"):
        asked(tmp_path, data, {"min_score": 1.0})


def test_a_folder_of_videos_is_asked_second_by_second(streams, tmp_path):
    """Of rows that are whole videos: each second with a box has a line with every class, the surest first."""
    whole = [{"item_id": v, "ref_id": v, "video_id": v, "split": "test"} for v in "ba"]
    seen = [("b", 1.0, 0.9, MIDDLE), ("a", 3.0, 0.9, MIDDLE), ("a", 0.0, 0.95, LEFT), ("a", 2.0, 0.3, MIDDLE),
            ("b", 1.0, 0.99, [0.3, 0.3, 0.6, 0.6])]  # fmt: skip
    names = ("video_id", "time_s", "score", "box_xyxy")
    table = pa.table({name: [r[n] for r in seen] for n, name in enumerate(names)})
    pq.write_table(table, tmp_path / "d.parquet")
    data = data_of(tmp_path, streams, whole, str(tmp_path / "d.parquet"), boxes={"detector": "persons"})
    data["every_s"] = 1.0
    source = Source(data, num_classes=2)
    assert [row["item_id"] for row in source.rows] == [f"{v},{second}" for v in "ba" for second in range(4)]
    protocol = Protocol(short_sides=[48], min_score=0.5).model_dump(mode="json", exclude_none=True)
    _, table = asked(tmp_path, data, protocol)
    recipe = {"task": "detect", "data": data, "protocol": protocol, "at_once": 4}
    recipe |= {"checkpoint": str(tmp_path / "c.safetensors"), "checkpoint_sha256": "0"}
    out = {"jsonl_out": tmp_path / "o.jsonl", "csv_out": tmp_path / "o.csv"}
    caption_videos(model_module=MODEL, recipe=recipe, seed=1, **out)
    lines = [json.loads(line) for line in out["jsonl_out"].read_text().splitlines()]
    assert [(line["video"], line["time_s"], len(line["boxes"])) for line in lines] == [
        ("a", 3.0, 1),
        ("b", 1.0, 2),
    ]
    assert lines[1]["boxes"][0]["box"] == pytest.approx([0.3, 0.3, 0.6, 0.6]), "the surest box first"
    for line, item in zip(lines, ("a,3", "b,1"), strict=True):
        answers = table[table["item_id"] == item]["scores"].tolist()
        for box, scores in zip(line["boxes"], answers, strict=True):
            told = {one["class"]: one["score"] for one in box["classes"]}
            assert told == {"0": scores[0], "1": scores[1]}
            assert box["classes"][0]["score"] >= box["classes"][1]["score"]
    told = pd.read_csv(out["csv_out"])
    assert list(told) == ["video", "time_s", "left", "top", "right", "bottom", "class", "score"]
    flat = [
        (line["video"], line["time_s"], *box["box"], int(one["class"]), one["score"])
        for line in lines for box in line["boxes"] for one in box["classes"]
    ]  # fmt: skip
    assert [tuple(row) for row in told.itertuples(index=False)] == flat
    assert not (tmp_path / "predictions.parquet").exists()


def test_moments_lie_in_their_rows_part_and_each_is_asked_once(streams, tmp_path):
    """Of a part from 0.5 s to 2.5 s and one from 2 s on, of 4 s: 1, 2 and 3 s, each once."""
    part = {"item_id": "p", "ref_id": "p", "video_id": "a", "split": "test", "start_s": 0.5, "end_s": 2.5}
    rows = [part, part | {"item_id": "q", "ref_id": "q", "start_s": 2.0, "end_s": None}]
    data = data_of(tmp_path, streams, rows, **BOXED) | {"every_s": 1.0}
    assert [(row["item_id"], row["start_s"]) for row in Source(data).rows] == [
        ("a,1", 1),
        ("a,2", 2),
        ("a,3", 3),
    ]
    assert [row["start_s"] for row in Source(data | {"every_s": 0.5}).rows] == [0.5, 1, 1.5, 2, 2.5, 3, 3.5]
    assert moment_of(moment_name("folder/a, b.mp4", 12.5)) == ("folder/a, b.mp4", 12.5)
    assert moment_of(moment_name("a", 123456.0)) == ("a", 123456.0)
    assert moment_of(moment_name("a", 1234567.5)) == ("a", 1234567.5)


def test_parts_that_speak_of_other_boxes_by_one_number_are_an_error():
    answers = BoxAnswers("detect", "mean", Counter({"i": 2}))
    answers.add("i", [{"box_number": 0, "box_xyxy": MIDDLE, "scores": [1.0]}])
    with pytest.raises(ValueError, match=r"i: box 0 is \[0.25"):
        answers.add("i", [{"box_number": 0, "box_xyxy": LEFT, "scores": [1.0]}])


def test_ten_clips_of_three_crops_are_joined_by_their_highest_score(streams, tmp_path):
    told = {"item_id": "b", "video_id": "b", "split": "test"}
    rows = [
        told | {"ref_id": f"b{n}", "start_s": 2.0 * n, "end_s": 2.0 * n + 2, "labels": [n]} for n in range(2)
    ]
    data = data_of(tmp_path, streams, rows, at="any", labels="frame")
    protocol = {"clips": 10, "crops": 3, "short_sides": [40], "reduce": "max"}
    model, table = asked(tmp_path, data, protocol, task="classify_multi", boxes=False)
    source = Source(data, num_classes=2)
    assert source.ask(protocol) == 30
    scores = [
        model.predict(to_device(source.batch([n]), torch.device("cpu")), {})[0]["scores"] for n in range(30)
    ]
    assert len({round(score[0], 4) for score in scores}) > 10
    assert list(table["item_id"]) == ["b"]
    assert table["scores"][0] == pytest.approx(np.max(scores, axis=0))


def test_a_stage_is_trained_on_boxes_of_clips(streams, tmp_path):
    """Boxes of one colour are of class 0: a few steps see it; an item without a box is passed over."""
    rows = [row | {"split": split, "ref_id": split + row["ref_id"], "item_id": split + row["item_id"]}
            for split in ("train", "val") for row in ROWS]  # fmt: skip
    data = data_of(tmp_path, streams, rows, **BOXED)
    recipe = stage(
        data, task="detect", model={"num_classes": 2}, trainable=["*"], length={"epochs": 30},
        validation={"data": data | {"split": "val"}, "protocol": None, "at_once": 2},
        batch={"effective": 3, "at_once": 2},
    )  # fmt: skip
    metrics = Metrics()
    run = StageRun(MODEL, checked_stage(recipe), 1, metrics, tmp_path / "s")
    assert run.total == 30  # three of four items have a box
    run.train()
    losses = metrics.of("val/total")
    assert losses[-1] < losses[0]
