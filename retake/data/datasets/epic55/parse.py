"""EPIC-KITCHENS-55: what is done in segments of first-person videos; verb, noun and action are data sets of their own.

Release   **/P<nn>_<nn>.MP4              a video, its person's number first
Lists     EPIC_verb_classes.csv          columns verb_id, class_key; ids from 0, in order
          EPIC_noun_classes.csv          columns noun_id, class_key
          EPIC_train_action_labels.csv   columns uid, participant_id, video_id, start_timestamp, stop_timestamp
                                         (hh:mm:ss.ff), verb_class, noun_class; others are not read
          EPIC_test_s1_timestamps.csv, EPIC_test_s2_timestamps.csv   the first five columns; may be absent
          EPIC_video_info.csv            columns video, duration; may be absent
Splits    train is persons 1 to 25 of the labelled table, val persons 26 to 31; test_s1 and test_s2 have no labels
One row   one segment; item_id is its uid, the same in all three readings
Labels    verb, noun: the release's class ids. action: the (verb, noun) pairs that occur in train or val, sorted; a
          pair is called by both names, "take knife"

A segment that ends before it starts, or starts after its video's end, is an error. Labelled videos must be there.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from retake.data.annotations import not_used
from retake.data.class_lists import Videos
from retake.data.readers import FOLDERS, first_of, one_of, read_csv
from retake.schema.annotations import checked
from retake.schema.card import Card

CLONED = "epic-kitchens-55-annotations"
COMMIT = "63fa7d78eba41a8d2280374061a6b1bab3e7e41d"  # of the card's archive
PLACES = (*FOLDERS, CLONED, f"annotations/{CLONED}-{COMMIT}")
LAST_TRAIN, LAST_VAL = 25, 31  # persons
COLUMNS = ("uid", "participant_id", "video_id", "start_timestamp", "stop_timestamp")
LABELS = ("verb_class", "noun_class")
TESTS = {"test_s1": "EPIC_test_s1_timestamps.csv", "test_s2": "EPIC_test_s2_timestamps.csv"}
TIME = re.compile(r"(\d{2,}):([0-5]\d):([0-5]\d(?:\.\d+)?)")
NAMES = ["split", "item_id", "video_id", "start_s", "end_s", "labels", "text_out"]


class Segment(NamedTuple):
    where: str
    split: str
    uid: str
    video: str
    start_s: float
    end_s: float
    classes: tuple[int, int] | None  # verb, noun; None: not published


def parse(root: Path, card: Card) -> pd.DataFrame:
    """The labels that the card asks for. Raises ValueError that names file, row and what was expected."""
    if card.media is None or card.labels not in ("verb", "noun", "action"):
        raise ValueError(f"{root}: epic55 has three readings; expected a card that says labels and media")
    verbs, nouns = (_classes(root, kind) for kind in ("verb", "noun"))
    segments = list(_segments(root, (len(verbs), len(nouns))))
    pairs = sorted({one.classes for one in segments if one.classes is not None})
    of = {
        "verb": {pair: (pair[0], verbs[pair[0]]) for pair in pairs},
        "noun": {pair: (pair[1], nouns[pair[1]]) for pair in pairs},
        "action": {pair: (n, f"{verbs[pair[0]]} {nouns[pair[1]]}") for n, pair in enumerate(pairs)},
    }[card.labels]
    rows = []
    for one in _there(Videos(root, card.media), segments):
        labels, title = (None, None) if one.classes is None else ([of[one.classes][0]], of[one.classes][1])
        rows.append((one.split, one.uid, one.video, one.start_s, one.end_s, labels, title))
    same = {"dataset": "epic55", "label_set": f"epic_{card.labels}", "origin": "release", "task": "classify"}
    return checked(pd.DataFrame(rows, columns=NAMES).assign(ref_id=lambda table: table["item_id"], **same))


def _there(videos: Videos, segments: list[Segment]) -> Iterator[Segment]:
    gone: set[str] = set()
    for one in segments:
        if one.video in videos.folder_of:
            yield one
        elif one.classes is not None:
            raise ValueError(f"{one.where}: no video {one.video} in the release")
        else:
            gone.add(one.video)
    not_used("epic55", "test videos that are not there", sorted(gone))
    listed = {one.video for one in segments}
    not_used("epic55", "videos that no list names", sorted(set(videos.folder_of) - listed))


def _classes(root: Path, kind: str) -> list[str]:
    path = one_of(root, [f"EPIC_{kind}_classes.csv"], f"list of {kind} classes", PLACES)
    names: list[str] = []
    for line, row in read_csv(path, (f"{kind}_id", "class_key")):
        number, name = row[f"{kind}_id"], row["class_key"].strip()
        if number != str(len(names)) or not name or name in names:
            raise ValueError(
                f"{path}: line {line}: {kind}_id {number!r}, class_key {name!r}; "
                f"expected {len(names)} and a name that no other class has"
            )
        names.append(name)
    return names


def _segments(root: Path, counts: tuple[int, int]) -> Iterator[Segment]:
    """Of all lists, labelled ones first; counts: of verb and noun classes."""
    lasts, seen = _durations(root), {}
    labelled = one_of(root, ["EPIC_train_action_labels.csv"], "table of labelled segments", PLACES)
    tests = {split: first_of(root, [name], PLACES) for split, name in TESTS.items()}
    for split, path in {"": labelled, **tests}.items():
        for line, row in [] if path is None else read_csv(path, COLUMNS if split else (*COLUMNS, *LABELS)):
            where = f"{path}: line {line}"
            one = _segment(where, row, split)
            if not split:
                one = one._replace(classes=_class_ids(where, row, counts))
            if (before := seen.setdefault(one.uid, where)) != where:
                raise ValueError(f"{where}: uid {one.uid} stands twice (before: {before})")
            if one.start_s >= (last := lasts.get(one.video, float("inf"))):
                raise ValueError(f"{where}: starts at {one.start_s:g} s; {one.video} ends at {last:g} s")
            yield one


def _segment(where: str, row: dict[str, str], split: str) -> Segment:
    person, video = re.fullmatch(r"P(\d\d)", row["participant_id"]), row["video_id"]
    if not row["uid"].isdecimal() or not person or not re.fullmatch(rf"{row['participant_id']}_\d+", video):
        told = f"uid {row['uid']!r}, {row['participant_id']!r}, {video!r}"
        raise ValueError(f"{where}: {told}; expected a number, P<nn> and P<nn>_<nn> of that person")
    if not split and not 1 <= int(person[1]) <= LAST_VAL:
        raise ValueError(
            f"{where}: person {person[1]}; expected 1 to {LAST_TRAIN}, train, or {LAST_VAL}, val"
        )
    times = [TIME.fullmatch(row[key]) for key in ("start_timestamp", "stop_timestamp")]
    start, end = (int(t[1]) * 3600 + int(t[2]) * 60 + float(t[3]) if t else -1.0 for t in times)
    if not all(times) or start >= end:
        told = f"{row['start_timestamp']!r} to {row['stop_timestamp']!r}"
        raise ValueError(f"{where}: {told}; expected two times hh:mm:ss.ff, the second one later")
    split = split or ("train" if int(person[1]) <= LAST_TRAIN else "val")
    return Segment(where, split, row["uid"], video, round(start, 6), round(end, 6), None)


def _class_ids(where: str, row: dict[str, str], counts: tuple[int, int]) -> tuple[int, int]:
    for key, count in zip(LABELS, counts, strict=True):
        if not row[key].isdecimal() or int(row[key]) >= count:
            raise ValueError(f"{where}: {key} {row[key]!r}; its list has classes 0 to {count - 1}")
    return int(row[LABELS[0]]), int(row[LABELS[1]])


def _durations(root: Path) -> dict[str, float]:
    """Video -> seconds, of those that EPIC_video_info.csv tells."""
    path, found = first_of(root, ["EPIC_video_info.csv"], PLACES), {}
    for line, row in [] if path is None else read_csv(path, ("video", "duration")):
        if not re.fullmatch(r"\d+(\.\d+)?", row["duration"]):
            raise ValueError(f"{path}: line {line}: duration {row['duration']!r}; expected seconds")
        found[row["video"]] = float(row["duration"])
    return found
