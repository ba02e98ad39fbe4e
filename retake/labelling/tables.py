"""Labels as an annotation table, and as JSON lines for people."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from retake.data.annotations import write_table
from retake.schema.annotations import checked

SPLIT, TASK = "train", "caption"


def write_labels(
    rows: Sequence[dict[str, Any]], release: str, about: dict[str, Any], table_out: Path, jsonl_out: Path
) -> None:
    """rows: video_id, number, start_s, end_s, caption, a row a clip. about: the labeller's `model` and `sampling`.

    An item is a clip. `origin` is `about` as JSON. A line of the JSON file is {video_id, start_s, end_s, caption,
    model, sampling}. Both are in the order of the videos' ids, then of time.
    """
    rows = sorted(rows, key=lambda row: (row["video_id"], row["number"]))
    table = pd.DataFrame(
        [
            (r["video_id"], r["start_s"], r["end_s"], r["caption"], f"{r['video_id']}@{r['number']}")
            for r in rows
        ],
        columns=["video_id", "start_s", "end_s", "text_out", "item_id"],
    )
    origin = json.dumps(about, sort_keys=True, ensure_ascii=False)
    same = {"dataset": release, "split": SPLIT, "origin": origin, "task": TASK}
    write_table(checked(table.assign(ref_id=table["item_id"], **same)), Path(table_out))
    with Path(jsonl_out).open("w", encoding="utf-8") as file:
        for row in rows:
            line = {key: row[key] for key in ("video_id", "start_s", "end_s", "caption")} | about
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
