"""The compiled loops and the tracer against the literal definition, integer for integer, on random vectors."""

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retake.data.references import Links, Picture
from retake.data.signals import TRACED, Memory, Tracer
from retake.data.tracing import (
    FIRST,
    LARGEST,
    SECOND,
    VECTOR,
    move_colours,
    move_displacements,
    subtract,
    unpacked,
)
from tests.unit.data import literal_motion as literal

SIZES = ((16, 16), (16, 8), (8, 16), (8, 8), (4, 4))


@st.composite
def lists_of_vectors(draw, height, width, sources=(-1,)):
    """Blocks that may overlap, rest, lie across the edges, or come from beyond them."""
    near, rows = st.integers(-20, 20), draw(st.integers(0, 12))
    found = np.zeros(rows, VECTOR)
    for n in range(rows):
        w, h = draw(st.sampled_from(SIZES))
        x, y = draw(st.integers(-4, width + 4)), draw(st.integers(-4, height + 4))
        dx, dy = draw(st.sampled_from([(0, 0), None])) or (draw(near), draw(near))
        source = draw(st.sampled_from(sources))
        found[n] = (source, w, h, x - dx, y - dy, x, y, 0, -2 * dx, -2 * dy, 2)
    return found


@st.composite
def moves(draw):
    """(a table of places in the I-frame, what stands in the new one so far, vectors)."""
    height, width = draw(st.integers(1, 30)), draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    old, base = (
        np.stack([rng.integers(0, width, (height, width)), rng.integers(0, height, (height, width))], -1)
        for _ in range(2)
    )
    return old, base, draw(lists_of_vectors(height, width))


def packed(table):
    """Places as displacements, in the form that the loops want: an int16 pair in an int32."""
    displacement = literal.places(*table.shape[:2]) - table
    return np.ascontiguousarray(displacement.astype("<i2")).view("<i4")[..., 0]


@settings(deadline=None, max_examples=150)
@given(moves())
def test_displacements_move_as_the_places_do(given_):
    old, base, vectors = given_
    new = packed(base).copy()
    move_displacements(new, packed(old), vectors, FIRST, True)
    expected = literal.traced(base, old, vectors)
    assert np.array_equal(unpacked(new), literal.places(*old.shape[:2]) - expected)


@settings(deadline=None, max_examples=150)
@given(moves(), st.integers(0, 3))
def test_colours_move_as_the_places_do(given_, padding):
    old, _, vectors = given_
    height, width = old.shape[:2]
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (2, height, width, 3)).astype(np.uint8)
    new = colours[0].reshape(height, -1).copy()
    padded = np.pad(colours[1].reshape(height, -1), ((0, 0), (0, padding)))
    move_colours(new, padded, vectors, FIRST, True)
    here = np.pad(literal.places(height, width), ((0, 0), (0, 0), (0, 1)))
    x, y, which = np.moveaxis(literal.traced(here, here + np.array([0, 0, 1]), vectors), -1, 0)
    assert np.array_equal(new.reshape(height, width, 3), colours[which, y, x])


def test_only_the_blocks_of_the_list_that_is_asked_for_move():
    vectors = np.zeros(4, VECTOR)
    for n, (source, dx) in enumerate([(-1, 1), (1, 2), (-1, 0), (1, 0)]):
        vectors[n] = (source, 4, 4, 4 * n + 6 - dx, 2, 4 * n + 6, 2, 0, 0, 0, 2)
    for n, (second, moving) in enumerate([(FIRST, True), (SECOND, True), (FIRST, False), (SECOND, False)]):
        new = np.full((4, 20), 77, np.int32)
        move_displacements(new, np.zeros((4, 20), np.int32), vectors, second, moving)
        changed = np.flatnonzero((new != 77).all(axis=0))
        assert changed.tolist() == list(range(4 * n + 4, 4 * n + 8))
        assert set(unpacked(new)[:, changed, 0].ravel()) == {(1, 2, 0, 0)[n]}


