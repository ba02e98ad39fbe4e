"""Which frames an example is made of: against the published loader's steps, written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retake.data.sampling import at_or_before, bounds, centres, drawn, frame_numbers

GOP = 12


def published_bounds(num_frames, segments, segment, vectors):
    """First frame of a training segment and one past it; METHODS 5.1: vectors leave out frame 0."""
    shift = 1 if vectors else 0
    count = num_frames - shift
    size = float(count - 1) / segments
    begin, end = int(np.round(size * segment)), int(np.round(size * (segment + 1)))
    end = max(end, begin + 1)
    return begin + shift, end + shift


def published_test_frame(num_frames, segments, segment, vectors):
    """The frame asked of a segment in a test."""
    shift = 1 if vectors else 0
    count = num_frames - shift
    size = float(count - 1) / segments
    return int(np.round(size * (segment + 0.5))) + shift


def published_place(number, vectors):
    """The frame that is loaded where `number` is drawn: of vectors never an I-frame, of pictures always one."""
    group, position = number // GOP, number % GOP
    if vectors and position == 0:
        group, position = group - 1, GOP - 1
    return group * GOP + (position if vectors else 0)


def having(num_frames, vectors):
    """Numbers of the frames of a stream in groups of 12 that have vectors, or that are I-frames."""
    return np.array([n for n in range(num_frames) if (n % GOP != 0) == vectors])


@given(st.integers(3, 400), st.integers(1, 30))
def test_segments_are_the_published_loaders(num_frames, segments):
    whole = bounds(num_frames, segments)
    assert whole == [published_bounds(num_frames, segments, s, False) for s in range(segments)]


@pytest.mark.parametrize("vectors", [False, True])
@pytest.mark.parametrize("segments", [1, 3, 7, 25])
@pytest.mark.parametrize("num_frames", [26, 39, 40, 61, 250])
def test_the_frames_of_a_test_are_the_published_loaders(num_frames, segments, vectors):
    wanted = [
        published_place(published_test_frame(num_frames, segments, s, vectors), vectors)
        for s in range(segments)
    ]
    found = frame_numbers(having(num_frames, vectors), (0, num_frames), segments, stack=1, rng=None)
    assert found[:, 0].tolist() == wanted


@pytest.mark.parametrize("vectors", [False, True])
@pytest.mark.parametrize("num_frames", [26, 40, 100])
def test_training_draws_every_frame_of_a_segment_and_no_other(num_frames, vectors):
    rng, have = np.random.default_rng(0), having(num_frames, vectors)
    draws = [frame_numbers(have, (0, num_frames), 3, stack=1, rng=rng)[:, 0] for _ in range(1500)]
    for segment, numbers in enumerate(np.stack(draws, axis=1)):
        begin, end = published_bounds(num_frames, 3, segment, vectors)
        assert set(numbers) == {published_place(n, vectors) for n in range(begin, end)}


def test_segments_of_forty_frames_by_hand():
    assert bounds(40, 3) == [(0, 13), (13, 26), (26, 39)]  # frame 39 is in none
    assert centres(40, 3).tolist() == [6, 20, 32]  # 6.5, 19.5, 32.5: halves go to the even
    assert bounds(2, 3) == [(0, 1), (0, 1), (1, 2)]  # fewer frames than segments: some are shared


def test_an_i_frames_number_gives_the_vectors_before_it_and_a_p_frames_the_picture_before_it():
    assert at_or_before(np.array([12, 13, 24, 0]), having(30, True)).tolist() == [11, 13, 23, 1]
    assert at_or_before(np.array([12, 23, 24, 5]), having(30, False)).tolist() == [12, 12, 24, 0]


def test_a_stack_is_frames_that_follow_one_another_and_the_last_is_repeated():
    every = np.arange(10)
    assert frame_numbers(every, (0, 10), 1, stack=3, rng=None).tolist() == [[4, 5, 6]]
    assert frame_numbers(np.array([0, 4, 8]), (0, 10), 1, stack=5, rng=None).tolist() == [[0, 4, 8, 8, 8]]


def test_a_part_of_a_video_is_sampled_within_it():
    rng = np.random.default_rng(1)
    numbers = np.concatenate(
        [frame_numbers(np.arange(100), (40, 61), 3, stack=1, rng=rng)[:, 0] for _ in range(300)]
    )
    assert set(numbers) == set(range(40, 60))
    assert frame_numbers(np.arange(100), (40, 61), 3, stack=1, rng=None)[:, 0].tolist() == [43, 50, 57]


def test_without_draws_the_same_frames_come_each_time_and_equal_draws_equal_frames():
    have = np.arange(90)
    first, again = (frame_numbers(have, (0, 90), 25, stack=1, rng=None) for _ in range(2))
    assert np.array_equal(first, again)
    one, two = (frame_numbers(have, (0, 90), 3, stack=1, rng=np.random.default_rng([7, 3])) for _ in range(2))
    assert np.array_equal(one, two)


def test_no_frame_to_choose_from_is_an_error():
    with pytest.raises(ValueError, match="no frame of the video has"):
        frame_numbers(np.array([], int), (0, 10), 3, stack=1, rng=None)
    for ask in (bounds, centres):
        with pytest.raises(ValueError, match="at least one frame to choose from, found 0"):
            ask(0, 3)
    with pytest.raises(ValueError, match="at least one frame"):
        drawn(0, 3, np.random.default_rng(0))
