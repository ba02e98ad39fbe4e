"""MSR-VTT: 10,000 web clips in 20 categories, twenty captions each.

Release   train_val_videodatainfo.json and test_videodatainfo.json ({videos: [...], sentences: [...]}), or one
          of the forms without splits, each for all videos:
          MSRVTT_data.json   the same keys
          MSR_VTT.json       {annotations: [{image_id, caption}]}, as packed with the videos at Oxford
          or train.json, val.json, test.json as {video: {sen_id: caption}}
Splits    the video's `split` (train, validate, test); where a file has none, by number: video0 to video6512
          train, to video7009 val, to video9999 test
One row   one caption of a clip. The clip files are cut already: an item runs from 0 to end time - start time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import pandas as pd

from retake.data.annotations import caption_tables, not_used
from retake.data.readers import FOLDERS, fields, first_of, read_json, taken
from retake.schema.card import Card

NAMES = {"train": "train", "validate": "val", "val": "val", "test": "test"}
OFFICIAL = ("train_val_videodatainfo.json", "test_videodatainfo.json")
WHOLE = ("MSRVTT_data.json", "MSR_VTT.json")
PER_SPLIT = ("train.json", "val.json", "test.json")
WHERE = (*FOLDERS, "MSRVTT", "MSRVTT/annotation")


@dataclass
class _Found:
    """What the files say: video -> (split, end_s) and captions, in their order."""

    sizes: dict[str, int]  # published number of videos of each split, in the order of their numbers
    videos: dict[str, tuple[str, float | None]] = field(default_factory=dict)
    captions: dict[str, list[str]] = field(default_factory=dict)
    sentences: dict[str, str] = field(default_factory=dict)  # sen_id -> video


def parse(root: Path, card: Card) -> Iterator[pd.DataFrame]:
    """Raises ValueError that names file, row and what was expected."""
    found = _Found(card.splits)
    for path in _files(root):
        _read(path, found)
    not_used("msrvtt", "videos without a caption", (v for v in found.videos if v not in found.captions))
    splits = list(card.splits)
    ordered = sorted(found.videos, key=lambda v: (splits.index(found.videos[v][0]), _number(v), v))
    return caption_tables(
        "msrvtt",
        ((found.videos[v][0], v, text, found.videos[v][1]) for v in ordered for text in found.captions.get(v, ())),
    )


def _files(root: Path) -> list[Path]:
    """The annotation files: the official pair, else one whole file, else one a split."""
    official = [first_of(root, [name], WHERE) for name in OFFICIAL]
    if all(official):
        return [path for path in official if path]
    if whole := first_of(root, WHOLE, WHERE):
        return [whole]
    per_split = [path for name in PER_SPLIT if (path := first_of(root, [name], WHERE))]
    if per_split and not any(official):
        return per_split
    absent = [name for name, path in zip(OFFICIAL, official, strict=True) if path is None]
    raise ValueError(f"{root}: no {' and no '.join(absent)}; expected both, or one of {', '.join(WHOLE)}")


def _read(path: Path, found: _Found) -> None:
    raw = read_json(path)
    if (
        isinstance(raw, dict)
        and isinstance(raw.get("videos"), list)
        and isinstance(raw.get("sentences"), list)
    ):
        for number, video in taken(raw["videos"]):
            _add_video(path, f"videos[{number}]", video, found)
        for number, sentence in taken(raw["sentences"]):
            where = f"sentences[{number}]"
            sen_id, video, caption = fields(path, where, sentence, ("sen_id", "video_id", "caption"))
            if video not in found.videos:
                raise ValueError(f"{path}: {where}: video {video!r} is not among the file's videos")
            _add_caption(path, where, (str(sen_id), video, caption), found)
    elif isinstance(raw, dict) and isinstance(raw.get("annotations"), list):
        for number, row in taken(raw["annotations"]):
            where = f"annotations[{number}]"
            video, caption = fields(path, where, row, ("image_id", "caption"))
            found.videos.setdefault(video, (_split_by_number(path, where, video, found.sizes), None))
            _add_caption(path, where, (where, video, caption), found)
    elif isinstance(raw, dict) and raw and all(isinstance(captions, dict) for captions in raw.values()):
        for video, captions in raw.items():
            found.videos[video] = (_split_by_number(path, video, video, found.sizes), None)
            for sen_id, caption in captions.items():
                _add_caption(path, f"{video} {sen_id}", (sen_id, video, caption), found)
    else:
        raise ValueError(
            f"{path}: expected videos and sentences, or annotations, or {{video: {{sen_id: caption}}}}"
        )


def _add_video(path: Path, where: str, row: Any, found: _Found) -> None:
    (video,) = fields(path, where, row, ("video_id",))
    if video in found.videos:
        raise ValueError(f"{path}: {where}: video {video!r} stands twice")
    split = NAMES.get(row["split"]) if "split" in row else _split_by_number(path, where, video, found.sizes)
    if split is None:
        raise ValueError(
            f"{path}: {where}: video {video!r}: split {row['split']!r}; expected train, validate or test"
        )
    end_s = None
    if "start time" in row or "end time" in row:
        start, end = fields(path, where, row, ("start time", "end time"))
        if not all(isinstance(time, int | float) for time in (start, end)) or not 0 <= start < end:
            raise ValueError(
                f"{path}: {where}: video {video!r}: {start!r} to {end!r}; expected seconds, end after start"
            )
        end_s = round(float(end - start), 6)
    found.videos[video] = (split, end_s)


def _add_caption(path: Path, where: str, row: tuple[str, str, Any], found: _Found) -> None:
    sen_id, video, caption = row
    if sen_id in found.sentences:
        raise ValueError(
            f"{path}: {where}: sen_id {sen_id} stands twice (video {found.sentences[sen_id]!r} before)"
        )
    if not isinstance(caption, str) or not caption.strip():
        raise ValueError(f"{path}: {where}: video {video!r}: caption is {caption!r}; expected a text")
    found.sentences[sen_id] = video
    found.captions.setdefault(video, []).append(caption)


def _number(video: str) -> int:
    said = re.fullmatch(r"video(\d+)", str(video))
    return int(said[1]) if said else -1


def _split_by_number(path: Path, where: str, video: str, sizes: dict[str, int]) -> str:
    number = _number(video)
    for split, end in zip(sizes, accumulate(sizes.values()), strict=True):
        if 0 <= number < end:
            return split
    raise ValueError(f"{path}: {where}: video {video!r}; expected video0 to video{sum(sizes.values()) - 1}")
