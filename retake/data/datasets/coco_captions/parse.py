"""COCO Captions: photographs, each described by five people.

Release   annotations/captions_train2014.json, captions_val2014.json: {images: [{id, file_name}, ...],
          annotations: [{id, image_id, caption}, ...]}, other keys not read
          train2014/<file_name>, val2014/<file_name>
Splits    the file's: train2014 is train, val2014 is val; the test pictures have no public captions
One row   one caption of a picture: a video of one frame, 0 to 0 seconds; the item is the picture's file without ending
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from retake.data.annotations import caption_tables, not_used
from retake.data.readers import FOLDERS, fields, one_of, read_json, taken
from retake.schema.card import Card

FILES = {"train": "captions_train2014.json", "val": "captions_val2014.json"}
WHERE = (*FOLDERS, "annotations_trainval2014/annotations")
Row = tuple[str, str, str, float]  # split, picture, caption, end


def parse(root: Path, card: Card) -> Iterator[pd.DataFrame]:  # noqa: ARG001  the release says it all
    """Raises ValueError that names file, row and what was expected."""
    names: dict[str, Path] = {}
    paths = {split: one_of(root, [name], f"captions of split {split}", WHERE) for split, name in FILES.items()}
    return caption_tables("coco_captions", (row for split, path in paths.items() for row in _rows(path, split, names)))


def _rows(path: Path, split: str, names: dict[str, Path]) -> Iterator[Row]:
    raw = read_json(path)
    pictures, captions = fields(path, "the file", raw, ("images", "annotations"))
    name_of: dict[Any, str] = {}
    for number, picture in taken(_listed(path, "images", pictures)):
        where = f"images[{number}]"
        key, file = fields(path, where, picture, ("id", "file_name"))
        name = PurePosixPath(str(file)).stem
        if key in name_of or name in names:
            raise ValueError(f"{path}: {where}: picture {key}, {file}, stands twice")
        name_of[key], names[name] = name, path
    said: dict[str, list[str]] = {name: [] for name in name_of.values()}
    seen: set[Any] = set()
    for number, row in taken(_listed(path, "annotations", captions)):
        where = f"annotations[{number}]"
        key, picture, caption = fields(path, where, row, ("id", "image_id", "caption"))
        if key in seen:
            raise ValueError(f"{path}: {where}: caption {key} stands twice")
        seen.add(key)
        if picture not in name_of:
            raise ValueError(f"{path}: {where}: picture {picture!r} is not among the file's images")
        if not isinstance(caption, str) or not caption.strip():
            raise ValueError(f"{path}: {where}: picture {picture}: caption is {caption!r}; expected a text")
        said[name_of[picture]].append(" ".join(caption.split()))
    not_used(
        "coco_captions",
        f"pictures of {split} without a caption",
        [n for n, texts in said.items() if not texts],
    )
    for name, texts in said.items():
        for text in texts:
            yield split, name, text, 0.0


def _listed(path: Path, key: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"{path}: {key}: expected a list of objects, at least one")
    return value
