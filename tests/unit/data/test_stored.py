"""Rows of a bank in the place of clips: which examples there are, whose rows they get, which boxes and labels."""

import logging

import numpy as np
import pytest
import torch

from retake.data.loader import Source, to_device
from retake.data.memory import Memory
from retake.data.stored import Stored
from retake.schema.sample import Sample
from tests.unit.data.bank_of import write_bank
from tests.unit.data.test_sampled import videos
from tests.unit.training.small_stage import write_annotations, write_index

FPS = 10  # of the videos of `videos`
BOXES = {"truth": False, "detector": "persons", "min_score": 0.6, "match_iou": 0.5}
LEFT, RIGHT = (0.0, 0.0, 0.4, 1.0), (0.6, 0.0, 1.0, 1.0)
FOUND = [[*LEFT, 0.9], [*RIGHT, 0.7], [*LEFT, 0.95], [*RIGHT, 0.55]]  # of steps 1 (three) and 3 (one)


def keyframe(second, n, labels, box, split="train"):
    item = f"v0,{second:04d}"
    told = {
        "item_id": item,
        "ref_id": f"{item},{n}",
        "video_id": "v0",
        "split": split,
        "start_s": float(second),
    }
    return told | {"end_s": second + 1.0, "labels": labels, "box_xyxy": box}


ROWS = [
    keyframe(1, 0, [0], LEFT), keyframe(1, 1, [1, 2], RIGHT), keyframe(2, 0, [1], LEFT), keyframe(3, 0, [2], RIGHT),
]  # fmt: skip


def source(
    folder, rows, counts, boxes=FOUND, *, every_s=1.0, first=0, num_classes=3, sample_boxes=BOXES, **sample
):
    """A source over one video of 60 frames whose bank has rows (n + 1, n + 1, n + 1); counts: rows of each step."""
    folder.mkdir(exist_ok=True)
    index = write_bank(folder / "bank", {"v0": counts}, every_s=every_s, first=first, dtype="float32")
    if boxes is not None:
        np.save(index.parent / "boxes.npy", np.array(boxes, np.float64).reshape(-1, 5))
    settings = {"clip": {"frames": 3, "step_s": 0.5}, "crop": 8, "boxes": sample_boxes} | sample
    spec = {
        "dataset": "toy", "split": "train", "kind": "frames", "stored": {"index": str(index), "made_of": {}},
        "annotations": str(write_annotations(folder / "t.parquet", rows)),
        "index": str(write_index(folder / "media", videos(60), "frames.npy")),
        "sample": Sample(**settings).model_dump(mode="json"),
    }  # fmt: skip
    return Source(spec, num_classes=num_classes)


def first_of(batch):
    return to_device(batch, torch.device("cpu"))["stored"][..., 0].tolist()


def test_a_keyframe_has_the_rows_of_its_second_with_the_classes_of_the_boxes_they_meet(tmp_path):
    made = source(tmp_path, ROWS, [0, 3, 0, 1])
    batch = made.batch([0, 2])
    assert first_of(batch) == [1.0, 2.0, 3.0]  # second 3 has a box of 0.55 alone
    assert batch["labels"].tolist() == [[1, 0, 0], [0, 1, 1], [1, 0, 0]]
    assert batch["box_item"].tolist() == [0, 0, 0]
    assert batch["box_number"].tolist() == [0, 1, 2]
    assert batch["boxes_whole"].tolist() == [pytest.approx(row[:4]) for row in FOUND[:3]]
    assert batch["at"] == [("v0", 1.0), ("v0", 3.0)]
    assert batch["item_id"] == ["v0,0001", "v0,0003"]
    assert not {"frames", "boxes"} & batch.keys()