@pytest.mark.parametrize("across", [True, False])
def test_the_longest_way_that_a_pixel_can_come_is_kept_with_its_sign(across):
    """Both halves of the packed pair up to their ends, without one spilling into the other."""
    shape = (1, LARGEST) if across else (LARGEST, 1)
    far = LARGEST - 1
    for begin, end in ((0, far), (far, 0)):
        table = literal.places(*shape)
        vectors = np.zeros(2, VECTOR)
        for n, (src, dst) in enumerate([(begin, 9000), (9000, end)]):
            (sx, sy), (dx, dy) = ((src, 0), (dst, 0)) if across else ((0, src), (0, dst))
            vectors[n] = (-1, 2, 2, sx, sy, dx, dy, 0, 0, 0, 2)
        old, new = packed(table), packed(table).copy()
        for one in vectors:
            move_displacements(new, old, np.array([one]), FIRST, True)
            table, old = literal.traced(table, table, [one]), new.copy()
        assert abs(unpacked(new)).max() in {far, far - 1}
        assert np.array_equal(unpacked(new), literal.places(*shape) - table)


def test_a_difference_of_colours_has_its_sign_and_leaves_padding_alone():
    colours = np.array([[0, 255, 7, 99, 99]], np.uint8)
    out = np.empty((1, 3), np.int16)
    subtract(out, colours, np.array([[255, 0, 7]], np.uint8))
    assert out.tolist() == [[-255, 255, 0]]


def picture(number, kind, rgb, vectors, links):
    """A picture on its way to the tracer, of one group of pictures."""
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    return Picture(number, kind, 0, number, number / 25, None, frame, vectors, 0, links=links)


@st.composite
def groups(draw):
    """Pictures of one group in the order of decoding: (kind, indices of the two it points into, vectors, rgb)."""
    height, width = draw(st.integers(2, 24)), draw(st.integers(2, 24))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    found = []
    for n in range(draw(st.integers(2, 6))):
        rgb = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
        kind = "I" if n == 0 else draw(st.sampled_from("PB"))
        sources = (-1, 1) if kind == "B" else (-1,)
        past = [draw(st.integers(0, max(n - 1, 0))) for _ in range(2)] if n else [None, None]
        past = [past[0], past[1] if kind == "B" else None]
        vectors = draw(lists_of_vectors(height, width, sources)) if n else np.zeros(0, VECTOR)
        found.append((kind, past, vectors, rgb))
    return found


@settings(deadline=None, max_examples=80)
@given(groups())
def test_every_signal_of_pictures_that_point_anywhere_is_the_literal_one(given_):
    tracer, done, tables = Tracer(TRACED | {"rgb"}, None), [], []
    start = given_[0][3].astype(int)
    for number, (kind, past, vectors, rgb) in enumerate(given_):
        links = Links(*(None if n is None else done[n] for n in past))
        one = picture(number, kind, rgb, vectors, links)
        tracer.trace(one)
        done.append(one)
        shown, here = one.shown, literal.places(*rgb.shape[:2])
        assert (shown.marked, shown.kind) == (None, kind)
        assert np.array_equal(shown.rgb, rgb)
        if kind == "I":
            assert shown.motion is shown.residual is shown.motion_step is shown.residual_step is None
            tables.append(here)
            continue
        place, of = literal.chosen(*rgb.shape[:2], vectors)
        x, y = place[..., 0], place[..., 1]
        first, second = past[0], past[0] if past[1] is None else past[1]
        table = np.where(of[..., None] == 0, tables[first][y, x], tables[second][y, x])
        colours = np.where(of[..., None] == 0, given_[first][3][y, x], given_[second][3][y, x])
        tables.append(table)
        assert np.array_equal(shown.motion, here - table)
        assert np.array_equal(shown.motion_step, here - place)
        assert np.array_equal(shown.residual, rgb - start[table[..., 1], table[..., 0]])
        assert np.array_equal(shown.residual_step, rgb - colours.astype(int))


