"""The Pile: texts without pictures.

Release   train/<part>.jsonl.zst and val.jsonl.zst, or the same without .zst: a line {"text": ..., "meta": {...}}
Splits    the file's
One row   one text, `text<n>` in the order of the files, train before val: there is no video of that name
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa

from retake.data.annotations import not_used
from retake.schema.annotations import checked
from retake.schema.card import Card

SPLITS = {"train": ("train/*.jsonl.zst", "train/*.jsonl"), "val": ("val.jsonl.zst", "val.jsonl")}


def parse(root: Path, card: Card) -> pd.DataFrame:  # noqa: ARG001  the release says it all
    """Raises ValueError that names file, line and what was expected."""
    rows = [
        (split, text)
        for split, globs in SPLITS.items()
        for path in _files(root, globs)
        for text in _texts(path)
    ]
    table = pd.DataFrame(rows, columns=["split", "text_out"])
    names = [f"text{number}" for number in range(len(table))]
    return checked(
        table.assign(
            dataset="pile",
            item_id=names,
            ref_id=names,
            video_id=names,
            start_s=0.0,
            origin="release",
            task="caption",
        )
    )


def _files(root: Path, globs: tuple[str, ...]) -> list[Path]:
    found = sorted(path for glob in globs for path in Path(root).glob(glob))
    if not found:
        raise ValueError(f"{root}: no {globs[0]} and no {globs[1]}; expected one of them")
    stems = [path.name.removesuffix(".zst") for path in found]
    if twice := [path for path, stem in zip(found, stems, strict=True) if stems.count(stem) > 1]:
        raise ValueError(f"{twice[0]}: is there with and without .zst; expected one of them")
    return found


def _texts(path: Path) -> Iterator[str]:
    empty = []
    for number, line in _lines(path):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}: line {number}: not JSON ({error.msg})") from None
        text = row.get("text") if isinstance(row, dict) else None
        if not isinstance(text, str):
            raise ValueError(f"{path}: line {number}: {line.strip()[:60]!r}; expected an object with a text")
        if text.strip():
            yield text.strip()
        else:
            empty.append(f"line {number}")
    not_used("pile", f"texts of {path.name} that are empty", empty)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, line) of the lines that are not empty."""
    compression = "zstd" if path.suffix == ".zst" else None
    number = 0
    try:
        with pa.input_stream(str(path), compression=compression) as stream:
            for number, line in enumerate(io.TextIOWrapper(stream, encoding="utf-8"), 1):
                if line.strip():
                    yield number, line
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: after line {number}: not UTF-8 ({error.reason})") from None
    except (OSError, pa.ArrowException) as error:
        raise ValueError(
            f"{path}: after line {number}: cannot be read ({str(error).splitlines()[0]:.80})"
        ) from None
