"""Score one prediction table: the set's values, and a table of what each item adds to them."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from retake.metrics import captioning, detection
from retake.metrics.classification import (
    hits_in_top,
    mean_average_precision,
    weighted_average_precision,
)
from retake.metrics.facts import fact_hits
from retake.metrics.paraphrases import Filtered
from retake.schema.metrics_file import MetricsFile

LOG = logging.getLogger(__name__)
FACTS = "facts_"
TOP = {"top1": 1, "top5": 5}
PRECISIONS = {"map": mean_average_precision, "wap": weighted_average_precision}
BOX = "box_xyxy"  # a column of predictions that are boxes: an item has as many rows as it has boxes
OF_KIND = {f"ap_{kind}": kind for kind in ("one_frame", "motion", "far5", "far15", "far30")}
CLASS = "class "  # what the truth says of a class is a fact called so, its value the label


@dataclass(frozen=True)
class Answers:
    """What there is to score, by item in sorted order.

    predictions  column -> one entry an item; of boxes, a list that has one of each box
    references   item -> its annotation rows
    truth        rows of the mini world's facts, or None    paraphrases  of the data set, for METEOR, or None
    answered     how many items have a prediction: all, but of boxes
    """

    items: list[str]
    predictions: dict[str, list]
    references: dict[str, list[dict]]
    truth: list[dict] | None
    paraphrases: Filtered | None = None
    answered: int = 0

    def column(self, name: str) -> list:
        if name not in self.predictions:
            raise ValueError(f"predictions have no column {name!r}; they have {sorted(self.predictions)}")
        values = self.predictions[name]
        if None in values:
            raise ValueError(f"prediction of item {self.items[values.index(None)]!r} has no {name}")
        return values


Scored = tuple[dict[str, float], dict[str, list]]  # metric -> value; column -> one entry an item


def _captions(answers: Answers, metrics: list[str]) -> Scored:
    texts = dict(zip(answers.items, answers.column("text"), strict=True))
    references = {
        item: [row["text_out"] for row in rows if row["text_out"] is not None]
        for item, rows in answers.references.items()
    }
    scores = captioning.score_captions(
        references, {"predictions": texts}, tuple(metrics), answers.paraphrases
    )["predictions"]
    return scores.values, scores.items


def _facts(answers: Answers, metrics: list[str]) -> Scored:
    if answers.truth is None:
        raise ValueError(
            f"metrics {metrics} need a release with truth; only those of the mini world have one"
        )
    of_video: dict[str, list[dict]] = {}
    for row in answers.truth:
        of_video.setdefault(row["video_id"], []).append(row)
    texts = dict(zip(answers.items, answers.column("text"), strict=True))
    rows = [
        row | {"video_id": item}
        for item in answers.items
        for row in of_video.get(answers.references[item][0]["video_id"], [])
    ]
    hits = fact_hits(texts, rows)
    values, columns = {}, {}
    for metric in metrics:
        by_item = hits.get(metric.removeprefix(FACTS))
        if not by_item:
            raise ValueError(
                f"{metric}: none of {len(texts)} items has a fact of that kind; have {sorted(hits)}"
            )
        pairs = [list(by_item.get(item, (0, 0))) for item in answers.items]
        mentioned, there = np.sum(pairs, axis=0)
        values[metric] = float(mentioned / there)
        columns[f"{metric}_statistics"] = pairs
    return values, columns


def _classes(answers: Answers, metrics: list[str]) -> Scored:
    """top1, top5: hits an item. map, wap: of the items with a label; they do not decompose over items."""
    widths = {len(row) for row in answers.column("scores")}
    if len(widths) > 1:
        raise ValueError(f"items have different numbers of class scores: {sorted(widths)}")
    scores = np.asarray(answers.column("scores"), dtype=np.float64)
    labels = []
    for item in answers.items:
        found = {label for row in answers.references[item] for label in row["labels"] or ()}
        if bad := [label for label in found if not 0 <= label < scores.shape[1]]:
            raise ValueError(
                f"item {item!r} has label {bad[0]}; there are scores of {scores.shape[1]} classes"
            )
        labels.append(sorted(found))
    values, columns = {}, {}
    for metric in metrics:
        if metric in PRECISIONS:
            values[metric] = PRECISIONS[metric](*_marked(metric, scores, labels))
            continue
        if odd := [item for item, found in zip(answers.items, labels, strict=True) if len(found) != 1]:
            raise ValueError(
                f"{metric} needs one label an item; not so for {len(odd)} items, first {odd[0]!r}"
            )
        hits = hits_in_top(scores, np.asarray(labels)[:, 0], TOP[metric])
        values[metric], columns[metric] = float(hits.mean()), hits.astype(float).tolist()
    return values, columns


def _marked(metric: str, scores: np.ndarray, labels: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """(scores, marks), both (items with a label, classes).

    An item without any label is left out: nobody said what it shows.
    """
    kept = [row for row, classes in enumerate(labels) if classes]
    if not kept:
        raise ValueError(f"{metric}: none of {len(labels)} items has a label")
    if len(kept) < len(labels):
        LOG.warning(
            "%s: %d of %d items have no label, left out", metric, len(labels) - len(kept), len(labels)
        )
    marks = np.zeros((len(kept), scores.shape[1]), dtype=np.int64)
    for row, item in enumerate(kept):
        marks[row, labels[item]] = 1
    return scores[kept], marks


def _boxes(answers: Answers, metrics: list[str]) -> Scored:
    """map, and ap_<kind> over the classes that the truth says are told by evidence of that kind.

    An item of the split without a prediction counts with all its truth as not found. They do not decompose.
    """
    pairs = zip(answers.column(BOX), answers.column("scores"), strict=True)
    told = [(n, box, row) for n, pair in enumerate(pairs) for box, row in zip(*pair, strict=True) if len(box)]
    if not told:
        raise ValueError(f"{metrics[0]}: none of {len(answers.items)} items has a box in the predictions")
    if len(widths := {len(row) for *_, row in told}) > 1:
        raise ValueError(f"boxes have different numbers of class scores: {sorted(widths)}")
    scores = np.asarray([row for *_, row in told], dtype=np.float64)
    if (odd := np.isnan(scores).any(axis=1)).any():
        raise ValueError(
            f"a box of item {answers.items[told[odd.argmax()][0]]!r} has a score that is no number"
        )
    labelled = [
        (n, row[BOX], label)
        for n, item in enumerate(answers.items)
        for row in answers.references[item]
        for label in (row["labels"] if row[BOX] is not None else None) or ()
    ]
    if bad := [(n, label) for n, _, label in labelled if not 0 <= label < scores.shape[1]]:
        item, label = answers.items[bad[0][0]], bad[0][1]
        raise ValueError(f"item {item!r} has label {label}; there are scores of {scores.shape[1]} classes")
    if not labelled:
        raise ValueError(f"{metrics[0]}: none of {len(answers.items)} items has a box with a label")
    mine, truth = (_stacked(answers.items, rows) for rows in (told, labelled))
    of_class = detection.average_precisions(mine, scores, truth, np.array([label for *_, label in labelled]))
    return {name: _mean_of(name, of_class, answers.truth) for name in metrics}, {}


def _stacked(items: list[str], rows: list[tuple[int, list[float], Any]]) -> detection.Boxes:
    """Boxes of (place in items, box, ...). Raises ValueError that names the item of a box without area."""
    for n, box, _ in rows:
        if len(box) != 4 or not (box[0] < box[2] and box[1] < box[3]):
            raise ValueError(
                f"item {items[n]!r}: box {list(box)}; expected left, top, right, bottom, of some area"
            )
    picture = np.array([n for n, *_ in rows], dtype=np.int64)
    return detection.Boxes(picture, np.array([box for _, box, _ in rows], dtype=np.float64))


def _mean_of(metric: str, precisions: np.ndarray, truth: list[dict] | None) -> float:
    """Of all classes that have truth, or of those of the metric's kind."""
    if metric not in OF_KIND:
        return detection.mean_over(precisions)
    if truth is None:
        raise ValueError(f"{metric} needs a release with truth; only those of the mini world have one")
    kind_of = {row["value"]: row["kind"] for row in truth if row["fact"].startswith(CLASS)}
    mine = sorted(int(label) for label, kind in kind_of.items() if kind == OF_KIND[metric])
    if bad := [label for label in mine if label >= len(precisions)]:
        raise ValueError(
            f"{metric}: the truth has label {bad[0]}; there are scores of {len(precisions)} classes"
        )
    if not mine:
        raise ValueError(
            f"{metric}: the truth has no class of that kind; have {sorted(set(kind_of.values()))}"
        )
    try:
        return detection.mean_over(precisions, np.array(mine))
    except ValueError as error:
        raise ValueError(f"{metric}: {error}") from None


