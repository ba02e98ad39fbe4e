"""MSVD: 1,970 short clips, each described by some forty people in a sentence of their own.

Splits    youtube_mapping.txt, a line `<clip> vid<N>`: N to 1200 train, to 1300 val, to 1970 test; or
          train_list.txt, val_list.txt, test_list.txt, a clip a line. Both at once must agree.
Captions  the first of  MSR Video Description Corpus.csv  (clip is VideoID_Start_End; English is kept)
                        AllVideoDescriptions.txt          (a line `<clip> <caption>`, comments start with #)
                        captions_msvd.json                ({clip: [captions]})
One row   one caption of a clip, from the clip's start to its end

The corpus describes more clips than were published as video, and a few published clips lack captions: both
are counted in the log and left out.
"""

import re
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import pandas as pd

from retake.data.annotations import caption_tables, not_used
from retake.data.readers import first_of, one_of, read_csv, read_json, read_lines
from retake.schema.card import Card

COLUMNS = ("VideoID", "Start", "End", "Language", "Description")
Captions = Iterator[tuple[str, str, str]]  # where it stands, clip, caption


def parse(root: Path, card: Card) -> Iterator[pd.DataFrame]:
    """Raises ValueError that names file, row and what was expected."""
    split_of = _splits(root, dict(zip(card.splits, accumulate(card.splits.values()), strict=True)))
    path = one_of(root, list(READERS), "captions")
    captions: dict[str, list[str]] = {clip: [] for clip in split_of}
    strangers, empty = set(), []
    for where, clip, caption in READERS[path.name](path):
        if clip not in split_of:
            strangers.add(clip)
        elif not caption.strip():
            empty.append(f"{path.name} {where}")
        else:
            captions[clip].append(caption)
    not_used("msvd", "described clips that are in no split", sorted(strangers))
    not_used("msvd", "empty captions", empty)
    not_used("msvd", "clips without a caption", [clip for clip, texts in captions.items() if not texts])
    if not any(captions.values()):
        raise ValueError(
            f"{path}: describes none of the {len(split_of)} clips of the splits, e.g. {next(iter(split_of))}"
        )
    return caption_tables(
        "msvd", ((split_of[clip], clip, text, None) for clip, texts in captions.items() for text in texts)
    )


def _splits(root: Path, last: dict[str, int]) -> dict[str, str]:
    """clip -> split, in the published order; `last` is the highest vid number of each split."""
    mapping = first_of(root, ["youtube_mapping.txt"])
    lists = {split: first_of(root, [f"{split}_list.txt"]) for split in last}
    if mapping is None and None in lists.values():
        absent = [f"{split}_list.txt" for split, path in lists.items() if path is None]
        raise ValueError(
            f"{root}: no youtube_mapping.txt and no {', '.join(absent)}; expected the one or all the lists"
        )
    found = {split: path for split, path in lists.items() if path}
    listed = _from_lists(found) if len(found) == len(lists) else {}
    if mapping is None:
        return listed
    mapped = _from_mapping(mapping, last)
    if listed and listed != mapped:
        clip = min(clip for clip in {**mapped, **listed} if mapped.get(clip) != listed.get(clip))
        raise ValueError(
            f"{mapping}: clip {clip} is {mapped.get(clip)}, the lists beside it say {listed.get(clip)}"
        )
    return mapped


def _from_mapping(path: Path, last: dict[str, int]) -> dict[str, str]:
    split_of: dict[str, str] = {}
    numbers: dict[int, int] = {}
    for number, line in read_lines(path):
        said = re.fullmatch(r"(\S+)\s+vid(\d+)", line)
        if not said or not 1 <= int(said[2]) <= last["test"]:
            raise ValueError(
                f"{path}: line {number}: {line!r}; expected `clip vidN`, N from 1 to {last['test']}"
            )
        clip, vid = said[1], int(said[2])
        if clip in split_of or vid in numbers:
            raise ValueError(
                f"{path}: line {number}: {clip if clip in split_of else f'vid{vid}'} stands twice"
            )
        numbers[vid] = number
        split_of[clip] = next(split for split, highest in last.items() if vid <= highest)
    return split_of


def _from_lists(paths: dict[str, Path]) -> dict[str, str]:
    split_of: dict[str, str] = {}
    for split, path in paths.items():
        for number, clip in read_lines(path):
            if clip in split_of:
                raise ValueError(
                    f"{path}: line {number}: clip {clip} stands twice (in {split_of[clip]} before)"
                )
            split_of[clip] = split
    return split_of


def _corpus(path: Path) -> Captions:
    for line, row in read_csv(path, COLUMNS):
        if not (row["VideoID"] and row["Start"].isdigit() and row["End"].isdigit()):
            found = f"{row['VideoID']!r}, {row['Start']!r}, {row['End']!r}"
            raise ValueError(
                f"{path}: line {line}: {found}; expected VideoID, and Start and End in whole seconds"
            )
        if row["Language"] == "English":
            yield f"line {line}", f"{row['VideoID']}_{row['Start']}_{row['End']}", row["Description"]


def _lines(path: Path) -> Captions:
    for line, text in read_lines(path):
        if not text.startswith("#"):
            clip, _, caption = text.partition(" ")
            yield f"line {line}", clip, caption


def _json(path: Path) -> Captions:
    found = read_json(path)
    if not isinstance(found, dict):
        raise ValueError(f"{path}: is {type(found).__name__}; expected an object {{clip: [captions]}}")
    for clip, captions in found.items():
        if not isinstance(captions, list) or not all(isinstance(caption, str) for caption in captions):
            raise ValueError(f"{path}: clip {clip}: expected a list of captions, not {captions!r:.60}")
        for number, caption in enumerate(captions):
            yield f"clip {clip} no. {number}", clip, caption


READERS = {
    "MSR Video Description Corpus.csv": _corpus,
    "AllVideoDescriptions.txt": _lines,
    "captions_msvd.json": _json,
}
