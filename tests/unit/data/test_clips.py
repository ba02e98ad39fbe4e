"""Clips of long videos: their frames and moments, their cuts, and boxes that stay where pixels go."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retake.data.clips import Clips, Ways, clip_numbers
from retake.data.crops import resized
from retake.data.loader import Source
from retake.schema.sample import Sample
from tests.unit.data.test_sampled import Kept, videos
from tests.unit.training.small_stage import write_annotations, write_index

CLIP = {"frames": 4, "step_s": 0.2}
BOXES = {"truth": True, "detector": None}


def sample(**changes):
    """A recipe's sample as a job reads it: 12 x 16 frames stored, 8 x 8 shown."""
    return Sample(**({"clip": CLIP, "crop": 8} | changes)).model_dump(mode="json")


def row(item="v0,0001", start=1.0, end=None, video="v0", *, labels=(0,), n=0, box=None):
    found = {"item_id": item, "ref_id": f"{item},{n}", "video_id": video, "start_s": start, "end_s": end}
    told = {"labels": None if labels is None else list(labels), "box_xyxy": box}
    return found | told | dict.fromkeys(("text_in", "text_out", "value"))


def cutting(made, rows, **changes):
    """(what cuts clips, its items)"""
    clips = Clips(sample(**changes), Kept(made), None)
    return clips, clips.items(rows, "t.parquet", None)


# -- which frames


