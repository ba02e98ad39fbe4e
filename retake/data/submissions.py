"""Answers about a split whose labels a server alone has, in the form that it reads. Nothing is scored here.

A data set's submission.py, or its release's, has `text(asked) -> str`, the whole file.
"""

import importlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from retake.data.release import CARDS
from retake.schema.card import read_card

LOG = logging.getLogger(__name__)
COLUMNS = ["item_id", "split", "video_id", "start_s", "labels"]


class Answered(NamedTuple):
    """One data set's part: its predictions, and its annotation table with labels as far as they are published."""

    path: Path  # of the predictions, for errors
    predictions: pd.DataFrame  # item_id, scores, of boxes box_xyxy
    annotations: pd.DataFrame  # COLUMNS, of all splits


class Asked(NamedTuple):
    """What is written: of the data set that was asked, and of the readings whose answers it was fused of."""

    dataset: str
    split: str
    root: Path  # of the release
    of: dict[str, Answered]  # data set -> its part

    @property
    def items(self) -> dict[str, dict[str, Any]]:
        """item_id -> the first row of each item of the split, in the table's order."""
        rows = self.of[self.dataset].annotations
        found: dict[str, dict[str, Any]] = {}
        for row in rows[rows["split"] == self.split].to_dict("records"):
            found.setdefault(str(row["item_id"]), row)
        return found

    def scores(self, dataset: str) -> dict[str, list[float]]:
        """item_id -> scores, of a data set that has one answer an item."""
        table = self.of[dataset].predictions
        return {
            str(item): [float(s) for s in scores]
            for item, scores in zip(table["item_id"], table["scores"], strict=True)
        }

    def answers(self) -> Iterator[tuple[dict[str, Any], Any]]:
        """(the item's row, its answer) of each prediction of the data set that was asked, in the predictions' order."""
        items = self.items
        for answer in self.of[self.dataset].predictions.itertuples():
            yield items[answer.item_id], answer


def write_submission(
    *, dataset: str, split: str, root: Path, predictions: Mapping[str, Path], annotations: Mapping[str, Path], out: Path
) -> None:  # fmt: skip
    """Write the file. predictions, annotations: data set -> its table, the asked one's and those it was fused of.

    Items without an answer are counted in the log. Raises ValueError that names the table on an item that is not of the
    split, or that another part has and this one does not.
    """
    own = (CARDS / dataset / "submission.py").is_file()
    place = dataset if own else read_card(CARDS / dataset / "card.yaml").release
    writer = importlib.import_module(f"retake.data.datasets.{place}.submission")
    of = {
        name: Answered(Path(path), pd.read_parquet(path), pd.read_parquet(annotations[name], columns=COLUMNS))
        for name, path in predictions.items()
    }
    asked = Asked(dataset, split, Path(root), of)
    items, told = asked.items, set(of[dataset].predictions["item_id"])
    for part in of.values():
        have = set(part.predictions["item_id"])
        if strange := sorted(have - items.keys()):
            raise ValueError(f"{part.path}: item {strange[0]!r} is not of split {split!r} of {dataset}")
        if missing := sorted(told - have):
            raise ValueError(f"{part.path}: no item {missing[0]!r}, which {of[dataset].path} has")
    if silent := sorted(items.keys() - told):
        LOG.warning(
            "%s %s: %d of %d items have no answer; first %s",
            dataset, split, len(silent), len(items), ", ".join(silent[:5]),
        )  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(writer.text(asked), encoding="utf-8")
