"""Cuts of frames, mirrored vectors and moved colours, by hand and against the standard library."""

import colorsys

import numpy as np
import pytest

from retake.data.crops import asked_boxes, cut, drawn_box, jittered, mirrored, placed, resized, sizes


def numbered(height, width, channels=1):
    """(1, H, W, C): each pixel holds its number."""
    count = height * width * channels
    return (np.arange(count) % 251).reshape(1, height, width, channels).astype(np.uint8)


def test_the_ten_cuts_of_a_frame_of_the_papers_size_by_hand():
    """256 x 256 and 224: 32 are left over, so that corners lie at 0 and 32 and the centre at 16."""
    places = [(0, 0), (0, 32), (32, 0), (32, 32), (16, 16)]
    wanted = [((y, x, 224, 224), flip) for flip in (False, True) for y, x in places]
    found = asked_boxes((256, 256), 224, 10)
    assert sorted(found) == sorted(wanted)
    assert len(found) == 10


@pytest.mark.parametrize(
    ("crops", "wanted"),
    [
        (1, [((2, 3), False)]),
        (2, [((2, 3), False), ((2, 3), True)]),
        (5, [((0, 0), False), ((0, 4), False), ((4, 0), False), ((4, 4), False), ((2, 2), False)]),
    ],
)
def test_fewer_cuts_are_the_centre_its_mirror_image_or_all_places(crops, wanted):
    frame = (8, 10) if crops < 5 else (8, 8)
    boxes = asked_boxes(frame, 4, crops)
    if crops < 5:  # a quarter of 6 is 1, so that the centre of 10 lies at 2
        wanted = [((y, 2), flip) for (y, _), flip in wanted]
    assert [((top, left), flip) for (top, left, _, _), flip in boxes] == wanted


def test_an_unknown_number_of_cuts_and_one_that_is_too_large_are_errors():
    with pytest.raises(ValueError, match="expected 1, 2, 5 or 10, found 3"):
        asked_boxes((8, 8), 4, 3)
    with pytest.raises(ValueError, match="frames of 8 x 8 px are smaller than the cut, 9 x 9"):
        asked_boxes((8, 8), 9, 1)


def test_sizes_of_cuts_are_the_papers_by_hand():
    """Sides of 256 * (1, 0.875, 0.75, 0.66) are 256, 224, 192, 168; neighbours alone are mixed."""
    assert sizes(256, 224, [1, 0.875, 0.75, 0.66], 1) == [
        (256, 256), (256, 224), (224, 256), (224, 224), (224, 192), (192, 224), (192, 192), (192, 168),
        (168, 192), (168, 168),
    ]  # fmt: skip
    assert sizes(257, 224, [0.875], 0) == [(224, 224)]  # 224.875: a side that is nearly the network's is that
    assert sizes(259, 224, [0.875], 0) == [(224, 224)]  # 226.6 is 226, two off
    assert sizes(260, 224, [0.875], 0) == [(227, 227)]  # three off is another side


def test_training_draws_every_size_at_thirteen_places_and_nothing_else():
    rng = np.random.default_rng(0)
    found = {drawn_box((256, 340), 224, scales=[1, 0.75], distort=0, rng=rng) for _ in range(4000)}
    wanted = set()
    for side in (256, 192):
        down, right = (256 - side) // 4, (340 - side) // 4
        grid = [(y, x) for y in (0, 2, 4) for x in (0, 2, 4)] + [(y, x) for y in (1, 3) for x in (1, 3)]
        wanted |= {(y * down, x * right, side, side) for y, x in grid}
    assert found == wanted


def test_a_cut_is_the_part_that_its_box_names():
    frame = numbered(6, 8)
    assert np.array_equal(cut(frame, (1, 2, 3, 3), 3)[0, :, :, 0], frame[0, 1:4, 2:5, 0])
    assert placed((6, 8), (2, 4), (4, 4)) == (4, 4, 2, 4)