FAMILIES: tuple[tuple[Callable[[str], bool], Callable[[Answers, list[str]], Scored]], ...] = (
    (captioning.METRICS.__contains__, _captions),
    (lambda name: name.startswith(FACTS), _facts),
    ((*TOP, *PRECISIONS).__contains__, _classes),
)
OF_BOXES: tuple[tuple[Callable[[str], bool], Callable[[Answers, list[str]], Scored]], ...] = (
    (("map", *OF_KIND).__contains__, _boxes),
)


def _rows(path: Path, columns: list[str], **filters: str) -> list[dict]:
    there = set(pq.read_schema(path).names)
    if missing := [name for name in [*columns, *filters] if name not in there]:
        raise ValueError(f"{path}: no column {missing[0]!r}")
    where = [(name, "==", value) for name, value in filters.items()] or None
    return pq.read_table(path, columns=columns, filters=where).to_pylist()


def _answers(predictions: Path, annotations: Path, split: str, truth: Path | None) -> Answers:
    table = pq.read_table(predictions).to_pydict()
    if "item_id" not in table:
        raise ValueError(f"{predictions}: no column 'item_id'")
    if None in table["item_id"]:
        raise ValueError(f"{predictions}: row {table['item_id'].index(None)} has no item_id")
    order = sorted(range(len(table["item_id"])), key=table["item_id"].__getitem__)
    table = {name: [values[i] for i in order] for name, values in table.items()}
    items = table.pop("item_id")
    if not items:
        raise ValueError(f"{predictions}: no predictions")
    if BOX in table:
        return _boxed(items, table, predictions, annotations, split, truth)
    if twice := [a for a, b in pairwise(items) if a == b]:
        raise ValueError(f"{predictions}: item {twice[0]!r} is answered twice")
    references: dict[str, list[dict]] = {item: [] for item in items}
    columns = ["item_id", "video_id", "text_out", "labels"]
    for row in _rows(annotations, columns, split=split):
        if row["item_id"] in references:
            references[row["item_id"]].append(row)
    if strange := [item for item, rows in references.items() if not rows]:
        where = f"split {split!r} of {annotations}"
        raise ValueError(f"{predictions}: {len(strange)} items are not in {where}, first {strange[0]!r}")
    told = None if truth is None else _whole(truth)
    return Answers(items, table, references, told, answered=len(items))


