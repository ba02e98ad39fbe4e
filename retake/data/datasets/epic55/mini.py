"""A mini EPIC-KITCHENS-55: H.264 in MP4, in each video one person at one place who does eight things in a row.

The verb of a segment is what the person does, told by one frame, by order or by motion; its noun is the object. A
video has two objects, one in each half, and in some segments of a motion the object is out of the picture: which one
it is can be told from the segments before and after alone. As in the release, some classes have no segment, and a
segment begins after the one before has ended. Persons 1 to 25 are train, 26 to 31 val; of the two tests, of persons of
train and of others, only when each segment is is told.
"""

import csv
import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from retake.data.mini_release import TRUTH, MiniPlan
from retake.miniworld import Clip, World, draw, encode, render
from retake.miniworld.lexicon import OBJECTS, OPENABLE

SPLITS = ("train", "val", "test_s1", "test_s2")  # segments
LABELLED = SPLITS[:2]
OPTIONS = {
    "size_px": [80, 60],
    "rates": ["6"],
    "seconds": [5.5, 6.5],  # of each thing that is done
    "segments": 8,  # of a video, the last one of a split may have fewer
    "unseen_object": 0.5,  # share of the segments of a motion whose object is out of the picture
    "cameras": 0.0,
    "speech": 0.0,
    "outcomes": 0.0,
    "bystanders": 0.0,
    "codec": "h264",
    "b_frames": 2,
}
VERBS = {  # class -> kind of evidence, the world's actions that are it, how people word it
    "take": ("one_frame", ("hold",), ("take", "grab", "pick-up")),
    "sit-on": ("one_frame", ("sit",), ("sit-on",)),
    "open": ("order", ("open",), ("open", "unfold")),
    "close": ("order", ("close",), ("close", "shut")),
    "walk-past": ("motion", ("left", "right"), ("walk-past", "pass")),
    "shake": ("motion", ("shake",), ("shake",)),
    "decide-if": ("", (), ("decide-if",)),  # as in the release: a class that no segment has
}
NOUNS = {"Nothing": "", **{thing: thing for thing in OBJECTS if thing != "lamp"}, "lamp:oil": "lamp"}
CYCLE = ("take", "walk-past", "shake", "sit-on", "walk-past", "shake", "open", "close")
MOTIONS = ("walk-past", "shake")
PERSONS = {"train": range(1, 26), "val": range(26, 32), "test_s1": range(1, 26), "test_s2": range(32, 38)}
FIRST = {"test_s1": 61}  # number of a person's first video, of whom there are others
HEADER = (
    "uid,participant_id,video_id,narration,start_timestamp,stop_timestamp,start_frame,stop_frame,verb,verb_class,"
    "noun,noun_class,all_nouns,all_noun_classes"
).split(",")


class Done(NamedTuple):
    """One segment: classes by name, whether the noun is out of the picture, the clip and when it is shown."""

    verb: str
    noun: str
    hidden: bool
    clip: Clip
    start: Fraction
    end: Fraction


class Film(NamedTuple):
    split: str
    person: str
    video_id: str
    done: list[Done]


def annotate(world: World, root: Path, plan: MiniPlan) -> pd.DataFrame:
    """Write both lists of classes, the table of segments and that of videos; returns what is true of each segment."""
    folder, films = root / "annotations", list(_films(world, plan))
    folder.mkdir()
    worded = {"verb": {key: words for key, (_, _, words) in VERBS.items()}}
    worded["noun"] = {key: (key, *OBJECTS.get(thing, ())) for key, thing in NOUNS.items()}
    for kind, classes in worded.items():
        rows = [[n, key, str(list(words))] for n, (key, words) in enumerate(classes.items())]
        _write(folder / f"EPIC_{kind}_classes.csv", [f"{kind}_id", "class_key", f"{kind}s"], rows)
    every = [(f.split, f.person, f.video_id, one) for f in films for one in f.done]
    tables: dict[str, list[list]] = {}
    for uid, (split, person, video, one) in enumerate(every):
        place, said = [uid, person, video], _row(world, uid, one)
        tables.setdefault(split, []).append([*place, *(said if split in LABELLED else said[1:5])])
    labelled = [row for split in LABELLED for row in tables[split]]
    _write(folder / "EPIC_train_action_labels.csv", HEADER, labelled)
    for split in SPLITS[len(LABELLED) :]:
        _write(folder / f"EPIC_{split}_timestamps.csv", [*HEADER[:3], *HEADER[4:8]], tables[split])
    size = "x".join(map(str, plan.options["size_px"]))
    videos = [[f.video_id, size, float(f.done[-1].end), float(f.done[0].clip.fps)] for f in films]
    _write(folder / "EPIC_video_info.csv", ["video", "resolution", "duration", "fps"], videos)
    truth = []
    for _, _, video, one in every:
        told = {
            "verb": (VERBS[one.verb][0], one.verb),
            "noun": ("far" if one.hidden else "one_frame", one.noun),
        }
        for fact, (kind, name) in told.items():
            words = name.lower().replace(":", "-").split("-")
            truth.append((video, f"{fact} {name}", kind, name, words, float(one.start), float(one.end)))
    return pd.DataFrame(truth, columns=TRUTH.names)