def test_a_second_without_a_row_gives_no_box_never_teaches_and_is_counted(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        made = source(tmp_path, ROWS, [0, 3, 0, 1])
    assert "no row of 1 of 3 items; first v0,0002" in caplog.text
    assert made.order(np.random.default_rng(0)) == [0]  # second 2 has none, second 3 none of the score
    batch = made.batch([1])
    assert batch["stored"].shape == (0, 3)
    assert batch["labels"].shape == (0, 3)


def test_which_rows_teach_is_looked_at_once(tmp_path, monkeypatch):
    made, own, looked = source(tmp_path, ROWS, [0, 3, 0, 1]), Stored.teaches, []
    monkeypatch.setattr(Stored, "teaches", lambda *given: looked.append(given) or own(*given))
    for seed in range(3):
        assert made.order(np.random.default_rng(seed)) == [0]
    assert len(looked) == 3, "of three items"
    made.rows = made.rows[1:]
    assert not len(made.order(np.random.default_rng(0)))


def test_a_protocol_may_ask_about_worse_boxes(tmp_path):
    made = source(tmp_path, ROWS, [0, 3, 0, 1])
    assert made.ask({"clips": 1, "crops": 1, "short_sides": [8], "min_score": 0.5}) == 3
    assert first_of(made.batch([2])) == [4.0]
    assert made.ask({"min_score": 0.8}) == 3
    assert first_of(made.batch([0])) == [1.0, 3.0]
    with pytest.raises(ValueError, match="protocol: asks 6 ways; what is stored was shown in one"):
        made.ask({"crops": 3, "flip": True, "reduce": "mean"})


def test_a_key_draws_nothing_of_a_keyframe(tmp_path):
    made = source(tmp_path, ROWS, [0, 3, 0, 1])
    assert first_of(made.batch([0], key=[1, 2, 3])) == first_of(made.batch([0]))


SEGMENTS = [
    {
        "item_id": "s",
        "ref_id": "s",
        "video_id": "v0",
        "split": "train",
        "start_s": 1.2,
        "end_s": 3.4,
        "labels": [0],
    },
    {
        "item_id": "t",
        "ref_id": "t",
        "video_id": "v0",
        "split": "train",
        "start_s": 1.6,
        "end_s": 1.9,
        "labels": [1],
    },
]


def of_clips(folder, rows=SEGMENTS, counts=(1,) * 12, **sample):
    return source(folder, rows, list(counts), None, every_s=0.5, sample_boxes=None, at="any", **sample)


def test_a_segment_has_one_of_the_steps_that_begin_within_it_and_to_answer_the_nearest_to_its_middle(
    tmp_path,
):
    made = of_clips(tmp_path)
    # step 5, at 2.5 s, is the nearest to 2.3 s; steps 3 and 4, at 1.5 and 2.0 s, are as near to 1.75 s
    assert first_of(made.batch([0, 1])) == [[6.0], [4.0]]
    drawn = {first_of(made.batch([0], key=[n, 0, 0]))[0][0] - 1 for n in range(60)}
    assert drawn == {3.0, 4.0, 5.0, 6.0}  # 1.5, 2.0, 2.5, 3.0 s
    assert {first_of(made.batch([1], key=[n, 0, 0]))[0][0] for n in range(9)} == {4.0}  # none begins in it
    assert made.batch([0])["labels"].tolist() == [[1, 0, 0]]
    assert made.batch([0])["at"] == [("v0", 2.5)]


def test_labels_of_a_clips_frames_are_those_of_the_step_that_is_read(tmp_path):
    told = {"item_id": "s", "video_id": "v0", "split": "train"}
    rows = [
        told | {"ref_id": f"s{n}", "start_s": begin, "end_s": begin + 1.0, "labels": [n]}
        for n, begin in enumerate((0.0, 2.0, 4.0))
    ]
    made = of_clips(tmp_path, rows, labels="frame")
    assert made.batch([0])["at"] == [("v0", 2.5)]
    assert made.batch([0])["labels"].tolist() == [[0, 1, 0]]  # frames at 2, 2.5 and 3 s
    for n in range(20):
        batch = made.batch([0], key=[n, 0, 0])
        at_s = batch["at"][0][1]
        shown = [min(max(at_s + step, 0.0), 5.9) for step in (-0.5, 0.0, 0.5)]
        wanted = [float(any(b <= t < b + 1 for t in shown)) for b in (0.0, 2.0, 4.0)]
        assert batch["labels"].tolist() == [wanted]


def test_a_clip_may_have_a_row_of_each_step_of_time(tmp_path):
    made = of_clips(tmp_path, counts=(2,) * 12)
    assert first_of(made.batch([0])) == [[11.0, 12.0]]
    uneven = of_clips(tmp_path / "uneven", counts=(2, 2, 2, 1, 2, 2, 2))
    with pytest.raises(ValueError, match=r"clips have \[1, 2\] rows"):
        uneven.batch([0, 1])


def test_what_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"item 'v0,0001' begins at 1.5 s, and steps at multiples of 1 s"):
        source(tmp_path / "a", [ROWS[0] | {"start_s": 1.5}], [0, 3, 0, 1])
    with pytest.raises(ValueError, match="no video 'v0'; the bank has 1 others"):
        index = write_bank(tmp_path / "other", {"w": [1]})
        Memory(index).step("v0", 0)
    with pytest.raises(
        ValueError, match=r"boxes.npy: expected a box and its score of each of 4 rows.*\(3, 5\)"
    ):
        source(tmp_path / "b", ROWS, [0, 3, 0, 1], FOUND[:3])
    with pytest.raises(ValueError, match=r"boxes.npy: expected a box and its score.*\(0, 5\)"):
        source(tmp_path / "c", ROWS, [0, 3, 0, 1], None)
    with pytest.raises(ValueError, match=r"data: stored: boxes.truth: rows are of detections alone"):
        source(tmp_path / "d", ROWS, [0, 3, 0, 1], sample_boxes=BOXES | {"truth": True})


def test_a_bank_of_another_checkpoint_is_refused(tmp_path):
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"other")
    index = write_bank(tmp_path / "bank", {"v0": [1]}, made_of={"checkpoint": "0" * 64})
    with pytest.raises(ValueError, match="was filled by checkpoint 000000000000, expected"):
        Source({
            "dataset": "toy", "split": "train", "kind": "frames",
            "stored": {"index": str(index), "made_of": {"checkpoint": str(other)}},
            "annotations": str(write_annotations(tmp_path / "t.parquet", ROWS)),
            "index": str(write_index(tmp_path / "media", videos(60), "frames.npy")),
            "sample": Sample(clip={"frames": 3, "step_s": 0.5}, crop=8).model_dump(mode="json"),
        })  # fmt: skip
