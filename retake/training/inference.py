"""Predictions: a checkpoint applied to a split, and the fusion of prediction tables.

A prediction is joined by item_id everywhere, never by position.
"""

import hashlib
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from retake.data.loader import Source, prefetched, to_device
from retake.schema import predictions
from retake.training import checkpoint as checkpoints
from retake.training.devices import autocast, deterministic
from retake.training.settings import PREDICT, SOURCE, filled

IDENTITY = ("item_id", "video_id", "start_s", "end_s", "text_in")  # rows that agree in these are asked once


def predict(*, model_module: str, recipe: dict[str, Any], checkpoint: Path, seed: int, out: Path) -> None:
    """Write the prediction table of one split: every item whose video is there, once.

    recipe   task, data (dataset, split, annotations, index, kind), protocol, at_once, precision
    An item that is asked several times (segments, prompts) has its answers joined by the protocol's `reduce`.
    """
    recipe = filled("predict", recipe, PREDICT)
    spec = filled("predict: data", recipe["data"], SOURCE)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    deterministic()
    torch.manual_seed(seed % 2**63)
    model = checkpoints.load(model_module, checkpoint).to(device)
    header = checkpoints.read_header(checkpoint)
    source = Source(spec, num_classes=header["sizes"].get("num_classes"))
    source.rows = asked(source.rows)
    if recipe["protocol"].get("permute"):
        source.rows = permuted(source.rows)
    at_once = recipe["at_once"]
    parts = [range(i, min(i + at_once, len(source.rows))) for i in range(0, len(source.rows), at_once)]
    answers = []
    with torch.no_grad(), autocast(device, recipe["precision"]):
        for batch in tqdm(
            prefetched(lambda p=p: source.batch(p) for p in parts), total=len(parts), unit="batch"
        ):
            rows = model.predict(to_device(batch, device), recipe["protocol"])
            answers += [{"item_id": i, **row} for i, row in zip(batch["item_id"], rows, strict=True)]
    table = reduced(pd.DataFrame(answers), recipe["task"], recipe["protocol"].get("reduce"))
    out.parent.mkdir(parents=True, exist_ok=True)
    predictions.checked(table, recipe["task"]).to_parquet(out, index=False)


def asked(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each distinct question of each item once, in the table's order; references of one item share theirs."""
    first: dict[tuple, dict[str, Any]] = {}
    for row in rows:
        first.setdefault(tuple(row[key] for key in IDENTITY), row)
    return list(first.values())


def permuted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blind control: every item sees another video, the same one whatever the seed; no video stays.

    Videos are put in the order of their names' digests, and each takes the place of the one before. Raises
    ValueError if there is one video only, or a row that is a part of its video: its times would not fit
    another.
    """
    videos = sorted({row["video_id"] for row in rows}, key=lambda v: hashlib.sha256(v.encode()).hexdigest())
    if len(videos) < 2:
        raise ValueError("permute: one video cannot take another's place")
    if part := next((r for r in rows if r["start_s"] or r["end_s"] is not None), None):
        raise ValueError(
            f"permute: item {part['item_id']!r} is a part of its video; only whole videos are moved"
        )
    instead = dict(zip(videos, videos[1:] + videos[:1], strict=True))
    return [row | {"video_id": instead[row["video_id"]]} for row in rows]


def reduced(table: pd.DataFrame, task: str, how: str | None) -> pd.DataFrame:
    """One row an item: `scores` of its rows joined by mean, max, lse (log-sum-exp) or prob_mean (mean of
    softmaxes).
    """
    if how is None or not table["item_id"].duplicated().any():
        return table
    if "scores" not in table:
        raise ValueError(f"reduce: task {task!r} has no scores to join")
    rows = []
    for item, group in table.groupby("item_id", sort=True):
        scores = torch.tensor(np.stack(group["scores"].to_list()), dtype=torch.float64)  # (rows, K)
        joined = {
            "mean": lambda s: s.mean(dim=0),
            "max": lambda s: s.max(dim=0).values,
            "lse": lambda s: s.logsumexp(dim=0),
            "prob_mean": lambda s: s.softmax(dim=1).mean(dim=0),
        }
        if how not in joined:
            raise ValueError(f"reduce: expected one of {sorted(joined)}, found {how!r}")
        rows.append({"item_id": item, "scores": joined[how](scores).tolist()})
    return pd.DataFrame(rows)


def weighted_mean(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """scores (parts, items, K), weights (parts,): their weighted mean (items, K)."""
    return np.tensordot(weights / weights.sum(), scores, axes=1)


def weighted_sum(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.tensordot(weights, scores, axes=1)


COMBINERS = {"weighted_mean": weighted_mean, "sum": weighted_sum}


def fuse_predictions(*, parts: dict[str, float], task: str, combiner: str, out: Path) -> None:
    """Join the `scores` of several tables by item: parts is path -> weight.

    combiner  weighted_mean, sum, or "module:function" of a method, called as (scores (parts, items, K),
    weights). Raises ValueError if a table lacks an item that another has.
    """
    tables = {path: pd.read_parquet(path).set_index("item_id") for path in parts}
    every = sorted(set().union(*(set(t.index) for t in tables.values())))
    for path, table in tables.items():
        if "scores" not in table:
            raise ValueError(f"{path}: has no scores to fuse")
        if missing := sorted(set(every) - set(table.index)):
            raise ValueError(
                f"{path}: {len(missing)} items are missing that another part has, first {missing[:3]}"
            )
    if combiner not in COMBINERS and ":" not in combiner:
        raise ValueError(
            f"combiner: expected one of {sorted(COMBINERS)} or module:function, found {combiner!r}"
        )
    if combiner in COMBINERS:
        combine = COMBINERS[combiner]
    else:
        module, name = combiner.split(":")
        combine = getattr(import_module(module), name)
    scores = np.stack([np.stack(table.loc[every, "scores"].to_list()) for table in tables.values()])
    fused = combine(scores, np.array(list(parts.values())))
    table = pd.DataFrame({"item_id": every, "scores": list(fused)})
    out.parent.mkdir(parents=True, exist_ok=True)
    predictions.checked(table, task).to_parquet(out, index=False)
