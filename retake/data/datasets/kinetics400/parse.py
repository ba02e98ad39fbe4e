"""Kinetics-400: clips of about ten seconds, each of one of 400 actions.

Release   **/<youtube_id>_<start>_<end>.mp4   six digits each, whole seconds; in a folder a class, or all in one
Lists     a CSV a split with the columns label, youtube_id, time_start, time_end (seconds) and split; others are not
          read. A list may be called as in LISTS; a test list without labels is not looked for
Splits    train and val
One row   one clip that is there, whole; `text_out` is its class
Labels    the classes of the training list, sorted: the order of the label map that published networks have

Listed clips that are not there are counted in the log (videos vanish from the web), as are those no list names.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from retake.data.annotations import not_used
from retake.data.class_lists import Listed, Videos, labelled
from retake.data.readers import FOLDERS, one_of, read_csv
from retake.schema.card import Card

LISTS = ("kinetics-400_{}.csv", "kinetics400_{}.csv", "kinetics_{}.csv", "{}.csv")
CALLED = {"train": ("train",), "val": ("val", "validate", "validation")}  # how a list names its split
COLUMNS = ("label", "youtube_id", "time_start", "time_end", "split")
PLACES = (*FOLDERS, "data", "kinetics400")


def parse(root: Path, card: Card) -> pd.DataFrame:
    """Raises ValueError that names file, row and what was expected."""
    if card.media is None:
        raise ValueError(f"{root}: kinetics400: expected a card that says media")
    videos, rows, gone = Videos(root, card.media), {}, []
    known: dict[str, str] = {}
    label_of: dict[str, int] = {}
    for split, called in CALLED.items():
        path = one_of(root, [name.format(split) for name in LISTS], f"list of split {split}", PLACES)
        listed = list(_listed(path, called))
        label_of = label_of or {name: n for n, name in enumerate(sorted({title for _, _, title in listed}))}
        for where, clip, title in listed:
            if title not in label_of:
                raise ValueError(
                    f"{where}: class {title!r} is not among the {len(label_of)} of the training list"
                )
            if (before := known.setdefault(clip, where)) != where:
                raise ValueError(f"{where}: clip {clip} stands twice (before: {before})")
            if videos.find(clip) == clip:
                rows[clip] = Listed(where, split, clip, label_of[title], title)
            else:
                gone.append(clip)
    not_used("kinetics400", "clips that are not there", gone)
    not_used("kinetics400", "videos that no list names", (v for v in videos.folder_of if v not in known))
    if not rows:
        raise ValueError(
            f"{root}: none of the {len(known)} clips that the lists name is there, e.g. {gone[0]}"
        )
    return labelled("kinetics400", rows)


def _listed(path: Path, called: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    """(file and line, clip, class) of each row."""
    for line, row in read_csv(path, COLUMNS):
        where, title = f"{path}: line {line}", row["label"].strip()
        if row["split"] not in called:
            raise ValueError(f"{where}: split {row['split']!r}; expected {called[0]}")
        if not title or not row["youtube_id"]:
            raise ValueError(f"{where}: label {title!r}, youtube_id {row['youtube_id']!r}; expected both")
        times = [row[key] for key in ("time_start", "time_end")]
        whole = [re.fullmatch(r"(\d{1,6})(?:\.0+)?", time) for time in times]
        start, end = (int(time[1]) if time else -1 for time in whole)
        if not all(whole) or start >= end:
            raise ValueError(
                f"{where}: {times[0]!r} to {times[1]!r}; expected two whole seconds, the second one later"
            )
        yield where, f"{row['youtube_id']}_{start:06d}_{end:06d}", title
