"""Boxes that a network finds in the frames of a shard, and their features."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from retake.data.array_index import INDEX, read_failures
from retake.training.detections import detect_objects
from tests.unit.training import seeing

HEIGHT, WIDTH = 20, 40
BOXES = {
    ("v", 0.0): (8, 10, 16, 20),
    ("v", 2.0): (4, 5, 40, 15),
    ("w", 0.0): (2, 4, 8, 12),
}  # x1 y1 x2 y2, px
ASKED = {"weights": "any", "classes": ["person"], "keep": 0.05, "at_once": 2, "features": False}


@pytest.fixture
def shard(tmp_path):
    """Frames of two videos at 0, 1, 2 s and at 0 s; in three of them something bright."""
    frames, rows = [], []
    for video_id, times in (("w", [0.0]), ("v", [0.0, 1.0, 2.0])):
        place = {"array": "frames.npy", "row": len(frames), "num_rows": len(times), "start_s": 0.0}
        rows.append({"video_id": video_id, "times_s": times, **place})
        for time_s in times:
            frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            left, top, right, bottom = BOXES.get((video_id, time_s), (0, 0, 0, 0))
            frame[top:bottom, left:right] = 255
            frames.append(frame)
    np.save(tmp_path / "frames.npy", np.stack(frames))
    pq.write_table(pa.Table.from_pylist(rows, schema=INDEX), tmp_path / "index.parquet")
    save_file({"weight": torch.ones(1, 1)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"factor": 1.0}))
    return tmp_path


def detect(shard, **changes):
    files = {
        "table_out": shard / "t.parquet",
        "features_out": shard / "f.npy",
        "failures_out": shard / "failures.csv",
    }
    detect_objects(
        weights_module="tests.unit.training.seeing", detector=ASKED | changes, weights=shard / "model.safetensors",
        config=shard / "config.json", index=shard / "index.parquet", **files,
    )  # fmt: skip
    found = pq.read_table(files["table_out"]).to_pylist()
    return found, np.load(files["features_out"]), read_failures(files["failures_out"])


def share(box, by=0):
    """A box of pixels in [0, 1] of the frame, moved by some pixels and cut at the edge."""
    left, top, right, bottom = (value - by for value in box)
    return pytest.approx([max(left, 0) / WIDTH, max(top, 0) / HEIGHT, right / WIDTH, bottom / HEIGHT])


def test_boxes_are_of_their_frames_time_and_in_shares_of_it(shard):
    found, features, _ = detect(shard)
    assert [(row["video_id"], row["time_s"]) for row in found] == [("v", 0.0), ("v", 2.0), ("w", 0.0)]
    for row in found:  # the stand-in's persons lie 4 pixels to the left of and above what is bright
        assert row["box_xyxy"] == share(BOXES[row["video_id"], row["time_s"]], by=4)
        assert (row["score"], row["label"], row["row"]) == (pytest.approx(0.9), "person", None)
    assert features.shape == (0, 0)


def test_a_box_without_area_is_listed(shard):
    _, _, failures = detect(shard)
    assert [(row[0], row[2]) for row in failures] == [
        ("v", "box [0.125, 0.25, 0.125, 0.45] at 0 s has no area"),
        ("v", "box [0.125, 0.25, 0.125, 0.45] at 2 s has no area"),
        ("w", "box [0.125, 0.25, 0.125, 0.45] at 0 s has no area"),
    ]


def test_classes_score_and_number_decide_what_is_kept(shard):
    both, _, _ = detect(shard, classes=[])
    assert [row["label"] for row in both] == ["person", "cup"] * 3
    assert [row["label"] for row in detect(shard, classes=[], top=1)[0]] == ["person"] * 3
    assert [row["label"] for row in detect(shard, classes=[], keep=0.6)[0]] == ["person"] * 3
    assert [row["label"] for row in detect(shard, classes=["cup"])[0]] == ["cup"] * 3
    with pytest.raises(ValueError, match=r"config.json: no class 'dog'; it has person, cup"):
        detect(shard, classes=["dog"])


def test_features_are_stored_of_what_is_kept(shard):
    found, features, _ = detect(shard, classes=[], features=True, dtype="float32")
    assert features.dtype == np.float32
    assert sorted(row["row"] for row in found) == list(range(6))
    for row in found:
        box = BOXES[row["video_id"], row["time_s"]]
        by = 4 if row["label"] == "person" else 0
        assert features[row["row"]].tolist() == [box[0] - by, box[1] - by]
        assert row["array"] == "features.npy"


def test_how_many_frames_are_seen_at_once_changes_nothing(shard):
    assert detect(shard, at_once=1)[0] == detect(shard, at_once=64)[0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"scores": torch.tensor([float("nan")])}, "video 'v' of .* at 0 s: a box is no number, or a score"),
        ({"boxes": torch.tensor([[0.0, float("inf"), 1, 1]])}, "a box is no number"),
        ({"scores": torch.tensor([1.5])}, r"a score is not in \[0, 1\]"),
        ({"labels": torch.tensor([2])}, "label 2; the network has 2 classes"),
        ({"labels": torch.tensor([0, 1])}, "1 scores, 2 labels"),
        ({"features": None}, "gives no features, which are to be stored"),
        ({"features": torch.tensor([[1e9]])}, "no number in float16"),
    ],
)
def test_answers_that_are_none_are_refused(shard, monkeypatch, answer, said):
    good = {
        "boxes": torch.tensor([[0.0, 0.0, 9.0, 9.0]]), "scores": torch.tensor([0.9]), "labels": torch.tensor([0]),
        "features": torch.ones(1, 2),
    }  # fmt: skip
    monkeypatch.setattr(seeing.Producer, "detect", lambda self, frames: [good | answer] * len(frames))
    with pytest.raises(ValueError, match=said):
        detect(shard, features=True, dtype="float16")


def test_a_shard_without_a_frame_has_a_table_without_a_row(shard):
    table = pq.read_table(shard / "index.parquet").slice(0, 0)
    pq.write_table(table, shard / "index.parquet")
    found, features, failures = detect(shard)
    assert (found, features.shape, failures) == ([], (0, 0), [])
