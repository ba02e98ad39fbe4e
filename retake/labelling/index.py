"""index_pseudolabels: a release's shards of pseudolabels as one table."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from shutil import copyfileobj

import pandas as pd
import pyarrow.parquet as pq

from retake.data.annotations import write_tables
from retake.data.array_index import NAMED, read_failures, write_failures
from retake.schema.annotations import checked


def index_pseudolabels(
    *, tables: Sequence[Path], lines: Sequence[Path], failures: Sequence[Path], table_out: Path, jsonl_out: Path,
    failures_out: Path,
) -> None:  # fmt: skip
    """Join the shards' annotation tables, JSON lines and failures, in the order of the shards, one at a time.

    Raises ValueError where shards hold the same clip, or where no clip of the release has a label.
    """
    shards = sorted(map(Path, tables))
    failed = sorted(row for path in failures for row in read_failures(Path(path)))
    if not any(pq.read_metadata(path).num_rows for path in shards):
        named = "".join(f"\n  {video_id} ({path}): {reason}" for video_id, path, reason in failed[:NAMED])
        raise ValueError(f"no clip of the release could be labelled; {len(failed)} failures{named}")
    write_tables(labelled(shards), Path(table_out), f"{shards[0].parent.parent}: shards of pseudolabels")
    with Path(jsonl_out).open("wb") as joined:
        for path in sorted(map(Path, lines)):
            with path.open("rb") as file:
                copyfileobj(file, joined)
    write_failures(failed, failures_out)


def labelled(shards: Iterable[Path]) -> Iterator[pd.DataFrame]:
    """The tables of the shards that have a label."""
    for path in shards:
        table = pd.read_parquet(path)
        if len(table):
            yield checked(table)
