"""Batches from tables: order, padding, targets."""

import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from retake.data.loader import Source, epoch_groups, mini_batches, prefetched, to_device, with_end
from retake.training.batch_plan import BatchShape
from tests.unit.training.small_stage import write_annotations, write_index


def source(tmp_path, lengths=(2, 3), captions=2, kind="features", num_classes=None, **spec):
    """Videos v0, v1, ... of the lengths given; row n of video v holds 10 v + n."""
    rows, arrays = [], {}
    for v, length in enumerate(lengths):
        shape = (length, 2) if kind == "features" else (length, 8, 12, 3)
        values = 10 * v + np.arange(length)
        arrays[f"v{v}"] = np.broadcast_to(values.reshape(-1, *[1] * (len(shape) - 1)), shape).astype(
            np.float32 if kind == "features" else np.uint8
        )
        for c in range(captions):
            place = {"item_id": f"v{v}", "video_id": f"v{v}", "ref_id": f"v{v}#{c}"}
            rows.append({**place, "split": "train", "text_out": f"{v} {c}", "labels": [v], "value": float(v)})
    rows.append({"item_id": "x", "video_id": "lost", "ref_id": "x", "split": "train", "text_out": "lost"})
    rows.append({"item_id": "y", "video_id": "v0", "ref_id": "y", "split": "test", "text_out": "test"})
    data = {
        "annotations": write_annotations(tmp_path / "t.parquet", rows),
        "index": write_index(tmp_path / "a", arrays), "kind": kind, "split": "train",
    }  # fmt: skip
    return Source(data | spec, num_classes=num_classes)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_rows_of_other_splits_and_of_lost_videos_are_left_out(tmp_path):
    made = source(tmp_path)
    assert [r["ref_id"] for r in made.rows] == ["v0#0", "v0#1", "v1#0", "v1#1"]
    assert made.left_out == 1


def test_a_split_without_a_row_and_an_index_without_a_video_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"t\.parquet: no row of split 'val'"):
        source(tmp_path, split="val")
    with pytest.raises(ValueError, match="found 'pixels'"):
        source(tmp_path, lengths=(1,)).__class__({"kind": "pixels"})


def test_rows_of_several_splits_are_learnt_together_as_they_stand_in_the_table(tmp_path):
    made = source(tmp_path, split=["test", "train"])
    assert [r["ref_id"] for r in made.rows] == ["v0#0", "v0#1", "v1#0", "v1#1", "y"]
    with pytest.raises(ValueError, match=r"t\.parquet: no row of split 'val'"):
        source(tmp_path, split=["train", "val"])


def test_shorter_clips_are_padded_and_marked(tmp_path):
    batch = source(tmp_path).batch([0, 2])
    assert batch["features"][..., 0].tolist() == [[0.0, 1.0, 0.0], [10.0, 11.0, 12.0]]
    assert batch["keep"].tolist() == [[True, True, False], [True, True, True]]
    assert batch["item_id"] == ["v0", "v1"]
    assert batch["text_out"] == ["0 0", "1 0"]


def test_rows_that_show_the_same_say_so(tmp_path):
    assert source(tmp_path).batch([2, 0, 3, 1])["same_as"].tolist() == [0, 1, 0, 1]


def test_frames_become_colour_first_floats_between_0_and_1(tmp_path):
    batch = to_device(source(tmp_path, lengths=(2, 26), kind="frames").batch([2]), torch.device("cpu"))
    assert batch["frames"].shape == (1, 3, 26, 8, 12)
    assert batch["frames"].dtype == torch.float32
    assert batch["frames"][0, 1, 5, 3, 2].item() == pytest.approx(15 / 255)


def test_labels_are_many_hot_and_values_are_numbers(tmp_path):
    batch = source(tmp_path, num_classes=3).batch([0, 2])
    assert batch["labels"].tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    assert batch["value"].tolist() == [0.0, 1.0]
    with pytest.raises(ValueError, match="v1#0: label 1, the model has 1 classes"):
        source(tmp_path, num_classes=1).batch([2])


