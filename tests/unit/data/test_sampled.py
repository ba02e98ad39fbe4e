"""Examples cut out of videos: which frames and parts a source gives to train and to answer."""

import numpy as np
import pytest

from retake.data.crops import asked_boxes, cut, resized
from retake.data.loader import Source
from retake.data.sampled import Asked, Sampler, by_item, labels_at
from retake.data.sampling import frame_numbers
from tests.unit.training.small_stage import write_annotations, write_index

SAMPLE = {
    "segments": 3, "stack": 1, "crop": 8, "scales": [1.0, 0.75], "distort": 1, "flip": True, "colour": None,
    "labels": "item",
}  # fmt: skip
COLOUR = {"hue": 36, "light": 50, "saturation": 50}


def videos(*lengths, channels=3):
    """Frames of 12 x 16 whose pixels are drawn, a video a length."""
    rng = np.random.default_rng(0)
    return {
        f"v{n}": rng.integers(0, 256, (length, 12, 16, channels), np.uint8)
        for n, length in enumerate(lengths)
    }


class Kept:
    """A reader of frames that are there; only `having` (all, where it is None) have the signal."""

    def __init__(self, made, having=None):
        self.made, self.having, self.read = made, having, 0

    def times_s(self, video_id):
        return np.arange(len(self.made[video_id])) / 10

    def numbers(self, video_id, signal):
        return np.arange(len(self.made[video_id])) if self.having is None else np.array(self.having)

    def frames(self, video_id, numbers, signal):
        self.read += 1
        return self.made[video_id][np.asarray(numbers)]


def row(video="v0", start=0.0, end=None, labels=(0,)):
    return {"item_id": video, "video_id": video, "start_s": start, "end_s": end, "labels": list(labels)}


