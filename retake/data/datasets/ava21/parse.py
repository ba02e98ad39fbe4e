"""AVA v2.1: which of 60 evaluated actions each person does, each second of 15 minutes of films.

Release   <video>.mkv, .mp4 or .webm, wherever they lie
Classes   ava_action_list_v2.1_for_activitynet_2018.pbtxt   those that are evaluated; the label is the place in it
          ava_action_list_v2.1.pbtxt   all; where it is absent a class is a number of 1 to as many as the card says
Boxes     ava_train_v2.1.csv, ava_val_v2.1.csv   no header, a row a class of a box:
          video,second,left,top,right,bottom,class,person   in shares of the picture
Seconds   ava_included_timestamps_v2.1.txt (or v2.2's, the same)   one a line; where absent those of the card
          ava_<split>_excluded_timestamps_v2.1.csv   video,second: not looked at
Detected  ava_<split>_predicted_boxes.csv   as boxes, the class empty, a score in the person's place
Splits    train, val: the videos that the boxes name; test: those of ava_file_names_test_v2.1.txt, a file a line, where
          the list is there. Its boxes and classes are not published: a keyframe has one row without box and labels
Rows      an item is a keyframe, `<video>,<ssss>`, the second that begins there; a row is one of its boxes, `labels`
          its evaluated classes, of which it may have none. A keyframe without a box has one row, without a box

Counted in the log: rows of classes not evaluated, rows that stand twice, rows of excluded seconds.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

import pandas as pd

from retake.data.annotations import not_used
from retake.data.class_lists import Videos
from retake.data.datasets.ava21 import keyframes, lists
from retake.data.readers import FOLDERS, first_of, one_of
from retake.schema.annotations import checked
from retake.schema.card import Card
from retake.schema.classes import BETWEEN

PLACES = (*FOLDERS, "ava_v2.1", "frame_lists")
SPLITS = ("train", "val")
PERSON = "person"
NAMES = ["split", "item_id", "ref_id", "video_id", "start_s", "labels", "box_xyxy", "track_id"]
FOUND = ["video_id", "time_s", "box_xyxy", "score", "label"]


def parse(root: Path, card: Card) -> pd.DataFrame:
    """Raises ValueError that names file, row and what was expected."""
    videos, label_of = _videos(root, card), {n: label for label, n in enumerate(classes(root))}
    seconds, known = _seconds(root, card), _known(root, card, label_of)
    rows, split_of = [], {}

    def named(boxes: Iterator[lists.Box], split: str) -> Iterator[lists.Box]:
        for box in boxes:
            if box.video not in videos.folder_of:
                raise ValueError(f"{box.where}: no video {box.video} in the release")
            if split_of.setdefault(box.video, split) != split:
                raise ValueError(f"{box.where}: video {box.video} is in split {split_of[box.video]}, too")
            yield box

    for split in SPLITS:
        path = one_of(root, [f"ava_{split}_v2.1.csv"], f"table of boxes of split {split}", PLACES)
        boxes = named(lists.read_boxes(path, known, seconds), split)
        rows += keyframes.labelled(split, boxes, label_of, seconds, _excluded(root, split, seconds))
    if (path := first_of(root, ["ava_file_names_test_v2.1.txt"], PLACES)) is not None:
        listed = lists.names(path)
        rows += keyframes.unlabelled(listed, videos, seconds, _excluded(root, "test", seconds), split_of)
    not_used("ava21", "videos that no table names", sorted(set(videos.folder_of) - set(split_of)))
    table, names = pd.DataFrame(rows, columns=NAMES), list(classes(root).values())
    said = [BETWEEN.join(names[label] for label in labels or ()) or None for labels in table["labels"]]
    facts = {"dataset": "ava21", "origin": "release", "task": "detect", "label_set": "ava21"}
    return checked(table.assign(text_out=said, end_s=table["start_s"] + 1, **facts))


def detections(root: Path, card: Card) -> pd.DataFrame:
    """The boxes that the release's makers detected: video_id, time_s, box_xyxy, score, label (person).

    Sorted by video, time, surest first. Raises ValueError as parse does.
    """
    videos, seconds, found = _videos(root, card), _seconds(root, card), []
    for split in (*SPLITS, "test"):
        if path := first_of(root, [f"ava_{split}_predicted_boxes.csv"], PLACES):
            found += list(lists.read_detected(path, seconds))
    if not found:
        raise ValueError(f"{root}: no detected boxes; expected rows in ava_<split>_predicted_boxes.csv")
    gone = {box.video for box in found} - set(videos.folder_of)
    not_used("ava21", "videos with detected boxes that are not there", sorted(gone))
    rows = [(b.video, float(b.second), list(b.xyxy), b.score, PERSON) for b in found if b.video not in gone]
    rows.sort(key=lambda row: (row[0], row[1], -row[3], row[2]))
    return pd.DataFrame(rows, columns=FOUND)


def classes(root: Path) -> dict[int, str]:
    """The evaluated classes, number -> name, in the order of their labels."""
    names = [f"ava_action_list_v2.1_for_activitynet_2018.pbtxt{ending}" for ending in ("", ".txt")]
    return lists.class_list(one_of(root, names, "list of evaluated classes", PLACES))


def _known(root: Path, card: Card, label_of: dict[int, int]) -> set[int]:
    """The numbers that a class may have. Raises ValueError where an evaluated one is not among them."""
    path = first_of(root, ["ava_action_list_v2.1.pbtxt", "ava_action_list_v2.1.pbtxt.txt"], PLACES)
    known = set(lists.class_list(path) if path else range(1, card.counts["classes_in_all"] + 1))
    if strange := sorted(set(label_of) - known):
        raise ValueError(f"{path or root}: class {strange[0]} is evaluated and not in the list of all")
    return known


def _videos(root: Path, card: Card) -> Videos:
    if card.media is None:
        raise ValueError(f"{root}: ava21: expected a card that says media")
    return Videos(root, card.media)


def _seconds(root: Path, card: Card) -> Collection[int]:
    path = first_of(root, [f"ava_included_timestamps_v2.{n}.txt" for n in (1, 2)], PLACES)
    return lists.included(path) if path else range(card.counts["first_s"], card.counts["last_s"] + 1)


def _excluded(root: Path, split: str, seconds: Collection[int]) -> set[tuple[str, int]]:
    name = f"ava_{split}_excluded_timestamps_v2.1.csv"
    path = one_of(root, [name], f"list of excluded seconds of split {split}", PLACES)
    return set(lists.read_seconds(path, seconds))