def _boxed(
    items: list[str],
    table: dict[str, list],
    predictions: Path,
    annotations: Path,
    split: str,
    truth: Path | None,
) -> Answers:
    """Boxes by item, of every item of the split; an item that was seen and has none may have one empty row."""
    references: dict[str, list[dict]] = {}
    for row in sorted(_rows(annotations, ["item_id", BOX, "labels"], split=split), key=itemgetter("item_id")):
        references.setdefault(row["item_id"], []).append(row)
    if strange := [item for item in items if item not in references]:
        where = f"split {split!r} of {annotations}"
        raise ValueError(
            f"{predictions}: {len(strange)} boxes are of no item of {where}, first {strange[0]!r}"
        )
    grouped = {name: {item: [] for item in references} for name in (BOX, "scores")}
    for name, of_item in grouped.items():
        if name not in table:
            raise ValueError(f"{predictions}: no column {name!r}; it has {sorted(table)}")
        for item, value in zip(items, table[name], strict=True):
            if value is None:
                raise ValueError(f"{predictions}: a box of item {item!r} has no {name}")
            of_item[item].append(value)
    if silent := sorted(set(references) - set(items)):
        LOG.warning("%d of %d items have no box, first %s", len(silent), len(references), silent[0])
    columns = {name: list(of_item.values()) for name, of_item in grouped.items()}
    told = None if truth is None else _rows(truth, ["fact", "kind", "value"])
    return Answers(list(references), columns, references, told, answered=len(references) - len(silent))


