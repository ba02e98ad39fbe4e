"""A training scored as a prediction is: a metrics file of its record, and of its weights before and after."""

import hashlib
import math
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from retake.metrics.curves import MAY_BE_EMPTY, OF_RECORD
from retake.schema.metrics_file import MetricsFile
from retake.schema.provenance import trained_as
from retake.schema.record import Record
from retake.training.checkpoint import read_tensors

HOOK = "training_metrics"


def score_training(
    *,
    model_module: str,
    recipe: dict[str, Any],
    record: Path,
    checkpoint: Path,
    out: Path,
    items_out: Path,
) -> dict[str, float]:
    """Score one stage; write the metrics file to `out`, and to `items_out` a table without a row: it has no items.

    recipe  metrics; start, as the stage has it; identity, the rest of MetricsFile
    What the record does not tell comes from the model's module: training_metrics(before, after), tensors by name,
    `before` those that the stage's starts gave it, None where it started from nothing.
    Raises ValueError that names the file: a training without an end, a curve without a point, a metric that
    nobody gives, a value that is no number.
    """
    told = Record.read(record)
    if told.end is None or told.end["status"] != "finished":
        raise ValueError(f"{record}: the training did not end")
    values: dict[str, float] = {}
    for metric in (m for m in recipe["metrics"] if m in OF_RECORD):
        name, how = OF_RECORD[metric]
        curve = told.curve(name)
        if not curve and metric not in MAY_BE_EMPTY:
            raise ValueError(f"{record}: {metric}: no point of {name}")
        try:
            values[metric] = how(curve)
        except ValueError as error:
            raise ValueError(f"{record}: {metric}: {error}") from None
    if rest := [metric for metric in recipe["metrics"] if metric not in OF_RECORD]:
        values |= _of_weights(model_module, rest, recipe["start"], checkpoint)
    if bad := [name for name, value in values.items() if not math.isfinite(value)]:
        raise ValueError(f"{record}: {bad[0]} is {values[bad[0]]}, no number")
    with checkpoint.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    provenance = trained_as(recipe["identity"], record, digest)
    out.write_text(MetricsFile(**provenance, items=None, values=values).text(), encoding="utf-8")
    pq.write_table(pa.table({"item_id": pa.array([], pa.string())}), items_out, compression="zstd")
    return values


def _of_weights(
    model_module: str, metrics: list[str], starts: list[dict[str, Any]], checkpoint: Path
) -> dict[str, float]:
    module = import_module(model_module)
    if not hasattr(module, HOOK):
        raise ValueError(f"{model_module}: {metrics[0]}: it has no {HOOK}(before, after)")
    found = getattr(module, HOOK)(started_from(starts) if starts else None, read_tensors(checkpoint)[0])
    if missing := [metric for metric in metrics if metric not in found]:
        raise ValueError(f"{model_module}: {HOOK} gives {sorted(found)}, no {missing[0]} of {checkpoint}")
    return {metric: float(found[metric]) for metric in metrics}


def started_from(starts: list[dict[str, Any]]) -> dict[str, Tensor]:
    """The tensors that a stage's starts give its model, by the model's names."""
    found: dict[str, Tensor] = {}
    for start in starts:
        tensors = read_tensors(Path(start["checkpoint"]))[0]
        kept = {n: t for n, t in tensors.items() if not any(fnmatchcase(n, p) for p in start["leave_out"])}
        found |= {start["into"] + name: tensor for name, tensor in kept.items()}
    return found
