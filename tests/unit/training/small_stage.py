"""A tiny stage for the tests of the training package: arrays, tables and the JSON that the plan would write.

`make_world` writes features in which the first channel that is lit names the word of the caption.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from retake.data.array_index import INDEX
from retake.schema.annotations import checked

NOUNS = ["dog", "cat", "car", "ball"]
ETENET = "retake.methods.etenet.model"


def write_index(folder: Path, arrays: dict[str, np.ndarray], name: str = "features.npy") -> Path:
    """One array file and its index in `folder`; arrays: video -> (T, ...)."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / name, np.concatenate(list(arrays.values())))
    rows, at = [], 0
    for video, array in arrays.items():
        rows.append({
            "video_id": video, "start_s": 0.0, "end_s": None, "array": name, "row": at,
            "num_rows": len(array),
            "times_s": [0.1 * i for i in range(len(array))], "duration_s": 0.1 * len(array), "fps": 10.0,
            "width": 8, "height": 8,
        })  # fmt: skip
        at += len(array)
    pq.write_table(pa.Table.from_pylist(rows, schema=INDEX), folder / "index.parquet")
    return folder / "index.parquet"


def write_annotations(path: Path, rows: list[dict[str, Any]]) -> Path:
    table = pd.DataFrame([{"dataset": "toy", "start_s": 0.0, "origin": "release"} | row for row in rows])
    checked(table).to_parquet(path, index=False)
    return path


def caption_rows(num: dict[str, int], captions: int = 2) -> list[dict[str, Any]]:
    rows = []
    for split, videos in num.items():
        for v in range(videos):
            noun, video = NOUNS[v % len(NOUNS)], f"{split}{v}"
            for c in range(captions):
                text = [f"a {noun} moves", f"there is a {noun}"][c % 2]
                place = {"item_id": video, "video_id": video, "ref_id": f"{video}#{c}"}
                rows.append({**place, "split": split, "text_out": text})
    return rows


def caption_features(rows: list[dict[str, Any]], *, width: int = 6, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    arrays = {}
    for row in rows:
        if row["video_id"] in arrays:
            continue
        noun = next(i for i, n in enumerate(NOUNS) if n in row["text_out"])
        clip = 0.1 * rng.standard_normal((3 + len(arrays) % 3, width)).astype(np.float32)
        clip[:, noun] += 1
        arrays[row["video_id"]] = clip
    return arrays


def model_sizes(**changes: Any) -> dict[str, Any]:
    sizes = {
        "encoder": None, "feature_width": 6, "embedding": 8, "hidden": 12, "attention": 5, "dropout": 0.0,
        "word_dropout": 0.0, "dsa_weight": 0.70602, "dsa_divisor": "frames", "min_count": 1,
        "max_words": None,
    }  # fmt: skip
    return sizes | changes


def small_encoder() -> dict[str, Any]:
    arguments = {"layers": [1, 1, 1, 1], "channels": [4, 4, 6, 6], "stem_width": 8}
    return {"name": "resnet18", "arguments": arguments, "mean": [0.5] * 3, "std": [0.5] * 3}


def make_world(folder: Path, *, train: int = 8, val: int = 4) -> dict[str, Any]:
    """Writes tables and features under `folder`; returns the data part of a stage's JSON."""
    rows = caption_rows({"train": train, "val": val})
    annotations = write_annotations(folder / "toy.parquet", rows)
    index = write_index(folder / "bank", caption_features(rows))
    return {"dataset": "toy", "annotations": str(annotations), "index": str(index), "kind": "features"}


def stage(data: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A stage's JSON; `changes` replace whole keys."""
    recipe = {
        "task": "caption",
        "model": model_sizes(),
        "data": [data | {"split": "train", "share": 1.0, "rows": "all"}],
        "validation": {"data": data | {"split": "val"}, "protocol": {"beam": 1, "max_len": 6}, "at_once": 4},
        "start": [],
        "trainable": ["decoder.*"],
        "optimiser": {"name": "adam", "groups": [{"match": "*", "lr": 0.02, "weight_decay": 0.0}]},
        "length": {"epochs": 3},
        "batch": {"effective": 8, "at_once": 4},
        "resume": {"every_steps": 1},
    }
    return recipe | changes


class Metrics(list):
    """Collects what a stage reports."""

    def __call__(self, name: str, value: float, step: int) -> None:
        self.append((name, value, step))

    def of(self, name: str) -> list[float]:
        return [value for found, value, _ in self if found == name]
