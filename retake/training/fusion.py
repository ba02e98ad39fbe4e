"""Fusion of prediction tables. A prediction is joined by item_id, never by position. No torch: it starts quickly."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd

from retake.schema import predictions


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
