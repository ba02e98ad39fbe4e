"""Windows of a bank: against a window written out step by step, what is drawn, and what is refused."""

import hashlib
import json
import pickle
import re
from collections import Counter

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retake.data.loader import Source, to_device
from retake.data.memory import Memory, steps_of
from retake.data.row_index import EVERY_S
from tests.unit.data.bank_of import literal_window, write_bank
from tests.unit.training.small_stage import write_annotations, write_index

COUNTS = [2, 0, 7, 1, 0, 0, 3, 5, 6]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("banks")


def shown(found):
    """The numbers of a window's rows, and that each place is kept that has one."""
    rows, keep = found
    assert rows.dtype == np.float16
    assert (rows == rows[:, :1]).all()
    assert ((rows[:, 0] > 0) == keep).all()
    return rows[:, 0].astype(int).tolist()


@settings(max_examples=150, deadline=None)
@given(
    counts=st.lists(st.integers(0, 7), min_size=1, max_size=12),
    first=st.integers(0, 3),
    every_s=st.sampled_from([1.0, 0.5, 2.0]),
    at=st.integers(0, 60),
    asked=st.fixed_dictionaries(
        {
            "window_s": st.integers(1, 25),
            "per_step": st.integers(1, 6),
            "direction": st.sampled_from(["both", "past"]),
        }
    ),
)
def test_a_window_is_what_it_is_step_by_step(place, counts, first, every_s, at, asked):
    counts, at_s, asked = [*counts, 1], at * 0.25, asked | {"window_s": asked["window_s"] * every_s}
    memory = Memory(write_bank(place / "any", {"v": counts}, every_s=every_s, first=first))
    expected = literal_window(counts, at_s, every_s=every_s, first=first, **asked)
    assert shown(memory.window("v", at_s, **asked)) == expected


def test_a_window_worked_by_hand(place):
    """Seconds -1 to 2 of a video that begins at 0: of second 0 the two there are, of second 2 two of seven."""
    memory = Memory(write_bank(place / "hand", {"u": [4], "v": COUNTS, "w": [9]}))
    rows, keep = memory.window("v", 1.0, window_s=4, per_step=2)
    assert rows[:, 2].tolist() == [0, 0, 5, 6, 0, 0, 7, 8]
    assert keep.tolist() == [False, False, True, True, False, False, True, True]
    assert memory.width == 3


def test_windows_lie_as_the_method_says():
    """METHODS 8.1: 60 s are seconds sec-30 ... sec+29; a causal one has only the past."""
    asked = {"window_s": 60.0, "every_s": 1.0}
    assert steps_of(902.0, **asked, direction="both") == range(872, 932)
    assert steps_of(902.99, **asked, direction="both") == range(872, 932)
    assert steps_of(902.0, **asked, direction="past") == range(842, 902)
    assert steps_of(7.0, window_s=3.0, every_s=1.0, direction="both") == range(6, 9)
    assert steps_of(7.25, window_s=10.0, every_s=0.5, direction="both") == range(4, 24)
    with pytest.raises(ValueError, match="direction: expected one of both, past, found 'future'"):
        steps_of(7.0, **asked, direction="future")
    with pytest.raises(ValueError, match=r"window_s: 0.2 s is less than a step of 1 s"):
        steps_of(7.0, window_s=0.2, every_s=1.0, direction="both")


def test_a_past_window_has_nothing_of_now_or_later(place):
    memory = Memory(write_bank(place / "past", {"v": COUNTS}))
    for second in range(len(COUNTS)):
        numbers = shown(memory.window("v", second + 0.5, window_s=50, per_step=7, direction="past"))
        assert [n for n in numbers if n] == list(range(1, sum(COUNTS[:second]) + 1))


def test_what_is_drawn_is_of_its_second_never_twice_and_everything_at_times(place):
    memory = Memory(write_bank(place / "drawn", {"v": COUNTS}))
    rng, seen = np.random.default_rng(0), Counter()
    begins = np.cumsum([0, *COUNTS])
    for _ in range(300):
        numbers = shown(memory.window("v", 4.0, window_s=9, per_step=3, rng=rng))
        for step, count in enumerate(COUNTS):
            mine = [n for n in numbers[3 * step : 3 * step + 3] if n]
            assert len(mine) == min(count, 3)
            assert set(mine) <= set(range(begins[step] + 1, begins[step + 1] + 1))
            assert mine == sorted(set(mine))
        seen.update(n for n in numbers if n)
    assert set(seen) == set(range(1, sum(COUNTS) + 1))
    of_seven = [seen[n] for n in range(3, 10)]  # second 2: three of seven, 300 times
    assert sum(of_seven) == 900
    assert max(abs(n - 900 / 7) for n in of_seven) < 45  # more than five standard deviations of 8.6