def test_an_epoch_shows_every_row_once_in_an_order_of_its_own(tmp_path):
    made = source(tmp_path, lengths=(1,) * 9)
    orders = [made.order(rng(seed)) for seed in range(3)]
    assert all(sorted(order) == list(range(18)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def test_one_row_an_item_is_drawn_anew_each_time(tmp_path):
    made = source(tmp_path, lengths=(1,) * 9, rows="one_per_item")
    orders = [made.order(rng(seed)) for seed in range(3)]
    assert all(sorted(n // 2 for n in order) == list(range(9)) for order in orders)
    assert len({tuple(sorted(order)) for order in orders}) == 3


def test_item_by_item_keeps_an_items_rows_together(tmp_path):
    order = source(tmp_path, lengths=(1,) * 9, captions=3, rows="by_item").order(rng()).tolist()
    assert sorted(order) == list(range(27))
    assert all(len({n // 3 for n in order[i : i + 3]}) == 1 for i in range(0, 27, 3))
    assert order != sorted(order)


@pytest.mark.parametrize(("share", "num"), [(0.5, 9), (2.0, 36), (1.5, 27)])
def test_a_share_shows_each_row_that_often(tmp_path, share, num):
    order = source(tmp_path, lengths=(1,) * 9, share=share).order(rng()).tolist()
    assert len(order) == num
    assert {order.count(n) for n in order} <= {int(share), int(np.ceil(share))}


class Fixed:
    def __init__(self, num):
        self.num = num

    def order(self, rng):
        return [int(n) for n in rng.permutation(self.num)]


def test_groups_have_the_plans_sizes_and_the_last_may_be_smaller():
    shapes = [BatchShape(items=n, at_once=2) for n in (4, 2, 4, 4)]
    groups = list(epoch_groups([Fixed(9)], shapes, seed=1, epoch=0))
    assert [len(group) for _, group in groups] == [4, 2, 3]
    assert sorted(row for _, group in groups for _, row in group) == list(range(9))


def test_the_order_is_of_seed_and_epoch_alone():
    def order(seed, epoch):
        groups = epoch_groups(
            [Fixed(9), Fixed(5)], [BatchShape(items=4, at_once=2)] * 9, seed=seed, epoch=epoch
        )
        return tuple(tuple(group) for _, group in groups)

    assert order(1, 0) == order(1, 0)
    assert len({order(1, 0), order(1, 1), order(2, 0)}) == 3


def test_sources_are_mixed_in_proportion_and_each_row_comes_once():
    groups = list(
        epoch_groups([Fixed(60), Fixed(20)], [BatchShape(items=8, at_once=8)] * 10, seed=1, epoch=0)
    )
    pairs = [pair for _, group in groups for pair in group]
    assert sorted(pairs) == sorted([(0, n) for n in range(60)] + [(1, n) for n in range(20)])
    assert sum(any(of == 1 for of, _ in group) for _, group in groups) > 5


def test_a_shape_may_name_its_source():
    shapes = [BatchShape(items=3, at_once=3, source=1), BatchShape(items=2, at_once=2, source=0)]
    groups = [group for _, group in epoch_groups([Fixed(4), Fixed(4)], shapes, seed=1, epoch=0)]
    assert [[of for of, _ in group] for group in groups] == [[1, 1, 1], [0, 0]]


def test_mini_batches_hold_one_source_and_share_out_a_group_among_processes():
    group = [(0, 5), (1, 6), (0, 7), (0, 8), (1, 9)]
    assert mini_batches(group, 2) == [(0, [5, 7]), (0, [8]), (1, [6, 9])]
    parts = [mini_batches(group, 2, rank=rank, num_processes=2) for rank in (0, 1)]
    rows = sorted(row for part in parts for _, rows in part for row in rows)
    assert rows == [5, 6, 7, 8, 9]
    assert mini_batches(group[:1], 2, rank=1, num_processes=2) == []


def test_a_shape_takes_frames_at_a_stride_and_crops_to_a_size(tmp_path):
    made = source(tmp_path, lengths=(2, 9), kind="frames")
    middle = BatchShape(items=1, at_once=1, frames=3, stride=(2, 2), size_px=8)
    frames = made.batch([2], middle)["frames"]
    assert frames.shape == (1, 3, 3, 8, 8)
    assert frames[0, 0, :, 0, 0].tolist() == [12, 14, 16]
    short = made.batch([0], middle)["frames"]
    assert short[0, 0, :, 0, 0].tolist() == [0, 1, 1]


def test_drawn_frames_follow_the_generator(tmp_path):
    made = source(tmp_path, lengths=(2, 9), kind="frames")
    shape = BatchShape(items=1, at_once=1, frames=2, stride=(1, 3))
    seen = {tuple(made.batch([2], shape, rng(n))["frames"][0, 0, :, 0, 0].tolist()) for n in range(20)}
    assert len(seen) > 5
    assert {b - a for a, b in seen} == {1, 2, 3}
    twice = [made.batch([2, 3], shape, rng(5)) for _ in range(2)]
    assert torch.equal(twice[0]["frames"], twice[1]["frames"])
    assert twice[0]["same_as"].tolist() == [0, 1]


def test_batches_are_made_ahead_and_in_order():
    made = []

    def maker(n):
        made.append(n)
        return n

    taken = prefetched(lambda n=n: maker(n) for n in range(4))
    assert next(taken) == 0
    for _ in range(200):
        if made == [0, 1]:
            break
        time.sleep(0.01)
    assert made == [0, 1]
    assert list(taken) == [1, 2, 3]


def test_an_error_in_the_thread_reaches_the_caller():
    def fails():
        raise KeyError("no video")

    with pytest.raises(KeyError, match="no video"):
        list(prefetched([fails, fails]))


def test_reading_batches_loads_no_table_library():
    code = "import sys, retake.data.loader; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def drawn_one_by_one(items, how, share, generator):
    """The order of an epoch, unit by unit."""
    units = [[n] for n in range(len(items))]
    if how != "all":
        units = [[n for n, item in enumerate(items) if item == name] for name in dict.fromkeys(items)]
    if how == "one_per_item":
        units = [[unit[generator.integers(len(unit))]] for unit in units]
    whole, part = divmod(share, 1.0)
    picked = [generator.permutation(len(units)) for _ in range(int(whole))]
    picked.append(generator.permutation(len(units))[: round(part * len(units))])
    return [int(n) for turn in picked for u in turn for n in generator.permutation(units[u])]


@pytest.mark.parametrize("share", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("how", ["all", "one_per_item", "by_item"])
def test_an_order_is_that_of_units_drawn_one_by_one(tmp_path, how, share):
    made = source(tmp_path, lengths=(1,) * 7, captions=3, rows=how, share=share)
    items = [row["item_id"] for row in made.rows]
    for seed in range(3):
        assert made.order(rng(seed)).tolist() == drawn_one_by_one(items, how, share, rng(seed))


def test_the_last_of_things_is_known_when_it_comes():
    assert list(with_end(iter("abc"))) == [("a", False), ("b", False), ("c", True)]
    assert list(with_end([])) == []
