"""Average precision of each class, read from predicted and labelled boxes on disk."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from retake.metrics.detection import Boxes, average_precisions
from retake.schema.classes import class_names


class Truth(NamedTuple):
    """Labelled boxes of one split: a row a class of a box, and which items the split has."""

    path: Path
    split: str
    items: dict[str, int]  # item_id -> its number
    boxes: Boxes
    labels: np.ndarray  # (M,)
    rows: list[dict]  # those that say what classes are called

    def counts(self, num_classes: int) -> np.ndarray:
        """(K,) how many labelled boxes each class has. Raises ValueError on a label that there is no class for."""
        if len(self.labels) and (most := int(self.labels.max())) >= num_classes:
            row = int(self.labels.argmax())
            item = next(name for name, n in self.items.items() if n == self.boxes.picture[row])
            raise ValueError(f"{self.path}: item {item!r} has label {most}; there are {num_classes} classes")
        return np.bincount(self.labels, minlength=num_classes)

    def names(self, num_classes: int) -> list[str]:
        """What each class is called; one that no row names is called its number."""
        return class_names(self.rows, num_classes)


def _box_rows(column: pa.ChunkedArray, where: str) -> np.ndarray:
    """(N, 4) of a column of lists of four numbers. Raises ValueError that begins with `where` and names the row."""
    lists = column.combine_chunks()
    lengths = lists.value_lengths().to_numpy(zero_copy_only=False)
    if (odd := lengths != 4).any():
        raise ValueError(f"{where}: row {int(odd.argmax())}: box_xyxy: expected four numbers")
    return lists.flatten().to_numpy(zero_copy_only=False).astype(np.float64).reshape(-1, 4)


def read_truth(annotations: Path, split: str) -> Truth:
    """The labelled boxes of a split. Raises ValueError where it has no item, or no box with a label."""
    table = pq.read_table(
        annotations, columns=["split", "item_id", "ref_id", "box_xyxy", "labels", "text_out"]
    )
    table = table.filter(pc.equal(table["split"], split))
    items = {name: n for n, name in enumerate(sorted(set(table["item_id"].to_pylist())))}
    named = table.filter(pc.is_valid(table["text_out"])).select(["labels", "text_out"]).to_pylist()
    boxed = table.filter(pc.and_(pc.is_valid(table["box_xyxy"]), pc.is_valid(table["labels"])))
    lists = boxed["labels"].to_pylist()
    if not any(lists):
        raise ValueError(f"{annotations}: split {split!r} has no box with a label")
    times = np.array([len(labels) for labels in lists])
    picture = np.array([items[item] for item in boxed["item_id"].to_pylist()])
    boxes = _box_rows(boxed["box_xyxy"], f"{annotations}: split {split!r}")
    labels = np.array([label for row in lists for label in row], dtype=np.int64)
    return Truth(
        Path(annotations), split, items, Boxes(picture.repeat(times), boxes.repeat(times, axis=0)), labels, named
    )  # fmt: skip


def read_precisions(predictions: Path, truth: Truth) -> np.ndarray:
    """(K,) the average precision of each class, in [0, 1]; NaN for one without truth.

    An item of the split without a prediction counts with all its truth as not found. Raises ValueError that names the
    file: an item that the split does not have, rows with different numbers of scores, no box at all.
    """
    table = pq.read_table(predictions, columns=["item_id", "box_xyxy", "scores"])
    lengths = pc.list_value_length(table["box_xyxy"])
    table = table.filter(pc.greater(pc.coalesce(lengths, 0), 0))  # of an item seen without a box
    if not table.num_rows:
        raise ValueError(f"{predictions}: no box")
    names = table["item_id"].to_pylist()
    if strange := [name for name in names if name not in truth.items]:
        raise ValueError(
            f"{predictions}: item {strange[0]!r} is not in split {truth.split!r} of {truth.path}"
        )
    lists = table["scores"].combine_chunks()
    widths = set(pc.list_value_length(lists).to_pylist())
    if len(widths) > 1 or None in widths:
        raise ValueError(f"{predictions}: rows have different numbers of scores: {sorted(map(str, widths))}")
    scores = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float64).reshape(len(names), -1)
    truth.counts(scores.shape[1])
    answers = Boxes(
        np.array([truth.items[name] for name in names]), _box_rows(table["box_xyxy"], str(predictions))
    )
    try:
        return average_precisions(answers, scores, truth.boxes, truth.labels)
    except ValueError as error:
        raise ValueError(f"{predictions}: {error}") from None