def literal_numbers(times, at_s, frames, step_s):
    found = []
    for k in range(frames):
        wanted = at_s + (k - frames // 2) * step_s
        best = 0
        for n, time_s in enumerate(times):
            if abs(time_s - wanted) < abs(times[best] - wanted):
                best = n
        found.append(best)
    return found


@given(
    st.lists(st.integers(1, 400), min_size=1, max_size=40),
    st.integers(-2000, 12000), st.integers(1, 9), st.integers(1, 900),
)  # fmt: skip
def test_a_clips_frames_are_those_nearest_to_its_times(gaps, at, frames, step):
    """In whole milliseconds, of which two are never nearly as near; the earlier of two as near."""
    times = np.cumsum(gaps) * 2  # even: half-way between two lies a whole number
    found = clip_numbers(times / 1000, at / 1000, frames=frames, step_s=step / 1000)
    assert found.tolist() == literal_numbers(times.tolist(), at, frames, step)


def test_clips_by_hand():
    """A keyframe at 1 s of a video of ten frames a second and 3 s: frame 2 of 4 is its own."""
    times = np.arange(30) / 10
    assert clip_numbers(times, 1.0, frames=4, step_s=0.2).tolist() == [6, 8, 10, 12]
    assert clip_numbers(times, 1.0, frames=5, step_s=0.1).tolist() == [8, 9, 10, 11, 12]
    assert clip_numbers(times, 1.0, frames=3, step_s=0.05).tolist() == [
        9,
        10,
        10,
    ]  # two half-way: the earlier
    assert clip_numbers(times, 0.0, frames=4, step_s=0.2).tolist() == [0, 0, 0, 2]
    assert clip_numbers(times, 2.9, frames=4, step_s=0.2).tolist() == [25, 27, 29, 29]
    assert clip_numbers(times, 1.04, frames=1, step_s=0.0).tolist() == [10]
    assert clip_numbers(times[:1], 7.0, frames=3, step_s=1.0).tolist() == [0, 0, 0]


def times_of(clips, item, rng=None):
    return clips.example(item, rng).times_s.tolist()


def test_a_clip_at_the_start_lies_round_its_keyframe_drawn_or_not():
    clips, (item,) = cutting(videos(30), [row(end=2.0)])
    for rng in (None, np.random.default_rng(0)):
        assert times_of(clips, item, rng) == pytest.approx([0.6, 0.8, 1.0, 1.2])


def test_a_clip_anywhere_is_drawn_within_its_row_and_lies_in_its_middle_otherwise():
    clips, (item,) = cutting(videos(100), [row(start=2.0, end=6.0)], at="any")
    assert times_of(clips, item) == pytest.approx([3.6, 3.8, 4.0, 4.2])
    drawn = [clips.example(item, np.random.default_rng(n)).at_s for n in range(200)]
    assert 2.0 <= min(drawn) < 2.3
    assert 5.7 < max(drawn) <= 6.0
    clips, (open_ended,) = cutting(videos(100), [row(start=2.0)], at="any")
    assert clips.example(open_ended, None).at_s == pytest.approx(6.0)  # 100 frames last 10 s
    clips, (longer,) = cutting(videos(100), [row(start=2.0, end=50.0)], at="any")
    assert clips.example(longer, None).at_s == pytest.approx(6.0)


def test_an_item_behind_its_videos_end_is_named():
    with pytest.raises(ValueError, match=r"t.parquet: item 'i' begins at 3.2 s, video 'v0' ends at 3.000 s"):
        cutting(videos(30), [row("i", start=3.2)])
    cutting(videos(30), [row("i", start=3.0)])  # the last second's end: its last frames


def test_a_keyframe_has_one_time():
    rows = [row(n=0, box=[0, 0, 1, 1]), row(n=1, start=2.0, box=[0, 0, 1, 1])]
    with pytest.raises(ValueError, match=r"item 'v0,0001': a keyframe has one start_s"):
        cutting(videos(30), rows, boxes=BOXES)


# -- which part of them


def test_undrawn_a_clip_is_the_middle_square_at_the_lower_short_side():
    made = videos(30)
    clips, (item,) = cutting(made, [row()], short_side=(10, 14), flip=True)
    seen = clips.example(item, None)
    assert np.array_equal(seen.frames, resized(made["v0"][[6, 8, 10, 12]][:, :, 2:14], (10, 10)))
    clips, (item,) = cutting(made, [row()], flip=True)
    assert np.array_equal(clips.example(item, None).frames, made["v0"][[6, 8, 10, 12]][:, 2:10, 4:12])


def test_training_scales_to_one_over_a_uniform_number_cuts_anywhere_and_mirrors_every_second():
    """Frames of 12 x 16 whose columns say where they are: what is shown tells the cut, its scale and its side."""
    wide = np.broadcast_to(np.linspace(0, 240, 16).astype(np.uint8)[:, None], (12, 16, 3))
    clips, (item,) = cutting({"v0": np.stack([wide] * 30)}, [row()], short_side=(8, 16), flip=True)
    squares, lefts, falling = [], set(), 0
    for n in range(400):
        rng = np.random.default_rng(n)
        (top, left, high, square), side = clips._drawn_part((12, 16), rng)
        assert (high, side) == (square, 8)
        assert 0 <= top <= 12 - square
        assert 0 <= left <= 16 - square
        squares.append(square)
        lefts.add(left)
        columns = clips.example(item, np.random.default_rng(n)).frames[0, 0, :, 0].astype(int)
        falling += columns[0] > columns[-1]
        shown = np.sort(columns) if columns[0] < columns[-1] else np.sort(columns)[::-1]
        assert np.array_equal(shown, columns), "a part of the frame, mirrored or not"
    assert 160 <= falling <= 240
    # 8 px of short sides 8 to 16 are 12 to 6 stored ones: 12 * 8 * U(1/16, 1/8) is even over 6 to 12
    counts = np.bincount(squares, minlength=13)
    assert counts[:6].sum() == 0
    assert counts[7:12].min() > 40
    assert abs(np.mean(squares) - 9) < 0.3
    assert lefts == set(range(11))


def test_frames_smaller_than_the_cut_are_named_with_their_video():
    clips, (item,) = cutting(videos(30), [row()], crop=13)
    with pytest.raises(
        ValueError, match="video 'v0': frames of 12 x 16 px are smaller than the cut, 13 x 13"
    ):
        clips.example(item, None)


def test_whole_frames_are_shown_as_they_are_stored():
    made = videos(30)
    clips, (item,) = cutting(
        made, [row(box=[0.1, 0.2, 0.3, 0.4])], crop=None, boxes=BOXES, clip={"frames": 1, "step_s": 0}
    )
    seen = clips.example(item, np.random.default_rng(0))
    assert np.array_equal(seen.frames, made["v0"][[10]])
    assert seen.boxes.tolist() == [pytest.approx([0.1, 0.2, 0.3, 0.4])]


def test_only_pictures_are_cut():
    with pytest.raises(ValueError, match="expected signal rgb, found 'motion'"):
        Clips(sample(), Kept(videos(3)), "motion")


# -- boxes

HEIGHT, WIDTH = 60, 80
corner = st.tuples(st.integers(0, HEIGHT - 12), st.integers(0, WIDTH - 12))
sides = st.tuples(st.integers(12, HEIGHT), st.integers(12, WIDTH))


def white_on_black(rectangle):
    (top, left), (high, wide) = rectangle
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    frame[top : top + high, left : left + wide] = 255
    bottom, right = min(top + high, HEIGHT), min(left + wide, WIDTH)
    return frame, [left / WIDTH, top / HEIGHT, right / WIDTH, bottom / HEIGHT]


def white_in(frame):
    """left, top, right, bottom of what is white, px; None: nothing is."""
    rows, columns = (np.flatnonzero((frame[..., 0] > 127).any(axis=axis)) for axis in (1, 0))
    return None if not len(rows) else (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)


def stays(seen, side):
    """Whether the white rectangle lies where its box says, to a pixel; where there is no box, nothing is white."""
    if not len(seen.shown):
        return not seen.frames.any()
    box = seen.boxes[0] * side
    if min(box[2] - box[0], box[3] - box[1]) < 1.5:  # a sliver: scaling may make it grey
        return True
    found = white_in(seen.frames[0])
    return found is not None and np.abs(np.array(found) - box).max() <= 1.0


@settings(max_examples=60, deadline=None)
@given(st.tuples(corner, sides), st.integers(0, 2**32), st.sampled_from([(48, 48), (48, 70), (60, 90)]))
def test_a_box_drawn_into_the_frames_stays_on_its_rectangle(rectangle, seed, short_side):
    frame, box = white_on_black(rectangle)
    made = {"v0": np.stack([frame] * 3)}
    clips, (item,) = cutting(
        made, [row(start=0.1, box=box)], crop=48, short_side=short_side, flip=True, boxes=BOXES
    )
    assert stays(clips.example(item, np.random.default_rng(seed)), 48)


@settings(max_examples=40, deadline=None)
@given(st.tuples(corner, sides), st.sampled_from([40, 60, 75]), st.booleans())
def test_asked_boxes_stay_on_their_rectangles_too(rectangle, side, upright):
    frame, box = white_on_black(rectangle)
    if upright:
        frame, box = frame.transpose(1, 0, 2), [box[1], box[0], box[3], box[2]]
    clips, (item,) = cutting({"v0": np.stack([frame] * 3)}, [row(start=0.1, box=box)], crop=32, boxes=BOXES)
    ways = Ways.of({"clips": 1, "crops": 3, "flip": True, "short_sides": [side]})
    for way in range(len(ways)):
        seen = clips.way(item, ways, way)
        assert seen.frames.shape[1:3] == (side, side)
        assert stays(seen, side)


# -- batches


def detected(path, rows):
    columns = ("video_id", "time_s", "score", "box_xyxy")
    pq.write_table(pa.table({name: [r[n] for r in rows] for n, name in enumerate(columns)}), path)
    return str(path)


def source(tmp_path, rows, lengths=(60, 60), num_classes=4, detections=None, **changes):
    """A source of frames of ten a second."""
    told = {"split": "train"}
    annotations = write_annotations(tmp_path / "t.parquet", [told | r for r in rows])
    index = write_index(tmp_path / "a", videos(*lengths), "frames.npy")
    spec = {
        "annotations": str(annotations), "index": str(index), "kind": "frames", "split": "train",
        "sample": sample(**changes), "detections": detections,
    }  # fmt: skip
    return Source(spec, num_classes=num_classes)


# the shown square of 12 x 12 begins at column 2 of 16
MIDDLE, LEFT, EDGE = [0.25, 0.0, 0.75, 1.0], [0.0, 0.5, 0.25, 1.0], [0.0, 0.0, 0.125, 1.0]
ROWS = [
    row("v0,0001", 1.0, 2.0, labels=[1, 3], n=0, box=MIDDLE),
    row("v0,0001", 1.0, 2.0, labels=[], n=1, box=EDGE),
    row("v0,0001", 1.0, 2.0, labels=[2], n=2, box=LEFT),
    row("v0,0002", 2.0, 3.0, labels=[], n=0),
    row("v1,0001", 1.0, 2.0, "v1", labels=[0], n=0, box=MIDDLE),
]
WIDE = {"short_side": (12, 12), "crop": 12}


def test_an_item_is_an_example_and_its_rows_are_its_boxes(tmp_path):
    batch = source(tmp_path, ROWS, boxes=BOXES, **WIDE).batch([0, 1, 2])
    assert batch["item_id"] == ["v0,0001", "v0,0002", "v1,0001"]
    assert batch["frames"].shape == (3, 3, 4, 12, 12)
    assert batch["frames"].dtype == torch.uint8
    assert batch["box_item"].tolist() == [0, 0, 2]
    assert batch["box_number"].tolist() == [0, 2, 0]  # box 1 ends where the cut begins
    middle = [2 / 12, 0.0, 10 / 12, 1.0]
    shown = np.array([middle, [0.0, 0.5, 2 / 12, 1.0], middle])
    assert batch["boxes"].numpy() == pytest.approx(shown, abs=1e-6)
    assert batch["boxes_whole"].tolist() == [MIDDLE, LEFT, MIDDLE]
    assert batch["labels"].tolist() == [[0, 1, 0, 1], [0, 0, 1, 0], [1, 0, 0, 0]]
    assert {batch[key].dtype for key in ("box_item", "box_number")} == {torch.int64}
    assert {batch[key].dtype for key in ("boxes", "boxes_whole", "labels")} == {torch.float32}


def test_an_item_without_boxes_gives_none_and_is_not_learnt(tmp_path):
    made = source(tmp_path, ROWS, boxes=BOXES, **WIDE)
    batch = made.batch([1])
    assert batch["boxes"].shape == (0, 4)
    assert batch["labels"].shape == (0, 4)
    assert len(batch["box_item"]) == len(batch["box_number"]) == 0
    assert sorted(made.order(np.random.default_rng(0))) == [0, 2]


def test_draws_depend_on_the_key_and_the_item_and_not_on_who_is_in_the_batch(tmp_path):
    made = source(tmp_path, ROWS, boxes=BOXES, short_side=(9, 16), flip=True, at="any")
    both, alone = made.batch([0, 2], key=[1, 0, 0]), made.batch([2], key=[1, 0, 0])
    assert np.array_equal(both["frames"][1], alone["frames"][0])
    assert torch.equal(both["boxes"][both["box_item"] == 1], alone["boxes"])
    assert not np.array_equal(both["frames"][1], made.batch([2], key=[1, 0, 1])["frames"][0])


def test_detections_of_this_split_are_learnt_beside_labelled_boxes(tmp_path):
    table = detected(tmp_path / "d.parquet", [
        ("v0", 2.0, 0.95, MIDDLE), ("v0", 1.0, 0.92, [0.25, 0.0, 0.75, 0.95]), ("v0", 1.0, 0.8, MIDDLE),
    ])  # fmt: skip
    made = source(tmp_path, ROWS, detections=table, boxes={"detector": "persons"}, **WIDE)
    batch = made.batch([0, 1])
    assert batch["box_item"].tolist() == [0, 0, 0, 1]
    assert batch["box_number"].tolist() == [0, 2, 3, 0]
    assert batch["labels"].tolist() == [[0, 1, 0, 1], [0, 0, 1, 0], [0, 1, 0, 1], [0, 0, 0, 0]]
    assert sorted(made.order(np.random.default_rng(0))) == [0, 1, 2]


def test_rows_without_labels_give_none(tmp_path):
    unknown = [row("v0,0001", 1.0, labels=None, box=MIDDLE)]
    assert "labels" not in source(tmp_path, unknown, boxes=BOXES, **WIDE).batch([0])
    assert "labels" not in source(tmp_path, [row(labels=None)]).batch([0])
    assert "labels" not in source(tmp_path, ROWS, boxes=BOXES, num_classes=None, **WIDE).batch([0])


def test_a_detector_learns_whole_keyframes_whose_boxes_are_of_one_class(tmp_path):
    """Whatever the data set calls them, and also where it does not say."""
    alone = {"crop": None, "clip": {"frames": 1, "step_s": 0}, "boxes": {"one_class": True}}
    unknown = row("v1,0002", 2.0, 3.0, "v1", labels=None, box=LEFT)
    made = source(tmp_path, [*ROWS, unknown], num_classes=1, **alone)
    assert sorted(made.order(np.random.default_rng(0))) == [0, 2, 3]
    batch = made.batch([0, 2, 3], key=[1])
    assert batch["frames"].shape == (3, 3, 1, 12, 16)
    assert torch.equal(batch["boxes"], batch["boxes_whole"])
    assert batch["boxes"].tolist() == [MIDDLE, EDGE, LEFT, MIDDLE, LEFT]
    assert batch["box_item"].tolist() == [0, 0, 0, 1, 2]
    assert batch["labels"].tolist() == [[1.0]] * 5


@pytest.mark.parametrize("label", [4, -1])
def test_a_class_that_the_model_does_not_have_is_named(label, tmp_path):
    made = source(tmp_path, [row("v0,0001", labels=[label], box=MIDDLE)], boxes=BOXES, **WIDE)
    with pytest.raises(ValueError, match=rf"v0,0001(,0)?: label {label}, the model has 4 classes"):
        made.batch([0])


def test_a_clip_has_the_labels_of_its_frames_where_the_sample_says_so(tmp_path):
    rows = [
        row("v0", 0.0, 1.0, labels=[2], n=0),
        row("v0", 1.0, 1.2, labels=[1, 2], n=1),
        row("v0", 1.2, 6.0, labels=[3], n=2),
    ]
    made = source(tmp_path, rows, at="any", labels="frame")
    assert made.rows[0]["end_s"] == 6.0
    assert made.batch([0])["labels"].tolist() == [[0, 0, 0, 1]]  # the middle, 2.6 to 3.2 s
    seen = [tuple(made.batch([0], key=[n])["labels"][0].tolist()) for n in range(200)]
    assert set(seen) >= {(0, 0, 1, 0), (0, 1, 1, 0), (0, 1, 1, 1), (0, 0, 0, 1)}
    whole = source(tmp_path, rows, at="any")
    assert whole.batch([0])["labels"].tolist() == [[0, 1, 1, 1]]


def test_frames_of_two_sizes_do_not_fit_one_batch_uncut():
    rows = [row("a", video="v0"), row("b", video="v1")]
    made = videos(30, 30)
    made["v1"] = made["v1"][:, :, :14]
    clips, items = cutting(made, rows, crop=None)
    with pytest.raises(ValueError, match="crop: null needs frames of one size"):
        clips.batch(items, [0, 1], None, None)


# -- answers


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        ({"clips": 1, "crops": 5}, "crops: of clips 1 or 3 are taken, not 5"),
        ({"clips": 1, "crops": 1, "resize": [9, 9]}, "resize: clips are scaled by short_sides"),
    ],
)
def test_what_clips_cannot_be_asked_is_said(protocol, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        source(tmp_path, ROWS, boxes=BOXES).ask(protocol)


def test_whole_frames_are_asked_once(tmp_path):
    made = source(tmp_path, ROWS, boxes=BOXES, crop=None)
    assert made.ask({}) == 3
    with pytest.raises(ValueError, match="the sample's frames stay whole"):
        made.ask({"clips": 1, "crops": 3})


def test_only_clips_are_asked_what_is_of_clips(tmp_path):
    made = source(tmp_path, ROWS)
    made.sampler = None
    with pytest.raises(ValueError, match="short_sides: is of a source whose sample is a clip"):
        made.ask({"short_sides": [256]})


def test_ways_are_counted_clip_by_clip_side_by_side_crop_by_crop():
    ways = Ways.of({"clips": 2, "crops": 3, "short_sides": [10, 12], "flip": True})
    assert len(ways) == len(ways.each()) == 24
    assert ways.each()[0] == (0, 10, 0, False)
    assert ways.each()[1] == (0, 10, 0, True)
    assert ways.each()[2] == (0, 10, 1, False)
    assert ways.each()[6] == (0, 12, 0, False)
    assert ways.each()[12] == (1, 10, 0, False)


def test_three_crops_are_the_long_sides_begin_middle_and_end():
    made = videos(30)
    clips, (item,) = cutting(made, [row()])
    ways = Ways.of({"clips": 1, "crops": 3, "short_sides": [12], "flip": True})
    for crop, left in enumerate((0, 2, 4)):
        wanted = made["v0"][[6, 8, 10, 12]][:, :, left : left + 12]
        assert np.array_equal(clips.way(item, ways, 2 * crop).frames, wanted)
        assert np.array_equal(clips.way(item, ways, 2 * crop + 1).frames, wanted[:, :, ::-1])
    tall = {"v0": made["v0"].transpose(0, 2, 1, 3)}
    clips, (item,) = cutting(tall, [row()])
    for crop, top in enumerate((0, 2, 4)):
        wanted = tall["v0"][[6, 8, 10, 12]][:, top : top + 12]
        assert np.array_equal(clips.way(item, ways, 2 * crop).frames, wanted)


def test_ways_that_show_the_same_are_one_clip_that_stands_for_them():
    """Of 12 x 13 pixels the first two of three squares are one, of 12 x 12 all."""
    said = {"clips": 1, "crops": 3, "flip": True, "short_sides": [12]}
    for width, lefts, copies in (
        (16, [0, 0, 2, 2, 4, 4], [1] * 6),
        (13, [0, 0, 1, 1], [2, 2, 1, 1]),
        (12, [0, 0], [3, 3]),
    ):
        made = {"v0": videos(30)["v0"][:, :, :width]}
        clips, items = cutting(made, [row(), row("w", start=2.0)])
        assert clips.ask(said) == 6
        batch = clips.batch(items, range(12), None, None)
        assert batch["copies"] == copies * 2
        assert batch["item_id"] == ["v0,0001"] * len(copies) + ["w"] * len(copies)
        assert [at_s for _, at_s in batch["at"]] == [1.0] * len(copies) + [2.0] * len(copies)
        for number, (frames, left) in enumerate(zip(batch["frames"], lefts, strict=False)):
            wanted = made["v0"][[6, 8, 10, 12]][:, :, left : left + 12][:, :, :: -1 if number % 2 else 1]
            assert np.array_equal(frames.permute(1, 2, 3, 0).numpy(), wanted)
    assert "copies" not in cutting(made, [row()])[0].batch(items, [0], None, None), "nothing is asked"


def test_ten_clips_lie_evenly_over_the_row():
    clips, (item,) = cutting(videos(200), [row(start=5.0, end=15.0)], at="any")
    ways = Ways.of({"clips": 10, "crops": 1})
    assert [clips.way(item, ways, n).at_s for n in range(10)] == pytest.approx([5.5 + n for n in range(10)])
    one = Ways.of({})
    assert clips.way(item, one, 0).at_s == pytest.approx(10.0)
    clips, (item,) = cutting(videos(200), [row(start=5.0, end=15.0)])
    assert clips.way(item, one, 0).at_s == 5.0


@pytest.mark.parametrize("at_once", [1, 4, 6, 7, 40])
@pytest.mark.parametrize("protocol", [
    {}, {"clips": 1, "crops": 3, "flip": True, "short_sides": [8, 12, 16]}, {"clips": 10, "crops": 3},
    {"clips": 2, "crops": 1, "short_sides": [8, 12]},
])  # fmt: skip
def test_every_way_of_every_item_is_asked_once_in_batches_of_one_size(protocol, at_once, tmp_path):
    made = source(tmp_path, ROWS, boxes=BOXES)
    count, parts = made.ask(protocol), made.parts(at_once)
    assert sorted(n for part in parts for n in part) == list(range(count))
    assert max(map(len, parts)) <= at_once
    seen = set()
    for part in parts[:6]:
        batch = made.batch(part)
        seen.add(batch["frames"].shape[-1])
        assert batch["frames"].shape[-1] == batch["frames"].shape[-2]
        assert batch["item_id"] == [made.rows[n * 3 // count]["item_id"] for n in part]
    assert seen <= set(protocol.get("short_sides", [8]))


def test_what_was_read_for_one_size_is_there_for_the_next(tmp_path):
    made = source(tmp_path, ROWS, boxes=BOXES)
    made.ask({"clips": 2, "crops": 3, "short_sides": [8, 12, 16]})
    reader, read = made.sampler.reader, []
    frames = reader.frames
    reader.frames = lambda *given: read.append(given) or frames(*given)
    for part in made.parts(4):
        made.batch(part)
    assert len(read) == 6  # three items' two clips


def test_answers_are_about_what_the_detector_found(tmp_path):
    table = detected(tmp_path / "d.parquet", [("v0", 1.0, 0.86, MIDDLE), ("v0", 1.0, 0.8, LEFT)])
    made = source(tmp_path, ROWS, detections=table, boxes={"detector": "persons"}, **WIDE)
    made.ask({"min_score": 0.85})
    batch = made.batch([0, 1])
    assert batch["boxes_whole"].tolist() == [MIDDLE]
    assert batch["box_item"].tolist() == batch["box_number"].tolist() == [0]
    made.ask({})
    assert made.batch([0])["boxes_whole"].tolist() == []  # the sample's 0.9
