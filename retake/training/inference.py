"""Predictions: a checkpoint applied to a split.

A prediction is joined by item_id everywhere, never by position.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm

from retake.data.loader import Source, prefetched, to_device
from retake.data.rows import Row, picked
from retake.schema import predictions
from retake.training import checkpoint as checkpoints
from retake.training.devices import autocast, deterministic
from retake.training.settings import PREDICT, SOURCE, filled

LOG = logging.getLogger(__name__)
IDENTITY = ("item_id", "video_id", "start_s", "end_s", "text_in")  # rows that agree in these are asked once


def predict(*, model_module: str, recipe: dict[str, Any], checkpoint: Path, seed: int, out: Path) -> None:
    """Write the prediction table of one split: every item whose video is there, once.

    recipe   task, data (dataset, split, annotations, index, kind), protocol, at_once, precision
    An item that is asked several times (segments, prompts, clips and crops) has its answers joined by the
    protocol's `reduce`. Of task detect an item has a row for each of its boxes; one without any has none and is
    counted in the log.
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
    count = source.ask(recipe["protocol"])
    parts = source.parts(recipe["at_once"])
    parts_of = Counter({item: n * count // len(source.rows) for item, n in _rows_of(source).items()})
    kind = BoxAnswers if recipe["task"] == "detect" else Answers
    answers = kind(recipe["task"], recipe["protocol"].get("reduce"), parts_of)
    with torch.no_grad(), autocast(device, recipe["precision"]):
        for batch in tqdm(
            prefetched(lambda p=p: source.batch(p) for p in parts), total=len(parts), unit="batch"
        ):
            rows = model.predict(to_device(batch, device), recipe["protocol"])
            copies = batch.get("copies") or [1] * len(rows)
            for item, row, times in zip(batch["item_id"], rows, copies, strict=True):
                for _ in range(times):
                    answers.add(item, row)
    out.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(answers, BoxAnswers):
        answers.tell(spec, source.asked_about())
    answers.table().to_parquet(out, index=False)


def _rows_of(source: Source) -> Counter[str]:
    return Counter(row["item_id"] for row in source.rows)


def asked(rows: Sequence[Row]) -> Sequence[Row]:
    """Each distinct question of each item once, in the table's order; references of one item share theirs."""
    first: dict[tuple, int] = {}
    for number, row in enumerate(rows):
        first.setdefault(tuple(row[key] for key in IDENTITY), number)
    return picked(rows, list(first.values()))


def permuted(rows: Sequence[Row]) -> list[Row]:
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


class BoxAnswers(Answers):
    """The rows of a prediction table of boxes, several an item.

    A part of an item answers for the boxes that show in it: a list of {"box_number", "box_xyxy", "scores"}. A box's
    scores are joined over the parts that show it, by the mean where the protocol does not say.
    """

    def __init__(self, task: str, how: str | None, expected: Counter[str]):
        super().__init__(task, how or "mean", expected)
        self.seen: dict[str, list[list[dict[str, Any]]]] = {}
        self.without: list[str] = []  # items of which no part shows a box

    def add(self, item: str, answer: list[dict[str, Any]]) -> None:  # type: ignore[override]
        """One part's answers. Raises ValueError where two parts speak of different boxes by one number."""
        parts = self.seen.setdefault(item, [])
        parts.append(answer)
        if len(parts) < self.expected[item]:
            return
        boxes: dict[int, list[dict[str, Any]]] = {}
        for one in (one for part in self.seen.pop(item) for one in part):
            boxes.setdefault(int(one["box_number"]), []).append(one)
        if not boxes:
            self.without.append(item)
        for number, said in sorted(boxes.items()):
            box, *others = ([float(side) for side in one["box_xyxy"]] for one in said)
            if other := next((other for other in others if other != box), None):
                raise ValueError(f"{item}: box {number} is {box} and {other}")
            scores = torch.tensor([one["scores"] for one in said], dtype=torch.float64)
            row = {"item_id": item, "box_xyxy": box, "scores": JOINED[self.how](scores).tolist()}
            self.rows.append(row)

    def tell(self, spec: dict[str, Any], asked: Counter[str]) -> None:
        """Says whose boxes these are, how many items have none and how many boxes no cut shows.

        asked  item -> the boxes that it was asked about. Raises ValueError where not one item shows a box.
        """
        whose = spec.get("detections") or (spec.get("stored") or {}).get("index") or spec["annotations"]
        if whose == spec["annotations"]:
            LOG.warning("%s: no detector is named; the boxes are those that it labels", whose)
        if self.without:
            first = ", ".join(sorted(self.without)[:5])
            LOG.warning(
                "%d of %d items show no box and have no row; first %s",
                len(self.without),
                len(self.expected),
                first,
            )
        lost = asked - Counter(row["item_id"] for row in self.rows)
        if lost:
            first = ", ".join(sorted(lost)[:5])
            told = (lost.total(), asked.total(), first)
            LOG.warning("%d of %d boxes show in no cut and have no row; first of %s", *told)
        if not self.rows:
            raise ValueError(
                f"{whose}: split {spec['split']!r}: no item shows a box of the score that is asked for"
            )