def _whole(truth: Path) -> list[dict]:
    """What is true of videos as a whole; what is true of a part of one scores no answer."""
    columns = ["video_id", "fact", "kind", "words"]
    timed = [name for name in ("start_s", "end_s") if name in pq.read_schema(truth).names]
    rows = _rows(truth, [*columns, *timed])
    return [row for row in rows if all(row[name] is None for name in timed)]


def _finite(values: dict[str, float]) -> dict[str, float]:
    if bad := [name for name, value in values.items() if not np.isfinite(value)]:
        raise ValueError(f"{bad[0]} is {values[bad[0]]}, no number")
    return values


def score(
    *,
    predictions: Path,
    annotations: Path,
    split: str,
    metrics: list[str],
    truth: Path | None,
    paraphrases: Path | None = None,
    words: Path | None = None,
    provenance: dict,
    out: Path,
    items_out: Path,
) -> dict[str, float]:
    """Score `predictions` by `metrics`; write the metrics file to `out`, what each item adds to `items_out`.

    Items scored are those with a prediction: an item whose video could not be decoded has none, and the
    metrics file says `items` of `items_of`. Of boxes (predictions with box_xyxy) all items of the split are
    scored, one without a box as all of its truth not found, and `items` have one. provenance holds the other
    fields of MetricsFile. Metrics `facts_<kind>` and `ap_<kind>` need truth. `paraphrases` and `words` are from
    filter_paraphrases.
    Returns metric -> value. Raises ValueError that names file, item or metric:
    unknown metric, item answered twice, item that the split does not have, item without a reference, kind
    without a fact, a result that is no number.
    """
    if not metrics or len(set(metrics)) < len(metrics):
        raise ValueError(f"metrics {metrics}: expected at least one, each once")
    every = (*FAMILIES, *OF_BOXES)
    if unknown := [name for name in metrics if not any(knows(name) for knows, _ in every)]:
        raise ValueError(f"no metric {unknown[0]!r} is implemented")
    answers = _answers(predictions, annotations, split, truth)
    families = OF_BOXES if BOX in answers.predictions else FAMILIES
    if other := [name for name in metrics if not any(knows(name) for knows, _ in families)]:
        said = "are boxes" if families is OF_BOXES else "are no boxes"
        raise ValueError(f"{predictions}: the predictions {said}; metric {other[0]!r} does not score such")
    if paraphrases is not None and words is not None:
        answers = replace(answers, paraphrases=Filtered.read(paraphrases, words))
    values: dict[str, float] = {}
    columns: dict[str, list] = {}
    for knows, family in families:
        if asked := [name for name in metrics if knows(name)]:
            more, more_columns = family(answers, asked)
            values |= more
            columns |= more_columns
    if provenance["items_of"] is None:  # the card does not say (own videos): what the split lists
        listed = {row["item_id"] for row in _rows(annotations, ["item_id"], split=split)}
        provenance = {**provenance, "items_of": len(listed)}
    written = MetricsFile(**provenance, items=answers.answered, values=_finite(values))
    out.write_text(written.text(), encoding="utf-8")
    table = pa.table({"item_id": answers.items} | {name: columns[name] for name in sorted(columns)})
    pq.write_table(table, items_out, compression="zstd")
    return values
