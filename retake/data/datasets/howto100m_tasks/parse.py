"""What each video of HowTo100M is about: two categories and a task.

Release   HowTo100M_v1.csv   columns video_id, category_1, category_2, rank, task_id; a video may stand in several
                             rows, of different tasks
          task_ids.csv       a line `<task_id><tab><text>` a task (a comma in the tab's place is read, too)
Splits    none: all is train
Labels    one space: the values of category_1 that the table has, sorted, then those of category_2, then all tasks of
          the list by number
One row   one video that is there, whole: its categories and tasks; `text_out` holds the tasks' texts, one after
          the other with "; " between

An empty category is none. Videos that the table names and that are not there are counted in the log, as are those
that it does not name.
"""

import re
from pathlib import Path

import pandas as pd

from retake.data.annotations import not_used
from retake.data.class_lists import Videos
from retake.data.readers import FOLDERS, one_of, read_csv, read_lines
from retake.schema.annotations import checked
from retake.schema.card import Card

COLUMNS = ("video_id", "category_1", "category_2", "rank", "task_id")
CATEGORIES = ("category_1", "category_2")
WHERE = (*FOLDERS, "HowTo100M")


def parse(root: Path, card: Card) -> pd.DataFrame:
    """Raises ValueError that names file, row and what was expected."""
    if card.media is None:
        raise ValueError(f"{root}: howto100m_tasks: expected a card that says media")
    text_of = _tasks(one_of(root, ["task_ids.csv"], "list of tasks", WHERE))
    rows = _rows(one_of(root, ["HowTo100M_v1.csv"], "table of videos", WHERE), text_of)
    label_of: dict[tuple[str, str], int] = {}
    for key in CATEGORIES:
        for value in sorted({row[key] for video in rows.values() for row in video if row[key]}):
            label_of[key, value] = len(label_of)
    for task in sorted(text_of, key=int):
        label_of["task_id", task] = len(label_of)
    videos = Videos(root, card.media)
    there = [video for video in rows if video in videos.folder_of]
    gone = [video for video in rows if video not in videos.folder_of]
    not_used("howto100m_tasks", "videos that are not there", gone)
    not_used(
        "howto100m_tasks", "videos that the table does not name", sorted(set(videos.folder_of) - set(rows))
    )
    if not there:
        raise ValueError(f"{root}: none of the {len(rows)} videos of HowTo100M_v1.csv is there")
    labels = [
        sorted(
            {label_of[key, row[key]] for row in rows[video] for key in (*CATEGORIES, "task_id") if row[key]}
        )
        for video in there
    ]
    texts = ["; ".join(dict.fromkeys(text_of[row["task_id"]] for row in rows[video])) for video in there]
    return checked(
        pd.DataFrame({"video_id": there, "labels": labels, "text_out": texts}).assign(
            dataset="howto100m_tasks",
            split="train",
            item_id=there,
            ref_id=there,
            start_s=0.0,
            origin="release",
            task="classify_multi",
            label_set="howto100m_tasks",
        )
    )


def _tasks(path: Path) -> dict[str, str]:
    """Task -> text, the list's order."""
    found: dict[str, str] = {}
    for number, line in read_lines(path):
        said = re.fullmatch(r"(\d+)[\t,]\s*(.+)", line)
        if not said or said[1] in found:
            raise ValueError(
                f"{path}: line {number}: {line!r:.60}; expected `<task_id><tab><text>`, each task once"
            )
        found[said[1]] = said[2]
    return found


def _rows(path: Path, text_of: dict[str, str]) -> dict[str, list[dict[str, str]]]:
    """Video -> its rows of the table."""
    found: dict[str, list[dict[str, str]]] = {}
    for line, row in read_csv(path, COLUMNS):
        if not row["video_id"] or row["task_id"] not in text_of:
            raise ValueError(
                f"{path}: line {line}: video {row['video_id']!r}, task {row['task_id']!r}; "
                "expected a video and a task of task_ids.csv"
            )
        found.setdefault(row["video_id"], []).append(row)
    return found
