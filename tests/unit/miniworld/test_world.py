"""What stands where in the world: by name alone, evenly, and with combinations that training lacks."""

from collections import Counter

import pytest

from retake.miniworld import World, clips
from retake.miniworld.lexicon import ACTIONS, ACTORS, COLOURS, MARKS, OBJECTS, OPENABLE, PLACES

WORLD = World(seed=3)


def combinations(split: str, count: int) -> set[tuple[str, str]]:
    found = set()
    for clip in clips(WORLD, split, count, "made"):
        found |= {(clip.actors[0].kind, clip.action), (clip.actors[0].kind, clip.actors[0].colour)}
    return found


def test_the_world_is_rich_enough() -> None:
    kinds = Counter(action.kind for action in ACTIONS.values())
    assert len(ACTORS) >= 6
    assert len(COLOURS) + len(MARKS) >= 8
    assert len(ACTIONS) >= 12
    assert kinds["order"] >= 4
    assert kinds["motion"] >= 4
    assert len(OBJECTS) >= 8
    assert len(PLACES) >= 6


def test_a_clip_depends_on_its_name_alone() -> None:
    late = World(seed=3).clip("test", 17, "made")
    assert late == list(clips(WORLD, "test", 18, "made"))[17]
    assert late != WORLD.clip("test", 17, "other")
    assert late != World(seed=4).clip("test", 17, "made")


def test_training_never_shows_what_is_held_out() -> None:
    for split in ("train", "val"):
        assert not combinations(split, 300) & WORLD.held_out
        assert not any(clip.unseen for clip in clips(WORLD, split, 300, "made"))
    for clip in clips(WORLD, "train", 300, "made"):
        assert all(WORLD.seen(actor.kind, actor.colour) for actor in clip.actors)


def test_a_fifth_of_the_test_clips_shows_what_training_lacks() -> None:
    trained = combinations("train", 240)
    tested = list(clips(WORLD, "test", 130, "made"))
    new = [
        {(c.actors[0].kind, c.action), (c.actors[0].kind, c.actors[0].colour)} - trained != set()
        for c in tested
    ]
    assert new == [clip.unseen for clip in tested]
    assert sum(new) == 26


def test_both_actions_and_colours_are_new_in_test_clips() -> None:
    unseen = [clip for clip in clips(WORLD, "test", 200, "made") if clip.unseen]
    by_action = [clip for clip in unseen if not WORLD.seen(clip.actors[0].kind, clip.action)]
    assert 0.25 < len(by_action) / len(unseen) < 0.75


def test_what_clips_show_comes_evenly() -> None:
    made = list(clips(WORLD, "train", 240, "made"))
    for values, names in (
        ([clip.actors[0].kind for clip in made], ACTORS),
        ([clip.actors[0].colour for clip in made], COLOURS),
        ([clip.action for clip in made], ACTIONS),
        ([clip.place for clip in made], PLACES),
        ([clip.object for clip in made], OBJECTS),
    ):
        counts = Counter(values)
        assert set(counts) == set(names)
        assert max(counts.values()) < 2 * len(made) / len(names)


def test_an_actor_comes_in_all_the_colours_that_training_may_show() -> None:
    seen = {(clip.actors[0].kind, clip.actors[0].colour) for clip in clips(WORLD, "train", 240, "made")}
    assert len(seen) == len(ACTORS) * len(COLOURS) - len(
        [1 for _, value in WORLD.held_out if value in COLOURS]
    )


def test_a_mirrored_actor_says_nothing_about_its_way() -> None:
    going = [clip for clip in clips(WORLD, "train", 900, "made") if clip.action == "left"]
    assert 0.3 < sum(clip.mirror for clip in going) / len(going) < 0.7


def test_only_what_opens_is_opened() -> None:
    acted = [clip for clip in clips(WORLD, "train", 300, "made") if clip.action in ("open", "close")]
    assert acted
    assert all(clip.object in OPENABLE for clip in acted)


def test_some_clips_have_speech_moving_cameras_bystanders_and_late_consequences() -> None:
    made = list(clips(WORLD, "train", 300, "made"))
    for share, wanted in (
        (sum(bool(clip.speech) for clip in made), WORLD.speech),
        (sum(bool(clip.outcome) for clip in made), WORLD.outcomes),
        (sum(len(clip.actors) > 1 for clip in made), WORLD.bystanders),
    ):
        assert abs(share / 300 - wanted) < 0.07
    assert {clip.camera for clip in made} == {"still", "pan", "zoom", "cut"}
    assert not any(clip.outcome and clip.camera != "still" for clip in made)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size_px": (81, 64)}, "size_px: 81 x 64"),
        ({"seconds": (3.0, 2.0)}, "seconds"),
        ({"rates": ()}, "rates"),
        ({"speech": 1.2}, "speech: 1.2"),
    ],
)
def test_a_world_that_cannot_be_is_refused(options: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        World(**options)
