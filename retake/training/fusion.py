"""Fusion of prediction tables. A prediction is joined by item_id, never by position. No torch: it starts quickly."""

from collections import Counter
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from retake.schema import predictions
from retake.schema.fused import Classes, Context


def weighted_mean(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """scores (parts, items, K), weights (parts,): their weighted mean (items, K)."""
    return np.tensordot(weights / weights.sum(), scores, axes=1)


def weighted_sum(scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return np.tensordot(weights, scores, axes=1)


COMBINERS = {"weighted_mean": weighted_mean, "sum": weighted_sum}


def fuse_predictions(
    *, parts: dict[str, float], task: str, combiner: str, out: Path, annotations: Sequence[Path] = ()
) -> None:
    """Join the `scores` of several tables by item, and by box where an item has several: parts is path -> weight.

    combiner     weighted_mean, sum, or "module:function" of a method, called as (scores (parts, items, K),
                 weights)
    annotations  tables of the data set that is asked and of each part's: such a function is then called as
                 (list of scores (items, K of that part), weights, Context), and K may differ

    Raises ValueError if a table lacks an item that another has, or scores other classes where K must be one.
    """
    tables = {path: _by_answer(path, task) for path in parts}
    every = sorted(set().union(*(set(t.index) for t in tables.values())))
    if not every:
        raise ValueError(f"{next(iter(parts))}: has no predictions to fuse")
    for path, table in tables.items():
        if missing := sorted(set(every) - set(table.index)):
            first = [place[0] for place in missing[:3]]
            raise ValueError(f"{path}: {len(missing)} items are missing that another part has, first {first}")
    combine = _combiner(combiner)
    scores = [np.stack(table.loc[every, "scores"].to_list()) for table in tables.values()]
    weights = np.array(list(parts.values()))
    if annotations:
        fused = combine(scores, weights, _context(annotations))
    else:
        for path, part in zip(tables, scores, strict=True):
            if part.shape != scores[0].shape:
                raise ValueError(f"{path}: scores {part.shape[1]} classes; another part {scores[0].shape[1]}")
        fused = combine(np.stack(scores), weights)
    found = {"item_id": [place[0] for place in every], "scores": list(fused)}
    if task == "detect":
        found["box_xyxy"] = [list(place[1]) for place in every]
    out.parent.mkdir(parents=True, exist_ok=True)
    predictions.checked(pd.DataFrame(found), task).to_parquet(out, index=False)


def _by_answer(path: str, task: str) -> pd.DataFrame:
    """The table by (item_id, box, which of the item's equal boxes); where an item has one answer, box is empty."""
    table = pd.read_parquet(path)
    if "scores" not in table:
        raise ValueError(f"{path}: has no scores to fuse")
    boxes = [tuple(map(float, box)) for box in table["box_xyxy"]] if task == "detect" else [()] * len(table)
    keyed = table.assign(box=boxes)
    number = keyed.groupby(["item_id", "box"], sort=False).cumcount()
    return table.set_axis(pd.Index(zip(table["item_id"], boxes, number, strict=True), tupleize_cols=False))


def _combiner(name: str) -> Callable[..., Any]:
    if name in COMBINERS:
        return COMBINERS[name]
    if ":" not in name:
        raise ValueError(f"combiner: expected one of {sorted(COMBINERS)} or module:function, found {name!r}")
    module, function = name.split(":")
    return getattr(import_module(module), function)


def _context(annotations: Sequence[Path]) -> Context:
    asked, *parts = (_classes(path) for path in annotations)
    return Context(asked, parts)


def _classes(path: Path) -> Classes:
    """Raises ValueError on a row of several classes, and on a class of two names."""
    table = pd.read_parquet(path, columns=["split", "ref_id", "labels", "text_out"])
    table = table[table["labels"].notna()]
    names: dict[int, str] = {}
    for place, labels, name in zip(table["ref_id"], table["labels"], table["text_out"], strict=True):
        if len(labels) != 1 or not isinstance(name, str):
            raise ValueError(
                f"{path}: {place}: {[*map(int, labels)]} {name!r}; expected one class and its name"
            )
        if names.setdefault(int(labels[0]), name) != name:
            raise ValueError(
                f"{path}: {place}: class {labels[0]} is {name!r}, before it was {names[int(labels[0])]!r}"
            )
    train = Counter(int(labels[0]) for labels in table.loc[table["split"] == "train", "labels"])
    return Classes(str(path), names, dict(train))