def test_a_draw_depends_on_its_generator_alone(place):
    memory = Memory(write_bank(place / "again", {"v": COUNTS}))
    asked = {"window_s": 9, "per_step": 2}
    a, b, c = (shown(memory.window("v", 4.0, **asked, rng=np.random.default_rng(s))) for s in (1, 1, 2))
    assert a == b != c


def test_a_memory_travels_without_its_arrays(place):
    memory = Memory(write_bank(place / "sent", {"v": COUNTS}))
    before = memory.window("v", 4.0, window_s=9, per_step=2)
    again = pickle.loads(pickle.dumps(memory))
    assert not again._maps
    assert np.array_equal(again.window("v", 4.0, window_s=9, per_step=2)[0], before[0])


# --- refused -----------------------------------------------------------------------------------------------


def changed(index, **columns):
    """The index with some columns made anew from their values."""
    table = pq.read_table(index)
    for name, made in columns.items():
        at = table.schema.get_field_index(name)
        values = made(table[name].to_pylist())
        table = table.set_column(at, table.schema.field(name), [values])
    pq.write_table(table, index)
    return index


def test_a_video_that_is_not_there_is_named(place):
    index = write_bank(place / "absent", {"v": COUNTS})
    with pytest.raises(ValueError, match=r"index\.parquet: no video 'x'; the bank has 1 others"):
        Memory(index).window("x", 1.0, window_s=2, per_step=1)


def test_a_bank_of_another_checkpoint_is_refused(place):
    file = place / "checkpoint.safetensors"
    file.write_bytes(b"weights")
    right = hashlib.sha256(b"weights").hexdigest()
    index = write_bank(place / "other", {"v": [1]}, made_of={"checkpoint": right})
    Memory(index, {"checkpoint": file})
    file.write_bytes(b"other weights")
    wanted = hashlib.sha256(b"other weights").hexdigest()
    said = f"{index}: was filled by checkpoint {right[:12]}, expected {wanted[:12]}, that of {file}"
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        Memory(index, {"checkpoint": file})
    with pytest.raises(ValueError, match="was filled by detections None, expected"):
        Memory(index, {"detections": file})


def test_holes_strange_orders_and_short_arrays_are_refused(place):
    with pytest.raises(ValueError, match="video 'v': its rows are not those of one second after the other"):
        Memory(changed(write_bank(place / "hole", {"v": [1, 1]}), start_s=lambda _: [0.0, 2.0]))
    with pytest.raises(
        ValueError, match="video 'v': its features do not lie one behind the other in one array"
    ):
        Memory(changed(write_bank(place / "order", {"v": [1, 1]}), row=lambda rows: rows[::-1]))
    with pytest.raises(ValueError, match="video 'v': its rows are not those of one second after the other"):
        Memory(
            changed(
                write_bank(place / "twice", {"v": [1], "u": [1], "w": [1]}),
                video_id=lambda _: ["v", "u", "v"],
            )
        )
    index = write_bank(place / "short", {"v": [1, 1]})
    np.save(index.parent / "features.npy", np.zeros((1, 3), np.float16))
    with pytest.raises(ValueError, match=r"uses 2 rows of features\.npy, which has 1"):
        Memory(index)
    np.save(index.parent / "features.npy", np.zeros((2, 3, 4), np.float16))
    with pytest.raises(
        ValueError, match=r"features\.npy: expected rows of one width, found an array of shape"
    ):
        Memory(index)


def test_rows_of_several_widths_are_refused(place):
    index = write_bank(place / "widths", {"v": [2], "w": [1]})
    changed(index, array=lambda _: ["features.npy", "wide.npy"], row=lambda _: [0, 0])
    np.save(index.parent / "wide.npy", np.zeros((1, 5), np.float16))
    with pytest.raises(
        ValueError, match=r"rows of several widths: features\.npy: 3 float16, wide\.npy: 5 float16"
    ):
        Memory(index)


