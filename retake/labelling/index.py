"""index_pseudolabels: a release's shards of pseudolabels as one table."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from retake.data.annotations import write_table
from retake.data.array_index import NAMED, read_failures, write_failures
from retake.schema.annotations import checked


def index_pseudolabels(
    *, tables: Sequence[Path], lines: Sequence[Path], failures: Sequence[Path], table_out: Path, jsonl_out: Path,
    failures_out: Path,
) -> None:  # fmt: skip
    """Join the shards' annotation tables, JSON lines and failures, in the order of the shards.

    Raises ValueError where shards hold the same clip, or where no clip of the release has a label.
    """
    parts = [pd.read_parquet(path) for path in sorted(map(Path, tables))]
    whole = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    failed = sorted(row for path in failures for row in read_failures(Path(path)))
    if whole.empty:
        named = "".join(f"\n  {video_id} ({path}): {reason}" for video_id, path, reason in failed[:NAMED])
        raise ValueError(f"no clip of the release could be labelled; {len(failed)} failures{named}")
    write_table(checked(whole), Path(table_out))
    with Path(jsonl_out).open("wb") as joined:
        for path in sorted(map(Path, lines)):
            joined.write(path.read_bytes())
    write_failures(failed, failures_out)
