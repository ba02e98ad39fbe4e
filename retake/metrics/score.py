"""Score one prediction table: the set's values, and a table of what each item adds to them."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from retake.metrics import captioning
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


@dataclass(frozen=True)
class Answers:
    """What there is to score, by item in sorted order.

    predictions  column -> one entry an item        references  item -> its annotation rows
    truth        rows of the mini world's facts, or None    paraphrases  of the data set, for METEOR, or None
    """

    items: list[str]
    predictions: dict[str, list]
    references: dict[str, list[dict]]
    truth: list[dict] | None
    paraphrases: Filtered | None = None

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


FAMILIES: tuple[tuple[Callable[[str], bool], Callable[[Answers, list[str]], Scored]], ...] = (
    (captioning.METRICS.__contains__, _captions),
    (lambda name: name.startswith(FACTS), _facts),
    ((*TOP, *PRECISIONS).__contains__, _classes),
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
    return Answers(items, table, references, None if truth is None else _whole(truth))


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
    metrics file says `items` of `items_of`. provenance holds the other fields of MetricsFile. Metrics
    `facts_<kind>` need truth. `paraphrases` and `words` are from filter_paraphrases.
    Returns metric -> value. Raises ValueError that names file, item or metric:
    unknown metric, item answered twice, item that the split does not have, item without a reference, kind
    without a fact, a result that is no number.
    """
    if not metrics or len(set(metrics)) < len(metrics):
        raise ValueError(f"metrics {metrics}: expected at least one, each once")
    if unknown := [name for name in metrics if not any(knows(name) for knows, _ in FAMILIES)]:
        raise ValueError(f"no metric {unknown[0]!r} is implemented")
    answers = _answers(predictions, annotations, split, truth)
    if paraphrases is not None and words is not None:
        answers = replace(answers, paraphrases=Filtered.read(paraphrases, words))
    values: dict[str, float] = {}
    columns: dict[str, list] = {}
    for knows, family in FAMILIES:
        if asked := [name for name in metrics if knows(name)]:
            more, more_columns = family(answers, asked)
            values |= more
            columns |= more_columns
    if provenance["items_of"] is None:  # the card does not say (own videos): what the split lists
        listed = {row["item_id"] for row in _rows(annotations, ["item_id"], split=split)}
        provenance = {**provenance, "items_of": len(listed)}
    written = MetricsFile(**provenance, items=len(answers.items), values=_finite(values))
    out.write_text(written.text(), encoding="utf-8")
    table = pa.table({"item_id": answers.items} | {name: columns[name] for name in sorted(columns)})
    pq.write_table(table, items_out, compression="zstd")
    return values