def test_arrays_are_used_again_only_when_nobody_holds_them_or_a_view_of_them():
    memory = Memory()
    first = memory.take((2, 3), np.int16)
    held = first.reshape(-1)[1:]
    del first
    second = memory.take((2, 3), np.int16)
    assert not np.shares_memory(held, second)
    del held
    second[:] = 5
    third = memory.take((2, 3), np.int16)
    assert not np.shares_memory(second, third)
    assert len(memory.arrays) == 3, "one has nothing in it; the first was given out again"
    assert memory.take((2, 3), np.uint16).dtype == np.uint16


@pytest.mark.parametrize(
    ("links", "reason"),
    [
        (Links(unknown="why"), "why"),
        (Links(), "no picture before it"),
    ],
)
def test_a_picture_whose_references_are_not_known_has_nothing_but_its_colours(links, reason):
    rgb, tracer = np.full((4, 4, 3), 9, np.uint8), Tracer(TRACED | {"rgb"}, None)
    one = picture(3, "P", rgb, np.zeros(0, VECTOR), links)
    tracer.trace(one)
    assert one.shown.marked == reason
    assert one.shown[6:10] == (None,) * 4
    assert np.array_equal(one.shown.rgb, rgb)


def test_what_is_traced_through_a_marked_picture_is_marked_and_its_own_step_is_known():
    rgb, tracer = np.full((4, 4, 3), 9, np.uint8), Tracer(TRACED, None)
    start = picture(0, "I", rgb, np.zeros(0, VECTOR), Links())
    lost = picture(1, "P", rgb, np.zeros(0, VECTOR), Links(unknown="why"))
    after = picture(2, "P", rgb, np.zeros(0, VECTOR), Links(lost))
    last = picture(3, "P", rgb, np.zeros(0, VECTOR), Links(after))
    for one in (start, lost, after, last):
        tracer.trace(one)
    assert after.shown.marked == last.shown.marked == "it is traced through frame 1, which is marked"
    assert after.shown.motion is after.shown.residual is None
    assert not after.shown.motion_step.any()
    assert not after.shown.residual_step.any()


def group_of(number, start):
    """An I-frame of its own group, in grey."""
    one = picture(number, "I", np.full((16, 16, 3), number, np.uint8), np.zeros(0, VECTOR), Links())
    one.start = start
    return one


@pytest.mark.parametrize(
    ("second_moves", "start", "reason"),
    [
        (True, 0, "it points into the group of pictures after"),
        (False, 0, None),
        (False, 4, "it points into the group of pictures before"),
    ],
)
def test_a_picture_that_needs_two_groups_is_marked(second_moves, start, reason):
    tracer, before, after = Tracer(TRACED, None), group_of(0, 0), group_of(4, 4)
    vectors = np.zeros(1, VECTOR)
    vectors[0] = (1 if second_moves else -1, 8, 8, 6, 8, 8, 8, 0, 0, 0, 2)
    between = picture(2, "B", np.full((16, 16, 3), 2, np.uint8), vectors, Links(before, after))
    between.start = start
    for one in (before, after, between):
        tracer.trace(one)
    assert between.shown.marked == reason
    assert (between.shown.motion is None) == (reason is not None)
    assert between.shown.motion_step is not None


def test_only_frames_that_are_asked_for_are_made():
    tracer = Tracer(TRACED, frozenset({1}))
    rgb = np.zeros((4, 4, 3), np.uint8)
    start = picture(0, "I", rgb, np.zeros(0, VECTOR), Links())
    first = picture(1, "P", rgb, np.zeros(0, VECTOR), Links(start))
    tracer.trace(start)
    tracer.trace(first)
    assert start.shown is None
    assert first.shown.motion.shape == (4, 4, 2)
    assert not first.shown.motion.flags.writeable
