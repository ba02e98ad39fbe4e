"""Charades: which of 157 actions happen when, in videos that people filmed at home.

Release   **/<id>.mp4
Lists     Charades_v1_classes.txt   a line `c<nnn> <name>`; the label is the class's place in it, from 0
          Charades_v1_train.csv, Charades_v1_test.csv: columns id, actions, length (seconds), others not read;
          actions is `c<nnn> <start> <end>;...` in seconds, or empty
Splits    train, and test: what the release calls test
Rows      train: an item is a video, its rows cut its time into the spans between which the set of actions
          changes, in order and without a gap; `labels` are all that go on in the span, and none may. A row
          alone says what any frame in it shows, and all rows of an item say it of any time of the video.
          The last one is open (end_s null), for intervals often end after `length`, which is rounded.
          `weight` is the span's share of `length`: rows drawn by it are frames drawn evenly over time
          test: one row a video, whole, with every action that happens in it; a video without actions has
          a row with no labels, which the metrics leave out as the release's own evaluation does

An interval that begins after the video's end is in no span; how many there are is said in the log.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from retake.data.annotations import not_used
from retake.data.class_lists import Videos
from retake.data.readers import FOLDERS, one_of, read_csv, read_lines
from retake.schema.annotations import checked
from retake.schema.card import Card

PLACES = (*FOLDERS, "Charades")
FILES = {"train": "Charades_v1_train.csv", "test": "Charades_v1_test.csv"}
COLUMNS = ("id", "actions", "length")
ACTION = re.compile(r"(c\d{3}) (\d+(?:\.\d+)?) (\d+(?:\.\d+)?)")
NAMES = ["split", "video_id", "start_s", "end_s", "labels", "weight"]
Interval = tuple[int, float, float]  # label, start, end


class Annotated(NamedTuple):
    where: str
    video: str
    intervals: list[Interval]
    length_s: float


def parse(root: Path, card: Card) -> pd.DataFrame:
    """Raises ValueError that names file, row and what was expected."""
    if card.media is None:
        raise ValueError(f"{root}: charades: expected a card that says media")
    names = _classes(one_of(root, ["Charades_v1_classes.txt"], "list of classes", PLACES))
    videos, known, late, rows = Videos(root, card.media), {}, [], []
    for split, file in FILES.items():
        path = one_of(root, [file], f"list of split {split}", PLACES)
        for one in _read(path, list(names)):
            if videos.find(one.video) != one.video:
                raise ValueError(f"{one.where}: no video {one.video} in the release")
            if (before := known.setdefault(one.video, one.where)) != one.where:
                raise ValueError(f"{one.where}: video {one.video} stands twice (before: {before})")
            late += [f"{one.video} {i[0]}" for i in one.intervals if i[1] >= one.length_s]
            rows += [(split, one.video, *span) for span in (spans if split == "train" else whole)(one)]
    videos.strangers("charades", known, str(root))
    not_used("charades", "intervals that begin after their video's end", late)
    table = pd.DataFrame(rows, columns=NAMES)
    titles = list(names.values())
    number = table.groupby("video_id").cumcount().astype(str)
    return checked(
        table.assign(
            dataset="charades",
            item_id=table["video_id"],
            ref_id=table["video_id"] + "#" + number,
            text_out=["; ".join(titles[label] for label in labels) or None for labels in table["labels"]],
            origin="release",
            task="classify_multi",
            label_set="charades",
        )
    )


def spans(one: Annotated) -> Iterator[tuple[float, float | None, list[int], float]]:
    """(start_s, end_s, labels, share of the video's length) of each span in which the set of actions is one."""
    edges = {0.0} | {t for _, *ends in one.intervals for t in ends if 0.0 < t < one.length_s}
    starts = sorted(edges)
    # between two edges nothing begins or ends, so what goes on at the first goes on until the second
    labels = [sorted({c for c, begin, end in one.intervals if begin <= t < end}) for t in starts]
    turns = [n for n in range(len(starts)) if n == 0 or labels[n] != labels[n - 1]]
    for n, after in zip(turns, [*turns[1:], None], strict=True):
        end = None if after is None else starts[after]
        share = ((one.length_s if end is None else end) - starts[n]) / one.length_s
        yield starts[n], end, labels[n], share


def whole(one: Annotated) -> Iterator[tuple[float, None, list[int], float]]:
    yield 0.0, None, sorted({label for label, _, _ in one.intervals}), 1.0


def _classes(path: Path) -> dict[str, str]:
    """Class -> name, in the order of the labels."""
    names: dict[str, str] = {}
    for number, line in read_lines(path):
        said = re.fullmatch(r"(c\d{3}) (.+)", line)
        if not said or said[1] in names:
            raise ValueError(f"{path}: line {number}: {line!r}; expected `c<nnn> <name>`, each class once")
        names[said[1]] = said[2]
    return names


def _read(path: Path, classes: list[str]) -> Iterator[Annotated]:
    label_of = {name: label for label, name in enumerate(classes)}
    for line, row in read_csv(path, COLUMNS):
        where = f"{path}: line {line}"
        if not re.fullmatch(r"\d+(\.\d+)?", row["length"]) or float(row["length"]) <= 0:
            raise ValueError(
                f"{where}: video {row['id']}: length {row['length']!r}; expected seconds above 0"
            )
        intervals = []
        for text in filter(None, row["actions"].strip().split(";")):
            said = ACTION.fullmatch(text.strip())
            if not said or float(said[2]) > float(said[3]):
                raise ValueError(
                    f"{where}: video {row['id']}: {text!r}; expected `c<nnn> <start> <end>`, end not before start"
                )
            if said[1] not in label_of:
                raise ValueError(f"{where}: video {row['id']}: {said[1]} is no class of the list")
            intervals.append((label_of[said[1]], float(said[2]), float(said[3])))
        yield Annotated(where, row["id"], intervals, float(row["length"]))