def test_of_each_of_25_frames_ten_cuts_come_one_by_one():
    """Frame by frame, and of each the ten cuts of its 10 x 10 pixels; each alone: an example of one segment."""
    made = videos(61)
    reader, asked = Kept(made), Asked(25, 10, (10, 10))
    clips = Sampler(SAMPLE, reader, None).views([row()], asked, range(250))
    assert len(asked) == len(clips) == 250
    middles = [round(60 / 25 * (s + 0.5)) for s in range(25)]
    for place, clip in enumerate(clips):
        frame = resized(made["v0"][middles[place // 10]][None], (10, 10))
        box, mirror = asked_boxes((10, 10), 8, 10)[place % 10]
        part = cut(frame, box, 8)
        assert clip.shape == (1, 8, 8, 3)
        assert np.array_equal(clip, part[:, :, ::-1] if mirror else part)
    assert reader.read == 25  # ten cuts cost one reading


def test_views_are_counted_through_all_rows():
    made = videos(20, 30)
    asked = Asked(4, 2, None)
    both = Sampler(SAMPLE, Kept(made), None).views([row("v0"), row("v1")], asked, [7, 8, 9])
    alone = Sampler(SAMPLE, Kept(made), None).views([row("v1")], asked, [0, 1])
    assert np.array_equal(both[1], alone[0])
    assert np.array_equal(both[2], alone[1])
    assert np.array_equal(both[2], both[1][:, :, ::-1])


def test_answers_are_cut_alike_each_time_and_their_colours_are_not_moved():
    """The published code moves colours at test time too: a mistake that is not repeated."""
    made, asked = videos(20), Asked(4, 10, (10, 10))
    plain = Sampler(SAMPLE, Kept(made), None).views([row()], asked, range(40))
    moved = Sampler(SAMPLE | {"colour": COLOUR}, Kept(made), None).views([row()], asked, range(40))
    assert all(np.array_equal(a, b) for a, b in zip(plain, moved, strict=True))


def test_training_moves_colours():
    made = videos(20)
    plain, moved = (
        Sampler(SAMPLE | {"colour": c}, Kept(made), None).example(row(), np.random.default_rng(1))[0]
        for c in (None, COLOUR)
    )
    assert not np.array_equal(plain, moved)


@pytest.mark.parametrize(("signal", "turned"), [("motion", True), ("motion_step", True), ("flow", True),
                                                ("residual", False), ("iframe", False), (None, False)])  # fmt: skip
def test_only_what_points_along_x_is_turned_by_a_flip(signal, turned):
    made = {"v0": np.full((20, 12, 16, 2), 100, np.uint8)}
    clip = Sampler(SAMPLE, Kept(made), signal).views([row()], Asked(1, 2, None), [1])[0]
    assert set(clip[..., 0].ravel()) == {156 if turned else 100}
    assert set(clip[..., 1].ravel()) == {100}


def test_every_second_training_example_or_so_is_mirrored_where_the_recipe_says_so():
    made = {"v0": np.broadcast_to(np.arange(16, dtype=np.uint8)[None, None, :, None], (20, 12, 16, 3)).copy()}
    for flip, wanted in ((True, range(60, 141)), (False, [0])):
        sampler = Sampler(SAMPLE | {"flip": flip}, Kept(made), None)
        falling = 0
        for n in range(200):
            clip, _ = sampler.example(row(), np.random.default_rng(n))
            falling += clip[0, 0, 0, 0] > clip[0, 0, -1, 0]
        assert falling in wanted


def test_an_example_without_draws_is_the_middle_of_all():
    made = videos(31)
    clip, times = Sampler(SAMPLE, Kept(made), None).example(row(), None)
    numbers = [5, 15, 25]  # the middles of 30 frames in three
    assert times.tolist() == [n / 10 for n in numbers]
    assert np.array_equal(clip, resized(made["v0"][numbers][:, :, 2:14], (8, 8)))  # 12 x 12 from the middle


def test_a_stack_joins_the_channels_of_frames_that_follow_one_another():
    made = videos(20, channels=2)
    sampler = Sampler(SAMPLE | {"stack": 3, "segments": 1}, Kept(made), "flow")
    clip = sampler.views([row()], Asked(1, 1, None), [0])[0]
    first = int(frame_numbers(np.arange(20), (0, 20), 1, stack=3, rng=None)[0, 0])
    wanted = np.concatenate([made["v0"][first + n] for n in range(3)], axis=-1)
    (top, left, height, width), _ = asked_boxes((12, 16), 8, 1)[0]
    assert clip.shape == (1, 8, 8, 6)
    assert np.array_equal(clip[0], wanted[top : top + height, left : left + width])


def test_a_video_without_the_signal_is_named():
    with pytest.raises(ValueError, match="video 'v0': no frame has motion"):
        Sampler(SAMPLE, Kept(videos(5), having=[]), "motion").example(row(), None)


def test_rows_of_one_item_become_one_with_all_labels_and_spans():
    rows = [row(start=0.0, end=2.0, labels=[3]), row(start=1.0, end=4.0, labels=[1, 3])]
    (joined,) = by_item(rows)
    assert (joined["start_s"], joined["end_s"], joined["labels"]) == (0.0, 4.0, [1, 3])
    assert labels_at(joined, 0.0) == [3]
    assert labels_at(joined, 1.5) == [1, 3]
    assert labels_at(joined, 2.0) == [1, 3]
    assert labels_at(joined, 4.0) == []
    assert by_item([*rows, row(start=5.0)])[0]["end_s"] is None


def source(tmp_path, rows, lengths=(30, 30), **sample):
    made = videos(*lengths)
    spec = {
        "annotations": write_annotations(tmp_path / "t.parquet", rows),
        "index": write_index(tmp_path / "a", made, "frames.npy"), "kind": "frames", "split": "train",
        "sample": SAMPLE | sample,
    }  # fmt: skip
    return Source(spec, num_classes=4)


def annotated(video, n, start=0.0, end=None, labels=(0,)):
    return row(video, start, end, labels) | {"split": "train", "ref_id": f"{video}#{n}"}


def test_a_rows_draws_depend_on_seed_epoch_step_and_row_and_not_on_who_is_in_the_batch(tmp_path):
    made = source(tmp_path, [annotated("v0", 0), annotated("v1", 0)])
    both, alone = made.batch([0, 1], key=[1, 0, 0]), made.batch([1], key=[1, 0, 0])
    assert np.array_equal(both["frames"][1], alone["frames"][0])
    assert not np.array_equal(both["frames"][1], made.batch([1], key=[1, 1, 0])["frames"][0])


def test_two_rows_of_one_video_are_drawn_apart(tmp_path):
    made = source(tmp_path, [annotated("v0", 0), annotated("v0", 1)])
    first, second = made.batch([0, 1], key=[1, 0, 0])["frames"]
    assert not np.array_equal(first, second)


def test_each_video_comes_once_an_epoch(tmp_path):
    """The published loader draws a random video for each place: a mistake that is not repeated."""
    made = source(tmp_path, [annotated("v0", 0), annotated("v1", 0)])
    assert sorted(made.order(np.random.default_rng(0))) == [0, 1]


def test_frames_have_the_labels_of_their_time(tmp_path):
    """Frames are a tenth of a second apart; the middles of three segments of 30 are frames 5, 14 and 24."""
    rows = [
        annotated("v0", 0, 0.0, 1.0, [2]),
        annotated("v0", 1, 0.5, 2.0, [1]),
        annotated("v0", 2, 2.0, 3.0, [3]),
    ]
    batch = source(tmp_path, rows, labels="frame").batch([0])
    assert batch["frames"].shape == (1, 3, 3, 8, 8)
    assert batch["labels"].tolist() == [[[0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]]


def test_an_asked_source_counts_in_cuts_and_names_the_item_of_each(tmp_path):
    made = source(tmp_path, [annotated("v0", 0), annotated("v1", 0)])
    assert made.ask({"clips": 4, "crops": 10, "resize": (10, 10)}) == 80
    batch = made.batch(range(38, 42))
    assert batch["item_id"] == ["v0", "v0", "v1", "v1"]
    assert batch["frames"].shape == (4, 3, 1, 8, 8)
    assert batch["labels"].shape == (4, 4)


def test_cuts_of_a_source_that_does_not_cut_are_refused(tmp_path):
    made = source(tmp_path, [annotated("v0", 0)])
    made.sampler = None
    with pytest.raises(ValueError, match="clips and crops are cut from frames of a source that has sample"):
        made.ask({"clips": 4, "crops": 10})
