"""Scenes of several actors: what is told by one frame, by motion, or by what is 5, 15 or 30 seconds away."""

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from retake.miniworld import World
from retake.miniworld.ensemble import (
    ACTS,
    AWAY,
    FILLERS,
    MUTE,
    STORIES,
    TURNS,
    Deed,
    Ensemble,
    actor_boxes,
    ensemble,
    render_ensemble,
)
from retake.miniworld.shapes import sign_shapes

WORLD = World(size_px=(96, 72), rates=("5",))
FPS = 5
AWAY_S = {
    "far5": (4, 6),
    "far15": (11, 14),
    "far30": (23, 30),
}  # from what is done to the nearest second of its cause
CLIP_S = 1.6  # to either side of a keyframe


def scene(index: int = 0, split: str = "train", **told: object) -> Ensemble:
    return ensemble(WORLD, split, index, "made", seconds=60, **told)


def meant(one: Ensemble) -> list[tuple[int, int, str]]:
    """(actor, second, meaning) of all that has one."""
    actors = range(len(one.actors))
    return [
        (n, s, one.deed(n, s).meaning) for n in actors for s in range(one.seconds) if one.deed(n, s).meaning
    ]


SCENES = [scene(index, split) for split in ("train", "val") for index in range(20)]


def test_deeds_follow_each_other_without_a_gap():
    for one in SCENES:
        for deeds in one.deeds:
            assert (deeds[0].start, deeds[-1].end) == (0, 60)
            assert all(a.end == b.start and a.start < a.end for a, b in pairwise(deeds))


def test_a_group_shows_the_same_actors_at_the_same_place_one_scene_a_story():
    for group in (SCENES[:5], SCENES[5:10], SCENES[20:25]):
        assert [one.story for one in group] == list(TURNS)
        assert len({(one.place, one.phase, one.actors, one.thing) for one in group}) == 1
        assert len({one.deeds for one in group}) == len(TURNS)
    assert len({(one.place, one.actors) for one in SCENES}) == len(SCENES) // len(TURNS)


def test_actors_of_a_scene_differ_and_have_only_colours_that_training_may_show():
    for one in SCENES:
        assert 2 <= len(one.actors) <= 3
        assert (
            len({actor.kind for actor in one.actors})
            == len({actor.colour for actor in one.actors})
            == len(one.actors)
        )
        assert all(WORLD.seen(actor.kind, actor.colour) for actor in one.actors)


@pytest.mark.parametrize("story", STORIES)
def test_the_nearest_cause_of_a_meaning_is_as_far_away_as_its_kind_says(story):
    told = STORIES[story]
    least, most = AWAY_S[told.kind]
    for index in range(12):
        one = scene(index, story=story)
        causes = {
            s: {
                n
                for n in range(len(one.actors))
                if one.deed(n, s).act == told.cause and not one.deed(n, s).meaning
            }
            for s in range(60)
        }
        assert meant(one)
        for actor, second, meaning in meant(one):
            near = [abs(second - s) for s, by in causes.items() if (by if told.by_all else by - {actor})]
            assert meaning == story
            assert one.does(actor, second) == (told.act, story)
            assert least <= min(near) <= most


@pytest.mark.parametrize("story", STORIES)
def test_no_clip_shows_what_tells_a_meaning(story):
    """Another act in the cause's place changes the meaning, and no pixel of the clips of those seconds."""
    for index in range(4):
        told, other = (scene(index, story=story, caused=caused) for caused in (True, False))
        frames = [render_ensemble(one) for one in (told, other)]
        differ = np.flatnonzero((frames[0] != frames[1]).any(axis=(1, 2, 3)))
        assert differ.size
        assert (told.story, other.story) == (story, "")
        assert not meant(other)
        for actor, second, _ in meant(told):
            assert other.does(actor, second) == (STORIES[story].act,)
            assert np.abs(differ / FPS - second).min() > CLIP_S
            assert actor_boxes(told, second * FPS) == actor_boxes(other, second * FPS)


@pytest.mark.parametrize("story", STORIES)
def test_a_story_s_cause_stands_in_its_scenes_alone_and_what_it_means_stands_nowhere_else(story):
    told = STORIES[story]
    for index in range(8):
        acts = defaultdict(set)
        for other in STORIES:
            for deeds in scene(index, story=other).deeds:
                acts[other] |= {(deed.act, deed.meaning) for deed in deeds}
        assert (told.cause, "") in acts[story]
        assert {name for name, found in acts.items() if (told.cause, "") in found} <= {story}
        if told.act == "stand":  # whoever stands there means something
            assert {meaning for act, meaning in acts[story] if act == "stand"} == {story}
        none = {act for deeds in scene(index, story="").deeds for act in (deed.act for deed in deeds)}
        assert not none & {one.cause for one in STORIES.values()} - {"speak"}


