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

from retake.data.annotations import LeftOut, caption_table
from retake.schema.card import Card

SHARD, KEY = re.compile(r"\d{5}"), re.compile(r"\d{9,}")
COLUMNS = ("key", "caption", "status")
LANGUAGE = "LANGUAGE"


def parse(root: Path, card: Card) -> Iterator[pd.DataFrame]:  # noqa: ARG001  the release says it all
    """A table a shard. Raises ValueError that names file, row and what was expected."""
    shards: dict[str, Path] = {}
    for path in sorted(path for path in Path(root).rglob("*.parquet") if SHARD.fullmatch(path.stem)):
        if (other := shards.setdefault(path.stem, path)) != path:
            raise ValueError(f"{path}: {other} is the same shard; expected one of them")
    if not shards:
        raise ValueError(
            f"{root}: no <shard>.parquet, e.g. 00000.parquet; expected what img2dataset downloads"
        )
    left = {why: LeftOut() for why in ("that were not downloaded", "not in English", "without a text")}
    any_used = False
    for path in shards.values():
        if rows := [("train", key, caption, 0.0) for key, caption in _rows(path, left)]:
            any_used = True
            yield caption_table("laion", rows)
    for why, keys in left.items():
        keys.tell("laion", f"pictures {why}")
    if not any_used:
        raise ValueError(f"{root}: no picture of {len(shards)} shards was downloaded and has an English text")


def _rows(path: Path, left: dict[str, LeftOut]) -> Iterator[tuple[str, str]]:
    try:
        there = pq.read_schema(path).names
        columns = [*COLUMNS, *([LANGUAGE] if LANGUAGE in there else [])]
        if absent := [name for name in COLUMNS if name not in there]:
            raise ValueError(f"{path}: no column {absent[0]}; expected {', '.join(COLUMNS)}")
        table = pq.read_table(path, columns=columns).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"{path}: no parquet file ({str(error).splitlines()[0]:.80})") from None
    taken: set[str] = set()
    for number, row in enumerate(table):
        key, caption = row["key"], row["caption"]
        if not isinstance(key, str) or not KEY.fullmatch(key) or not key.startswith(path.stem):
            raise ValueError(
                f"{path}: row {number}: key {key!r}; expected nine digits that begin with {path.stem}"
            )
        if key in taken or row["status"] is None:
            said = "stands twice" if key in taken else "has no status"
            raise ValueError(f"{path}: row {number}: key {key} {said}")
        taken.add(key)
        if row["status"] != "success":
            left["that were not downloaded"].add(key)
        elif row.get(LANGUAGE, "en") != "en":
            left["not in English"].add(key)
        elif not (text := " ".join((caption or "").split())):
            left["without a text"].add(key)
        else:
            yield key, text