def test_an_index_of_frames_and_an_empty_bank_are_refused(place):
    index = write_index(place / "frames", {"v": np.zeros((2, 3))})
    with pytest.raises(ValueError, match="no bank of rows by second: its metadata lack every_s, made_of"):
        Memory(index)
    with pytest.raises(ValueError, match="holds not one row of features"):
        Memory(write_bank(place / "empty", {"v": [0, 0]}))


# --- in batches --------------------------------------------------------------------------------------------


def source(folder, **memory):
    """A source of two videos' features, an item at second 1 and one at second 3, with a memory."""
    rows = [
        {
            "item_id": f"{v},{t}",
            "ref_id": f"{v},{t}",
            "video_id": v,
            "split": "train",
            "start_s": t,
            "labels": [0],
        }
        for v, t in (("v", 1.0), ("w", 3.0))
    ]
    folder.mkdir(exist_ok=True)
    table = write_annotations(folder / "rows.parquet", rows)
    arrays = {v: np.zeros((60, 2), np.float32) for v in "vw"}
    index = write_bank(folder / "bank", {"v": COUNTS, "w": COUNTS})
    said = {"index": str(index), "window_s": 4.0, "per_step": 2, "direction": "both"} | memory
    spec = {"dataset": "toy", "split": "train", "annotations": str(table), "kind": "features", "memory": said}
    return Source(spec | {"index": str(write_index(folder / "media", arrays))}, num_classes=1)


def test_a_batch_has_the_memory_of_each_example(place):
    made = source(place / "source")
    assert [row["item_id"] for row in made.rows] == ["v,1.0", "w,3.0"]
    batch = made.batch([1, 0, 1])
    assert batch["memory"].shape == (3, 8, 3)
    assert batch["memory"].dtype == torch.float16
    moved = to_device(batch, torch.device("cpu"))
    assert moved["memory"].dtype == torch.float32
    seen = moved["memory"][:, :, 0].int().tolist()
    of_w = literal_window(COUNTS, 3.0, window_s=4, per_step=2, direction="both")
    assert seen[1] == literal_window(COUNTS, 1.0, window_s=4, per_step=2, direction="both")
    assert seen[0] == seen[2] == [n and n + sum(COUNTS) for n in of_w]
    assert moved["memory_keep"].tolist() == [[n > 0 for n in row] for row in seen]


def test_a_source_without_a_memory_has_no_such_key(place):
    made = source(place / "without")
    made.memory = None
    assert not {"memory", "memory_keep"} & set(made.batch([0]))


def test_a_protocol_says_another_window(place):
    made = source(place / "asked")
    made.ask({"window_s": 2.0})
    assert made.batch([0])["memory"][0, :, 0].int().tolist() == literal_window(
        COUNTS, 1.0, window_s=2, per_step=2, direction="both"
    )
    made.ask({})
    assert made.batch([0])["memory"].shape == (1, 8, 3)


def test_draws_are_the_rows_own(place):
    """The same key and row give the same draw, whoever else is in the batch; without a key the first are taken."""
    made = source(place / "keys", window_s=8.0)
    alone, together = (
        made.batch([1], key=[5, 1, 7])["memory"][0],
        made.batch([0, 1], key=[5, 1, 7])["memory"][1],
    )
    assert torch.equal(alone, together)
    others = [made.batch([1], key=[5, 1, step])["memory"][0] for step in range(8)]
    assert any(not torch.equal(alone, other) for other in others)
    first = made.batch([1])["memory"][0, :, 0].int().tolist()
    of_w = literal_window(COUNTS, 3.0, window_s=8, per_step=2, direction="both")
    assert first == [n and n + sum(COUNTS) for n in of_w]


def test_where_a_clip_lies_goes_before_its_rows_start(place):
    made = source(place / "at")

    class Cut:
        rows, asked, memory = made.rows, None, made.memory

    from retake.data.memory import remembering

    batch = remembering(lambda *_: {"at": [("w", 6.5)]})(Cut, [0])
    of_w = literal_window(COUNTS, 6.0, window_s=4, per_step=2, direction="both")
    assert batch["memory"][0, :, 0].int().tolist() == [n and n + sum(COUNTS) for n in of_w]


def test_the_metadata_say_the_step(place):
    index = write_bank(place / "said", {"v": [1, 2]}, every_s=0.5)
    assert json.loads(pq.read_schema(index).metadata[EVERY_S.encode()]) == 0.5
    assert Memory(index).every_s == 0.5
