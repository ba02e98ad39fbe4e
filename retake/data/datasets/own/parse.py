"""Own videos: a folder of files, and a table that says what happens in them.

Release   videos/ (the folder, subfolders too) and captions.csv (header exactly video,split,caption), both
          links to what config.yaml names; without captions.csv every video is split test and has no caption
Video     a file's path below the folder is its id; the table may leave out the ending, and the subfolders
          where the name alone is clear
One row   one caption; a video may have many rows, all in one split
"""

import unicodedata
from collections import defaultdict
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from retake.data.annotations import caption_table, not_used
from retake.data.readers import read_csv
from retake.data.release import media_files
from retake.schema.card import Card

SPLITS = ("train", "val", "test")
COLUMNS = ("video", "split", "caption")


def parse(root: Path, card: Card) -> pd.DataFrame:
    """Raises ValueError that names file, row and what was expected."""
    assert card.media is not None, "the card of own names its media"
    videos = [video for _, video in media_files(root, card.media)]
    if not videos:
        raise ValueError(
            f"{root / 'videos'}: no video; expected files ending in {', '.join(card.media.suffixes)}"
        )
    table = root / "captions.csv"
    if not table.is_file():
        return caption_table("own", [("test", video, None, None) for video in videos])
    table = table.resolve()  # errors name the user's file, not our link to it
    called = _names(videos)
    split_of: dict[str, tuple[str, int]] = {}
    rows = []
    for line, row in read_csv(table, COLUMNS, exact=True):
        where = f"{table}: line {line}"
        video = _video(where, row["video"], called)
        if row["split"] not in SPLITS:
            raise ValueError(f"{where}: split {row['split']!r}; expected train, val or test")
        if not row["caption"].strip():
            raise ValueError(
                f"{where}: video {video!r} has an empty caption; leave the row out, or write one"
            )
        split, first = split_of.setdefault(video, (row["split"], line))
        if split != row["split"]:
            raise ValueError(f"{where}: video {video!r} is {row['split']}, line {first} says {split}")
        rows.append((split, video, row["caption"], None))
    if not rows:
        raise ValueError(f"{table}: no rows under the header; expected video,split,caption")
    not_used(
        "own", "videos that the table does not name", [video for video in videos if video not in split_of]
    )
    return caption_table("own", rows)


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
    """The one video that `name` means; a full path wins over a shortened one."""
    wanted = unicodedata.normalize("NFC", name.strip().replace("\\", "/").removeprefix("./"))
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
