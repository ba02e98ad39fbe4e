"""HowTo100M: what is said in instructional videos, joined to pieces of about eight seconds.

Release   caption.json      {video_id: {start: [s], end: [s], text: [narration]}}, captions of recognised speech, which
                            overlap in time
          <video_id>.mp4, .webm or .mkv; what is said in videos that are not there is left out
Splits    none: all is train
One row   one chunk of narrations, its text theirs with spaces between. Narrations are taken in order of their
          start, those that start together in the file's order. A chunk begins with the first that is in none, and
          begins when that does; it ends when the last of its narrations to end does. It is closed
          (a) once it lasts CHUNK_S seconds or more, or
          (b) when the next narration starts CHUNK_S seconds or more after the chunk does: nobody spoke meanwhile.
          The last one of a video stays as short as it is.

Narrations without text, and such as end before they start, are counted in the log and left out.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from retake.data.annotations import LeftOut
from retake.data.class_lists import Videos
from retake.data.json_items import read_json_items
from retake.data.readers import FOLDERS, fields, one_of
from retake.schema.annotations import checked
from retake.schema.card import Card

CHUNK_S = 8.0
ROWS = 65536  # of a table: there are tens of millions
WHERE = (*FOLDERS, "HowTo100M")
KEYS = ("start", "end", "text")


class Said(NamedTuple):
    start_s: float
    end_s: float
    text: str


def parse(root: Path, card: Card) -> Iterator[pd.DataFrame]:
    """Tables of all chunks of whole videos, ROWS rows or little more each. Raises ValueError that names file, video and what was expected."""
    path = one_of(root, ["caption.json"], "captions of recognised speech", WHERE)
    if card.media is None:
        raise ValueError(f"{root}: howto100m: expected a card that says media")
    videos = Videos(root, card.media)
    gone, spoilt, rows, any_said = LeftOut(), LeftOut(), [], False
    for video, value in read_json_items(path):
        if video not in videos.folder_of:
            gone.add(video)
            continue
        said = list(_narrations(path, video, value))
        kept = [one for one in said if one.text and one.end_s > one.start_s]
        spoilt.add(video, len(said) - len(kept))
        rows += [(f"{video}#{n}", video, *one) for n, one in enumerate(joined(kept))]
        if len(rows) >= ROWS:
            yield _table(rows)
            rows, any_said = [], True
    gone.tell("howto100m", "videos that are not there")
    spoilt.tell("howto100m", "narrations without text or without length, in")
    if not rows and not any_said:
        raise ValueError(f"{path}: nothing is said in any of the {len(videos.folder_of)} videos of {root}")
    if rows:
        yield _table(rows)


def _table(rows: list[tuple[str, str, float, float, str]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["item_id", "video_id", "start_s", "end_s", "text_out"])
    return checked(
        table.assign(
            dataset="howto100m", split="train", ref_id=table["item_id"], origin="release", task="caption"
        )
    )


def joined(said: list[Said], chunk_s: float = CHUNK_S) -> list[Said]:
    """Narrations as chunks, by the rule above."""
    chunks: list[Said] = []
    is_open = False
    for one in sorted(said, key=lambda said: said.start_s):
        if is_open and one.start_s - chunks[-1].start_s < chunk_s:
            last = chunks.pop()
            chunks.append(Said(last.start_s, max(last.end_s, one.end_s), f"{last.text} {one.text}"))
        else:
            chunks.append(one)
        is_open = chunks[-1].end_s - chunks[-1].start_s < chunk_s
    return chunks


def _narrations(path: Path, video: str, value: Any) -> Iterator[Said]:
    where = f"video {video}"
    columns = fields(path, where, value, KEYS)
    if any(not isinstance(column, list) for column in columns):
        raise ValueError(f"{path}: {where}: expected lists of {', '.join(KEYS)}")
    if len({len(column) for column in columns}) > 1:
        counts = ", ".join(f"{len(column)} of {key}" for key, column in zip(KEYS, columns, strict=True))
        raise ValueError(f"{path}: {where}: {counts}; expected as many of each")
    for number, (start, end, text) in enumerate(zip(*columns, strict=True)):
        if not all(_seconds(time) for time in (start, end)) or not isinstance(text, str):
            raise ValueError(
                f"{path}: {where}: no. {number}: {start!r} to {end!r}, {text!r:.40}; expected two times and a text"
            )
        yield Said(float(start), float(end), " ".join(text.split()))


def _seconds(time: Any) -> bool:
    return isinstance(time, int | float) and not isinstance(time, bool) and 0 <= time < float("inf")
