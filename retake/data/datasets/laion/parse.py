"""A LAION subset: pictures of the web, each with the text that stood beside it.

Release   as img2dataset downloads it: <shard>/<key>.jpg, beside it <key>.txt and <key>.json (not read), and
          <shard>.parquet, a row an address: key, caption, status, url and more; key's first five digits are the shard
English   where the table has a column LANGUAGE, rows that say `en`; a table without one is an English subset
Splits    none: all is train
One row   one picture that was downloaded (status `success`): a video of one frame, 0 to 0 seconds

Pictures without a text are counted in the log and left out, as are other languages and failed downloads.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from retake.data.annotations import caption_table, not_used
from retake.schema.card import Card

SHARD, KEY = re.compile(r"\d{5}"), re.compile(r"\d{9,}")
COLUMNS = ("key", "caption", "status")
LANGUAGE = "LANGUAGE"


def parse(root: Path, card: Card) -> pd.DataFrame:  # noqa: ARG001  the release says it all
    """Raises ValueError that names file, row and what was expected."""
    shards = sorted(path for path in Path(root).rglob("*.parquet") if SHARD.fullmatch(path.stem))
    if not shards:
        raise ValueError(f"{root}: no <shard>.parquet, e.g. 00000.parquet; expected what img2dataset downloads")
    left: dict[str, list[str]] = {"that were not downloaded": [], "not in English": [], "without a text": []}
    taken: dict[str, Path] = {}
    rows = [
        ("train", key, caption, 0.0) for path in shards for key, caption in _rows(path, taken, left)
    ]
    for why, keys in left.items():
        not_used("laion", f"pictures {why}", keys)
    if not rows:
        raise ValueError(f"{root}: no picture of {len(shards)} shards was downloaded and has an English text")
    return caption_table("laion", rows)


def _rows(path: Path, taken: dict[str, Path], left: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    try:
        there = pq.read_schema(path).names
        columns = [*COLUMNS, *([LANGUAGE] if LANGUAGE in there else [])]
        if absent := [name for name in COLUMNS if name not in there]:
            raise ValueError(f"{path}: no column {absent[0]}; expected {', '.join(COLUMNS)}")
        table = pq.read_table(path, columns=columns).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path}: no parquet file ({str(error).splitlines()[0]:.80})") from None
    for number, row in enumerate(table):
        key, caption = row["key"], row["caption"]
        if not isinstance(key, str) or not KEY.fullmatch(key) or not key.startswith(path.stem):
            raise ValueError(f"{path}: row {number}: key {key!r}; expected nine digits that begin with {path.stem}")
        if key in taken or row["status"] is None:
            said = f"stands in {taken[key]}, too" if key in taken else "has no status"
            raise ValueError(f"{path}: row {number}: key {key} {said}")
        taken[key] = path
        if row["status"] != "success":
            left["that were not downloaded"].append(key)
        elif row.get(LANGUAGE, "en") != "en":
            left["not in English"].append(key)
        elif not (text := " ".join((caption or "").split())):
            left["without a text"].append(key)
        else:
            yield key, text
