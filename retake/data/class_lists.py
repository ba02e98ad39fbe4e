"""Classified videos: lists of them, held against the videos that are there, as the one table.

A list names a video by its file's name; folders before it are not looked at, so that a release may lie flat.
Where no file is called so to the letter, the one that differs in upper and lower case alone is meant.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

from retake.data.annotations import not_used
from retake.data.readers import read_lines
from retake.data.release import media_files
from retake.schema.annotations import checked
from retake.schema.card import Media

SPLITS = ("train", "test")


class Listed(NamedTuple):
    """One row of a list. Where the split is empty, the list says that the video is not to be used."""

    where: str  # file and line
    split: str
    name: str
    label: int  # from 0
    title: str  # the class by name


class Videos:
    """The videos of a release by name."""

    def __init__(self, root: Path, media: Media):
        """Walks the release's folder. Raises ValueError where it holds no video."""
        self.folder_of = {v: str(PurePosixPath(path).parent) for path, v in media_files(root, media)}
        if not self.folder_of:
            raise ValueError(f"{root}: no video; expected files called {media.glob}")
        self._alike: dict[str, list[str]] = {}
        for video in self.folder_of:
            self._alike.setdefault(video.casefold(), []).append(video)

    def find(self, name: str) -> str | None:
        """The id of the video that a list calls `name`; None where there is none, or where two may be meant."""
        if name in self.folder_of:
            return name
        alike = self._alike.get(name.casefold(), [])
        return alike[0] if len(alike) == 1 else None

    def strangers(self, dataset: str, known: Iterable[str], lists: str) -> None:
        """Count in the log the videos that are not `known`.

        Raises ValueError where a folder holds such videos only: a class that the lists forgot.
        """
        known = set(known)
        unknown = [video for video in self.folder_of if video not in known]
        listed = {self.folder_of[video] for video in known}
        for video in unknown:
            if (folder := self.folder_of[video]) not in listed:
                raise ValueError(f"{lists}: names none of the videos in folder {folder}, e.g. {video}")
        not_used(dataset, "videos that no list names", unknown)


def read_triples(paths: Mapping[str, Path]) -> Iterator[Listed]:
    """The rows of one list a split, of lines `folder/video.avi class label`, labels from 0.

    Raises ValueError that names file and line.
    """
    for split, path in paths.items():
        for number, line in read_lines(path):
            parts = line.rsplit(maxsplit=2)
            if len(parts) != 3 or not parts[2].isdigit():
                raise ValueError(
                    f"{path}: line {number}: {line!r}; expected `folder/video.avi class label`, labels from 0"
                )
            yield Listed(f"{path}: line {number}", split, stem(parts[0]), int(parts[2]), parts[1])


def stem(path: str) -> str:
    """A file's name without folders and ending."""
    return PurePosixPath(path.replace("\\", "/")).stem


def class_table(release: str, listed: Iterable[Listed], videos: Videos, lists: str) -> pd.DataFrame:
    """The annotation table of classified videos: a row is a video, whole; training rows come first.

    `labels` holds its class, `text_out` the class's name; `label_set` is the release's name. `lists` names the
    lists in errors. Raises ValueError that names file and line: a video that is not there, that stands twice,
    also in two splits, or a class with two numbers.
    """
    rows: dict[str, Listed] = {}
    missing: list[Listed] = []
    number_of: dict[str, int] = {}
    title_of: dict[int, str] = {}
    for row in listed:
        if (known := number_of.setdefault(row.title, row.label)) != row.label:
            raise ValueError(f"{row.where}: class {row.title} is {row.label}, before it was {known}")
        if (title := title_of.setdefault(row.label, row.title)) != row.title:
            raise ValueError(f"{row.where}: label {row.label} is {row.title}, before it was {title}")
        video = videos.find(row.name)
        if video is None:
            missing.append(row)
            continue
        first = rows.setdefault(video, row)
        if first is not row:
            also = f"in {first.split or 'use nowhere'} by {first.where}"
            raise ValueError(f"{row.where}: video {row.name} stands twice, {also}")
    if missing:
        row = missing[0]
        raise ValueError(
            f"{row.where}: no video {row.name} in the release ({len(missing)} that the lists name are missing)"
        )
    videos.strangers(release, rows, lists)
    return labelled(release, rows)


def labelled(dataset: str, rows: Mapping[str, Listed]) -> pd.DataFrame:
    """The annotation table of videos by id, one class each; training rows come first, unused ones are left out."""
    used = [
        (split, video, row)
        for split in ("train", "val", "test")
        for video, row in rows.items()
        if row.split == split
    ]
    table = pd.DataFrame(
        [(split, video, [row.label], row.title) for split, video, row in used],
        columns=["split", "video_id", "labels", "text_out"],
    )
    return checked(
        table.assign(
            dataset=dataset,
            item_id=table["video_id"],
            ref_id=table["video_id"],
            start_s=0.0,
            origin="release",
            task="classify",
            label_set=dataset,
        )
    )
