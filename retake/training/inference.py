"""Predictions: a checkpoint applied to a split.

A prediction is joined by item_id everywhere, never by position.
"""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

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
    An item that is asked several times (segments, prompts, clips and crops) has its answers joined by the
    protocol's `reduce`.
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
    at_once, count = recipe["at_once"], source.ask(recipe["protocol"])
    parts = [range(i, min(i + at_once, count)) for i in range(0, count, at_once)]
    parts_of = Counter({item: n * count // len(source.rows) for item, n in _rows_of(source).items()})
    answers = Answers(recipe["task"], recipe["protocol"].get("reduce"), parts_of)
    with torch.no_grad(), autocast(device, recipe["precision"]):
        for batch in tqdm(
            prefetched(lambda p=p: source.batch(p) for p in parts), total=len(parts), unit="batch"
        ):
            rows = model.predict(to_device(batch, device), recipe["protocol"])
            for item, row in zip(batch["item_id"], rows, strict=True):
                answers.add(item, row)
    out.parent.mkdir(parents=True, exist_ok=True)
    answers.table().to_parquet(out, index=False)


def _rows_of(source: Source) -> Counter[str]:
    return Counter(row["item_id"] for row in source.rows)


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


JOINED = {  # scores (rows, K) -> (K,)
    "mean": lambda s: s.mean(dim=0),
    "max": lambda s: s.max(dim=0).values,
    "lse": lambda s: s.logsumexp(dim=0),
    "prob_mean": lambda s: s.softmax(dim=1).mean(dim=0),
}


class Answers:
    """The rows of a prediction table, one an item, as the model gives them.

    how       mean, max, lse (log-sum-exp) or prob_mean (mean of softmaxes) of the `scores` of an item's parts
    expected  item -> its parts; an item is joined once all are there, so that no more than it is kept
    """

    def __init__(self, task: str, how: str | None, expected: Counter[str]):
        self.task, self.how, self.expected = task, how, expected
        self.rows: list[dict[str, Any]] = []
        self.parts: dict[str, list[list[float]]] = {}
        if how is not None and how not in JOINED:
            raise ValueError(f"reduce: expected one of {sorted(JOINED)}, found {how!r}")

    def add(self, item: str, answer: dict[str, Any]) -> None:
        """One part's answer. Raises ValueError where parts cannot be joined."""
        if self.how is None or self.expected[item] == 1:
            self.rows.append({"item_id": item, **answer})
            return
        if "scores" not in answer:
            raise ValueError(f"reduce: task {self.task!r} has no scores to join")
        parts = self.parts.setdefault(item, [])
        parts.append(answer["scores"])
        if len(parts) == self.expected[item]:
            scores = torch.tensor(self.parts.pop(item), dtype=torch.float64)  # (rows, K)
            self.rows.append({"item_id": item, "scores": JOINED[self.how](scores).tolist()})

    def table(self) -> pd.DataFrame:
        return predictions.checked(pd.DataFrame(self.rows), self.task)