def test_a_mirrored_picture_has_its_columns_reversed_and_its_colours_kept():
    frame = numbered(2, 3, 3)
    assert np.array_equal(mirrored(frame, None), frame[:, :, ::-1])


def test_mirrored_vectors_point_the_other_way_along_x_alone():
    """128 is no movement. 138 to the right becomes 118 in the mirrored place; y stays; 0 would be 256: 255."""
    frame = np.zeros((1, 1, 3, 2), np.uint8)
    frame[0, 0, :, 0], frame[0, 0, :, 1] = [138, 128, 0], [138, 5, 7]
    assert mirrored(frame, 256)[0, 0, :, 0].tolist() == [255, 128, 118]
    assert mirrored(frame, 256)[0, 0, :, 1].tolist() == [7, 5, 138]


def test_of_stacked_vectors_every_second_channel_is_turned():
    frame = np.full((1, 1, 1, 6), 100, np.uint8)
    assert mirrored(frame, 256)[0, 0, 0].tolist() == [156, 100, 156, 100, 156, 100]


def test_mirrored_twice_is_as_before():
    frame = np.random.default_rng(0).integers(1, 256, (2, 4, 5, 2), dtype=np.uint8)
    assert np.array_equal(mirrored(mirrored(frame, 256), 256), frame)


def test_halving_takes_weighted_means_and_an_even_picture_stays_even():
    assert resized(np.full((1, 8, 8, 3), 77, np.uint8), (4, 6)).tolist() == np.full((1, 4, 6, 3), 77).tolist()
    frame = numbered(4, 4)
    assert resized(frame, (4, 4)) is frame
    one = np.zeros((1, 2, 2, 1), np.uint8)
    one[0, :, 1] = 100
    assert resized(one, (1, 1)).item() == 50


def test_no_shift_gives_the_colours_back():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    back = jittered(frames, {"hue": 0, "light": 0, "saturation": 0}, rng)
    assert np.abs(back.astype(int) - frames).max() <= 1


class Fixed:
    """Draws that are given: one number for each of hue, light and saturation."""

    def __init__(self, *shifts):
        self.shifts = iter(shifts)

    def uniform(self, low, high, size):
        shift = next(self.shifts)
        assert low <= shift <= high
        return np.full(size, shift)


@pytest.mark.parametrize(
    "shift", [(30, 0, 0), (-36, 0, 0), (0, 40, 0), (0, -50, 0), (0, 0, -50), (12, 20, 30)]
)
def test_colours_move_as_the_standard_librarys_do(shift):
    """Hue of 180 steps, light and saturation of 255, clipped to their ends, not round the circle."""
    rng = np.random.default_rng(3)
    frames = rng.integers(0, 256, (1, 6, 6, 3), dtype=np.uint8)
    found = jittered(frames, {"hue": 36, "light": 50, "saturation": 50}, Fixed(*shift))
    for y, x in np.ndindex(6, 6):
        hue, light, saturation = colorsys.rgb_to_hls(*(frames[0, y, x] / 255))
        hue = min(max(hue * 180 + shift[0], 0), 180) / 180
        light = min(max(light * 255 + shift[1], 0), 255) / 255
        saturation = min(max(saturation * 255 + shift[2], 0), 255) / 255
        wanted = np.array(colorsys.hls_to_rgb(hue, light, saturation)) * 255
        assert np.abs(found[0, y, x] - wanted).max() <= 1


def test_each_picture_of_an_example_is_moved_by_its_own_draw():
    frames = np.broadcast_to(np.array([200, 90, 40], np.uint8), (4, 2, 2, 3)).copy()
    moved = jittered(frames, {"hue": 36, "light": 50, "saturation": 50}, np.random.default_rng(0))
    assert len({tuple(frame[0, 0]) for frame in moved}) == 4
    assert all((frame == frame[0, 0]).all() for frame in moved)