def solo(act: str) -> Ensemble:
    """One actor who does one thing for as long as it takes to pace there and back."""
    return replace(scene(), actors=scene().actors[:1], deeds=((Deed(0, 4, act, "", 0.3),),))


@pytest.mark.parametrize(("slow", "fast"), [("pace", "shake"), ("drift", "bounce")])
def test_no_frame_tells_fast_from_slow(slow, fast):
    """Each frame of the one is a frame of the other; at steps of 0.2 and 0.4 s the fast one goes twice as far."""
    calm, wild = solo(slow), solo(fast)
    assert {f.tobytes() for f in render_ensemble(wild)} <= {f.tobytes() for f in render_ensemble(calm)}
    paths = [[actor_boxes(one, frame)[0][:2] for frame in range(one.num_frames)] for one in (calm, wild)]
    for step in (1, 2):
        far = [np.abs(np.diff(np.array(path)[::step], axis=0)).sum(axis=1).mean() for path in paths]
        assert far[1] > 2 * far[0], step


def test_acts_told_by_one_frame_look_unlike_all_others_in_every_frame():
    shown = {act: {frame.tobytes() for frame in render_ensemble(solo(act))} for act in (*ACTS, *MUTE)}
    for act, kind in ACTS.items():
        if kind == "one_frame":
            assert len(shown[act]) == 1
            assert not any(shown[act] & frames for other, frames in shown.items() if other != act)


def test_words_are_drawn_as_words():
    assert sign_shapes("words") not in (
        sign_shapes("signal", "off"),
        sign_shapes("dream"),
        sign_shapes("wings"),
    )


def test_boxes_hold_their_actors_and_stay_in_the_picture():
    for one in SCENES[:6]:
        for frame in range(0, one.num_frames, 7):
            boxes = actor_boxes(one, frame)
            there = {n for n in range(len(one.actors)) if one.deed(n, frame / FPS).act != AWAY}
            assert set(boxes) == there
            for left, top, right, bottom in boxes.values():
                assert 0 <= left < right <= 1
                assert 0 <= top < bottom <= 1
                assert right - left > 0.08


def test_a_box_is_where_the_pixels_of_its_actor_are():
    for act in FILLERS:
        one = replace(scene(1), deeds=tuple((Deed(0, 4, act, "", 0.1),) for _ in scene(1).actors))
        gone = replace(one, actors=one.actors[:-1], deeds=one.deeds[:-1])
        gone = replace(one, deeds=(*one.deeds[:-1], (Deed(0, 4, AWAY),)))
        last = len(one.actors) - 1
        for frame in (0, 3, 11):
            only = range(frame, frame + 1)
            changed = (render_ensemble(one, only) != render_ensemble(gone, only))[0].any(axis=-1)
            left, top, right, bottom = actor_boxes(one, frame)[last]
            box = changed[round(top * 72) : round(bottom * 72), round(left * 96) : round(right * 96)]
            assert box.mean() > 0.5
            assert last not in actor_boxes(gone, frame)
            if act not in ("sit", "sleep"):  # a box and a sign are beside those
                assert box.sum() > 0.95 * changed.sum()


def test_every_third_stage_is_empty_at_the_end():
    for n, one in enumerate(SCENES[:9]):
        empty = all(one.deed(actor, 59).act == AWAY for actor in range(len(one.actors)))
        assert empty == (n % 3 == 2)
        assert bool(actor_boxes(one, one.num_frames - 1)) != empty


def test_the_same_name_gives_the_same_scene_and_part_of_the_frames_are_those_of_the_whole():
    assert scene(3) == scene(3)
    assert scene(3) != scene(3, "val")
    whole = render_ensemble(scene(3))
    assert whole.shape == (300, 72, 96, 3)
    assert np.array_equal(render_ensemble(scene(3), range(40, 50)), whole[40:50])


def test_a_scene_too_short_for_its_story_is_an_error():
    with pytest.raises(
        ValueError, match="made/train/3: 20 s; expected so many that an episode of 'mourn' has room"
    ):
        ensemble(WORLD, "train", 3, "made", seconds=20)
