"""Own videos: a folder of files, and a table that says what happens in them.

Release   videos/ (the folder, subfolders too) and captions.csv (header exactly video,split,caption) or
          labels.csv (video,split,label), links to what config.yaml names; without either every video is split
          test, and nothing is said of it
Video     a file's path below the folder is its id; the table may leave out the ending, and the subfolders
          where the name alone is clear
One row   one caption, of which a video may have many, all in one split; or a class by its name, one a video.
          Classes are numbered in the order of their names
"""

import unicodedata
from collections import defaultdict
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from retake.data.annotations import caption_table, not_used
from retake.data.class_lists import Listed, labelled
from retake.data.readers import read_csv
from retake.data.release import media_files
from retake.schema.card import Card

SPLITS = ("train", "val", "test")


def parse(root: Path, card: Card) -> pd.DataFrame:
    """Raises ValueError that names file, row and what was expected."""
    assert card.media is not None, "the card of own names its media"
    videos = [video for _, video in media_files(root, card.media)]
    if not videos:
        raise ValueError(
            f"{root / 'videos'}: no video; expected files ending in {', '.join(card.media.suffixes)}"
        )
    key = next((key for key in ("caption", "label") if (root / f"{key}s.csv").is_file()), None)
    if key is None:
        return caption_table("own", [("test", video, None, None) for video in videos])
    table = (root / f"{key}s.csv").resolve()  # errors name the user's file, not our link to it
    rows = _read(table, key, _names(videos))
    named = {row.video for row in rows}
    not_used("own", "videos that the table does not name", [video for video in videos if video not in named])
    if key == "caption":
        return caption_table("own", [(row.split, row.video, row.said, None) for row in rows])
    titles = sorted({row.said for row in rows})
    listed = (Listed(row.where, row.split, row.video, titles.index(row.said), row.said) for row in rows)
    return labelled("own", {row.name: row for row in listed})


class Row(NamedTuple):
    where: str  # file and line
    split: str
    video: str
    said: str


def _read(table: Path, key: str, called: dict[str, set[str]]) -> list[Row]:
    """The rows of the user's table, in its order; `key` is its last column."""
    rows: list[Row] = []
    first_of: dict[str, Row] = {}
    for line, row in read_csv(table, ("video", "split", key), exact=True):
        where = f"{table}: line {line}"
        video, said = _video(where, row["video"], called), row[key].strip()
        if row["split"] not in SPLITS:
            raise ValueError(f"{where}: split {row['split']!r}; expected train, val or test")
        if not said:
            raise ValueError(f"{where}: video {video!r} has an empty {key}; leave the row out, or write one")
        rows.append(Row(where, row["split"], video, row[key] if key == "caption" else said))
        first = first_of.setdefault(video, rows[-1])
        if first.split != row["split"]:
            raise ValueError(f"{where}: video {video!r} is {row['split']}, {_line(first)} says {first.split}")
        if key == "label" and first is not rows[-1]:
            raise ValueError(f"{where}: video {video!r} has a label already, in {_line(first)}")
    if not rows:
        raise ValueError(f"{table}: no rows under the header; expected video,split,{key}")
    return rows


def _line(row: Row) -> str:
    return row.where.rpartition(": ")[2]


def _names(videos: list[str]) -> dict[str, set[str]]:
    """Each way to call a video -> the videos that it may mean."""
    called: dict[str, set[str]] = defaultdict(set)
    for video in videos:
        path = unicodedata.normalize("NFC", video)
        stem = path.rpartition(".")[0]
        for name in (path, stem, path.rpartition("/")[2], stem.rpartition("/")[2]):
            called[name].add(video)
    return called


def _video(where: str, name: str, called: dict[str, set[str]]) -> str:
    """The one video that `name` means; as it is written, else with a Windows path's slashes; a full path wins
    over a shortened one.
    """
    plain = unicodedata.normalize("NFC", name)
    turned = plain.strip().replace("\\", "/").removeprefix("./")
    wanted = plain if plain in called else turned
    meant = called.get(wanted, set())
    exact = [video for video in meant if unicodedata.normalize("NFC", video) == wanted]
    if len(exact) == 1:
        return exact[0]
    if len(meant) == 1:
        return next(iter(meant))
    if meant:
        raise ValueError(
            f"{where}: video {name!r} may be {' or '.join(sorted(meant))}; expected the path with its folder"
        )
    close = get_close_matches(wanted, called, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "expected the name of one of its files"
    raise ValueError(f"{where}: video {name!r} is not in the folder; {hint}")
