"""Captions of videos that nothing was trained on: a prediction table, written for people (JSON lines and
CSV).
"""

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd

from retake.data.loader import read_rows
from retake.training.inference import predict


def caption_videos(
    *, model_module: str, recipe: dict[str, Any], seed: int, jsonl_out: Path, csv_out: Path
) -> None:
    """recipe: that of `predict`, and `checkpoint`, the path of one that is there.

    A line a video, in the order of their names: video, caption.
    """
    asked = {key: value for key, value in recipe.items() if key not in ("checkpoint", "checkpoint_sha256")}
    table = jsonl_out.with_name("predictions.parquet")
    predict(
        model_module=model_module, recipe=asked, checkpoint=Path(recipe["checkpoint"]), seed=seed, out=table
    )  # fmt: skip
    captions = pd.read_parquet(table).set_index("item_id")["text"]
    table.unlink()
    video_of = {
        r["item_id"]: r["video_id"] for r in read_rows(asked["data"]["annotations"], asked["data"]["split"])
    }
    lines = sorted((video_of[item], text) for item, text in captions.items())
    with jsonl_out.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"video": v, "caption": c}, ensure_ascii=False) + "\n" for v, c in lines)
    with csv_out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["video", "caption"])
        writer.writerows(lines)
