"""Which frames a view keeps, and where their pixels go."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retake.data.video import Placement
from retake.data.views import by_clock, frame_size, indices, placement, stream_placement

SAMPLED = ["segment_starts", "segment_centres", "uniform"]
counts = st.integers(1, 64)
lengths = st.integers(1, 5000)


@given(counts, lengths, st.sampled_from(SAMPLED))
def test_indices_rise_and_lie_in_the_video(count, num_frames, sampling):
    kept = indices(count, num_frames, sampling)
    assert len(kept) == min(count, num_frames)
    assert (np.diff(kept) > 0).all()
    assert kept[0] >= 0
    assert kept[-1] < num_frames


@given(counts, st.integers(1, 64), st.sampled_from(SAMPLED))
def test_a_video_with_fewer_frames_than_asked_for_gives_each_once(count, num_frames, sampling):
    if num_frames <= count:
        assert indices(count, num_frames, sampling).tolist() == list(range(num_frames))


@given(counts, lengths)
def test_starts_and_centres_are_those_of_contiguous_even_segments(count, num_frames):
    if num_frames < count:
        return
    segments = np.array_split(np.arange(num_frames), count)  # what the ancestor's code calls
    assert indices(count, num_frames, "segment_starts").tolist() == [s[0] for s in segments]
    assert indices(count, num_frames, "segment_centres").tolist() == [s[(len(s) - 1) // 2] for s in segments]


@given(st.integers(2, 64), st.integers(2, 5000))
def test_uniform_runs_from_the_first_frame_to_the_last_in_even_steps(count, num_frames):
    kept = indices(count, num_frames, "uniform")
    assert (kept[0], kept[-1]) == (0, num_frames - 1)
    assert np.ptp(np.diff(kept)) <= 1
    exact = np.linspace(0, num_frames - 1, len(kept))
    assert (np.abs(kept - exact) <= 0.5 + 1e-9).all()


@pytest.mark.parametrize(
    ("count", "num_frames", "sampling", "expected"),
    [
        (4, 10, "segment_starts", [0, 3, 6, 8]),  # segments of 3, 3, 2, 2
        (4, 10, "segment_centres", [1, 4, 6, 8]),
        (4, 10, "uniform", [0, 3, 6, 9]),
        (3, 6, "uniform", [0, 3, 5]),  # 2.5 is rounded up
        (1, 9, "uniform", [0]),
        (16, 3, "segment_starts", [0, 1, 2]),
        (None, 5, "all", [0, 1, 2, 3, 4]),
    ],
)
def test_indices_by_hand(count, num_frames, sampling, expected):
    assert indices(count, num_frames, sampling).tolist() == expected


def test_a_sampling_nobody_knows_and_a_count_of_none_are_errors():
    with pytest.raises(ValueError, match="no 'middle'; expected one of segment_starts"):
        indices(4, 10, "middle")
    with pytest.raises(ValueError, match="count: expected a number of at least 1"):
        indices(None, 10, "uniform")


@given(st.lists(st.integers(1, 3000), max_size=60), st.integers(100, 5000))
def test_a_clock_picks_what_is_up_at_each_of_its_times(gaps, every):
    """Frame by frame, in milliseconds: the last one whose stamp has come; late by one to the digit it may be or not."""
    stamps = np.cumsum([0, *gaps])
    numbers, ticks = by_clock(stamps / 1000, every / 1000)
    end = len(stamps) * stamps[-1] / (len(stamps) - 1) if len(stamps) > 1 else 0
    times = [n * every for n in range(len(numbers))]
    assert ticks * 1000 == pytest.approx(times)
    assert times[-1] < end or times == [0]
    assert times[-1] + every > end - 1.5
    for number, time in zip(numbers, times, strict=True):
        assert number in (sum(stamps <= time + 1) - 1, sum(stamps < time + 1) - 1)


def test_a_clock_by_hand():
    """Thirty frames of ten a second, of a rate that is not whole, of pictures two seconds apart."""
    numbers, ticks = by_clock(np.arange(30) / 10, 1.0)
    assert (numbers.tolist(), ticks.tolist()) == ([0, 10, 20], [0.0, 1.0, 2.0])
    numbers, _ = by_clock(np.arange(100) / 29.97, 1.0)
    assert numbers.tolist() == [
        0,
        29,
        59,
        89,
    ]  # frame 30 comes 1.001 s after the first
    numbers, ticks = by_clock(np.array([0.0, 2.0, 4.0]), 1.0)
    assert numbers.tolist() == [0, 0, 1, 1, 2, 2]
    assert ticks.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    numbers, ticks = by_clock(np.zeros(1), 1.0)
    assert (numbers.tolist(), ticks.tolist()) == ([0], [0.0])
    with pytest.raises(ValueError, match="which frames a clock picks depends on their times"):
        indices(None, 30, "clock")


def test_a_frame_is_up_that_is_less_than_a_millisecond_late():
    numbers, _ = by_clock(np.array([0.0, 0.5009, 1.0011]), 0.5)
    assert numbers.tolist() == [0, 1, 1, 2]


@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(1, 200))
def test_a_streams_short_side_is_the_views_and_the_other_keeps_the_aspect(height, width, half):
    to = stream_placement({"short_side": 2 * half}, height, width)
    sides, frame = sorted((to.height, to.width)), sorted((height, width))
    assert sides[0] == 2 * half
    assert sides[1] % 2 == 0
    wanted = frame[1] * 2 * half / frame[0]
    assert abs(sides[1] - wanted) <= 1 + 1e-9 or sides[1] == 8190 < wanted
    assert (to.height <= to.width) == (height <= width) or to.height == to.width
    assert to == Placement(to.height, to.width, 0, 0, to.height, to.width)


PAPER = {"kind": "frames", "count": 16, "sampling": "segment_starts", "resize": [314, 314], "crop": 299}


@pytest.mark.parametrize(
    ("view", "frame", "expected"),
    [
        (PAPER, (240, 320), Placement(314, 314, 8, 8, 299, 299)),  # 7.5 is rounded to even
        (
            {"resize": 256, "crop": 224},
            (240, 320),
            Placement(256, 341, 16, 58, 224, 224),
        ),  # 341.3 down, 58.5 to even
        ({"resize": 256, "crop": 224}, (320, 240), Placement(341, 256, 58, 16, 224, 224)),
        ({"resize": [64, 80]}, (49, 65), Placement(64, 80, 0, 0, 64, 80)),
        ({"crop": [20, 30]}, (48, 64), Placement(48, 64, 14, 17, 20, 30)),
        ({}, (49, 65), Placement(49, 65, 0, 0, 49, 65)),
        ({"resize": 8}, (1, 1000), Placement(8, 8000, 0, 0, 8, 8000)),
    ],
)
def test_placement_by_hand(view, frame, expected):
    assert placement(view, *frame) == expected


@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(1, 500), st.integers(1, 500))
def test_a_crop_no_larger_than_the_short_side_always_fits_and_is_centred(height, width, resize, crop):
    to = placement({"resize": resize, "crop": min(crop, resize)}, height, width)
    assert min(to.height, to.width) == resize
    below, right = to.height - to.top - to.out_height, to.width - to.left - to.out_width
    assert min(to.top, to.left, below, right) >= 0
    assert abs(to.top - below) <= 1
    assert abs(to.left - right) <= 1


def test_the_size_of_a_views_frames_is_known_before_any_video_is():
    assert frame_size(PAPER) == (299, 299)
    assert frame_size({"resize": [64, 80]}) == (64, 80)
    assert frame_size({"resize": 256, "crop": [224, 200]}) == (224, 200)
    for view in ({}, {"resize": 256}):
        with pytest.raises(ValueError, match="must all have one size"):
            frame_size(view)
    for view in ({"resize": [64, 80], "crop": 70}, {"resize": 200, "crop": 224}):
        with pytest.raises(ValueError, match="is larger than resize"):
            frame_size(view)
