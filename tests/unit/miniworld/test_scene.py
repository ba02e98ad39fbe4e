"""Which frames a clip has: what only their order tells cannot be told from the frames without it."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from retake.miniworld import Actor, Clip, World, boxes, render
from retake.miniworld.lexicon import ACTIONS, ACTORS, CAMERAS, COLOURS, MARKS, OBJECTS, PLACES
from retake.miniworld.scene import ways

BASE = replace(
    World(seed=3).clip("train", 0, "made"),
    actors=(Actor("cat", "red"),),
    object="box",
    place="beach",
    camera="still",
    outcome="",
    speech="",
)
MOTION = [name for name, action in ACTIONS.items() if action.kind == "motion"]


def acting(action: str, **changes: object) -> Clip:
    return replace(BASE, action=action, **changes)


def bag(frames: np.ndarray) -> Counter:
    return Counter(frame.tobytes() for frame in frames)


def test_frames_have_the_promised_shape() -> None:
    frames = render(BASE)
    assert frames.shape == (BASE.num_frames, BASE.height_px, BASE.width_px, 3)
    assert frames.dtype == np.uint8


def test_rendering_twice_gives_the_same_frames() -> None:
    assert np.array_equal(render(BASE), render(replace(BASE)))


@pytest.mark.parametrize(("one", "other"), [("open", "close"), ("jump", "duck")])
def test_actions_told_by_order_are_each_others_reverse(one: str, other: str) -> None:
    first, second = render(acting(one)), render(acting(other))
    assert np.array_equal(first, second[::-1])
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("action", MOTION)
def test_actions_told_by_motion_show_the_same_frames(action: str) -> None:
    left, frames = render(acting("left")), render(acting(action))
    assert bag(frames) == bag(left)
    assert (action == "left") == np.array_equal(frames, left)


@pytest.mark.parametrize("count", [8, 21, 24, 33])
@pytest.mark.parametrize("action", MOTION)
def test_a_way_visits_every_place_once(action: str, count: int) -> None:
    assert sorted(ways(action, count)) == pytest.approx([(i + 0.5) / count for i in range(count)])


def test_motion_is_still_told_apart_in_sixteen_frames() -> None:
    steps = {}
    for action in MOTION:
        way = np.array(ways(action, 24))[np.linspace(0, 23, 16).round().astype(int)]
        steps[action] = np.diff(way)
    assert (steps["left"] < 0).all()
    assert (steps["right"] > 0).all()
    assert (steps["pace"][:6] > 0).all()
    assert (steps["pace"][-6:] < 0).all()
    turns = {action: (np.diff(np.sign(step)) != 0).sum() for action, step in steps.items()}
    assert turns["pace"] == 1
    assert turns["shake"] >= 6


def test_what_the_first_lamp_was_shows_only_far_from_the_end() -> None:
    win, lose = render(acting("sit", outcome="win")), render(acting("sit", outcome="lose"))
    differ = np.flatnonzero((win != lose).any(axis=(1, 2, 3)))
    assert bag(win) == bag(lose)
    assert {0, BASE.num_frames - 1} <= set(differ)
    assert not set(differ) & set(range(BASE.num_frames // 3, 2 * BASE.num_frames // 3))


def test_speech_is_not_seen() -> None:
    assert np.array_equal(render(BASE), render(replace(BASE, speech="hello")))


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("action", list(ACTIONS)),
        ("place", list(PLACES)),
        ("object", list(OBJECTS)),
        ("camera", list(CAMERAS)),
        ("actors", [(Actor(kind, "red"),) for kind in ACTORS]),
        ("actors", [(Actor("car", colour),) for colour in COLOURS]),
        ("actors", [(Actor("car", "red", mark),) for mark in ("", *MARKS)]),
    ],
    ids=["actions", "places", "objects", "cameras", "actors", "colours", "marks"],
)
def test_every_kind_of_thing_is_seen(field: str, values: list) -> None:
    seen = [render(replace(BASE, **{"action": "sit", field: value})) for value in values]
    for i, one in enumerate(seen):
        for other in seen[:i]:
            changed = (np.abs(one.astype(int) - other) > 24).any(axis=-1).mean()
            assert changed > 0.004


def test_a_pan_shifts_the_place_and_a_cut_jumps() -> None:
    def steps(camera: str) -> np.ndarray:
        frames = render(acting("sleep", camera=camera)).astype(int)
        return np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))

    assert (steps("still") == 0).all()
    assert (steps("pan") > 0).sum() > BASE.num_frames // 2
    assert (steps("zoom") > 0).all()
    assert (steps("cut") > 0).sum() == 1


@pytest.mark.parametrize("camera", list(CAMERAS))
def test_boxes_follow_the_actor(camera: str) -> None:
    clip = acting("right", camera=camera)
    middles = [(frame["actor0"][0] + frame["actor0"][2]) / 2 for frame in boxes(clip)]
    assert len(middles) == clip.num_frames
    assert middles[-1] > middles[0] + 0.2


@pytest.mark.parametrize("camera", list(CAMERAS))
def test_a_box_holds_the_pixels_of_its_actor(camera: str) -> None:
    clip = acting(
        "sit", place="mountain", object="door", actors=(Actor("car", "purple"),), camera=camera, x=0.4
    )
    for frame, box in zip(render(clip), boxes(clip), strict=True):
        purple = (np.abs(frame.astype(int) - COLOURS["purple"]) < 20).all(axis=-1)
        rows, columns = np.flatnonzero(purple.any(1)), np.flatnonzero(purple.any(0))
        x0, y0, x1, y1 = box["actor0"]
        assert x0 * clip.width_px - 1 <= columns[0] < columns[-1] <= x1 * clip.width_px
        assert y0 * clip.height_px - 1 <= rows[0] < rows[-1] <= y1 * clip.height_px
        assert columns[0] - x0 * clip.width_px <= 3
        assert x1 * clip.width_px - columns[-1] <= 8