def media(world: World, root: Path, plan: MiniPlan, shard: str) -> list[tuple[Path, str]]:
    """Write the videos of a shard under `root`; returns (path, video_id) of each."""
    written = []
    for film in _films(world, plan):
        if plan.in_shard(film.video_id, shard):
            path = root / "videos" / film.person / f"{film.video_id}.MP4"
            path.parent.mkdir(parents=True, exist_ok=True)
            options = {"codec": plan.options["codec"], "b_frames": plan.options["b_frames"]}
            frames = np.concatenate([render(one.clip) for one in film.done])
            encode(frames, path, fps=film.done[0].clip.fps, **options)
            written.append((path, film.video_id))
    return written


def _films(world: World, plan: MiniPlan) -> Iterator[Film]:
    per_video = int(plan.options["segments"])
    for split in SPLITS:
        for index, first in enumerate(range(0, plan.splits[split], per_video)):
            take, number = divmod(index, len(PERSONS[split]))
            person = f"P{PERSONS[split][number]:02d}"
            count = min(per_video, plan.splits[split] - first)
            done = list(_done(world, plan, split, index, count))
            yield Film(split, person, f"{person}_{take + FIRST.get(split, 1):02d}", done)


def _done(world: World, plan: MiniPlan, split: str, index: int, count: int) -> Iterator[Done]:
    """What is done in a video, one thing after the other, by the same actor at the same place."""
    rng = draw(world.seed, plan.release, split, index, "film")
    first, time = world.clip(split, index, plan.release), Fraction(0)
    nouns = list(NOUNS)[1:]
    # the second half's object opens, so that what opens or closes is at hand; both come evenly over the videos
    opens = [noun for noun in nouns if NOUNS[noun] in OPENABLE]
    halves = [nouns[index % len(nouns)], opens[index % len(opens)]]
    if halves[0] == halves[1]:
        halves[1] = opens[(index + 1) % len(opens)]
    turn = int(rng.integers(2))
    order = [CYCLE[n] for n in [*rng.permutation(4), *(4 + rng.permutation(4))]]
    halves, order = (halves[::-1], order[4:] + order[:4]) if turn else (halves, order)
    for number in range(count):
        verb, noun = order[number % len(order)], halves[2 * number // max(count, 2)]
        if verb in ("open", "close") and noun not in opens:
            verb = "take"
        drawn = world.clip(f"{split} films", index * len(CYCLE) + number, plan.release)
        hidden = verb in MOTIONS and rng.random() < plan.options["unseen_object"]
        action = str(rng.choice(VERBS[verb][1]))
        shown = "" if hidden else NOUNS[noun]
        clip = replace(first, action=action, object=shown, num_frames=drawn.num_frames, phase=first.phase)
        yield Done(verb, noun, hidden, clip, time, time + clip.num_frames / clip.fps)
        time += clip.num_frames / clip.fps


def _row(world: World, uid: int, one: Done) -> list:
    """A line of the table, from the narration on; the segment is the clip without its first and last frame."""
    rng = draw(world.seed, "narration", uid)
    said, frame = str(rng.choice(VERBS[one.verb][2])), 1 / one.clip.fps
    times = [one.start + frame, one.end - frame]
    classes = [list(VERBS).index(one.verb), list(NOUNS).index(one.noun)]
    narration = f"{said.replace('-', ' ')} {' '.join(one.noun.split(':')[::-1])}"
    numbers = [math.floor(time * one.clip.fps) for time in times]
    stamps, all_of = [_stamp(time) for time in times], [str([one.noun]), str([classes[1]])]
    return [narration, *stamps, *numbers, said, classes[0], one.noun, classes[1], *all_of]


def _stamp(time: Fraction) -> str:
    """hh:mm:ss.ff, cut off."""
    hundredths = math.floor(time * 100)
    minutes, rest = divmod(hundredths, 6000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 100:02d}.{rest % 100:02d}"


def _write(path: Path, header: list[str], rows: list[list]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(header)
        table.writerows(rows)
