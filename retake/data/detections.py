"""Detections: boxes of every second of a video, as a network found them or as a data set brings them.

A row is a box: video_id, time_s, box_xyxy (left, top, right, bottom in [0, 1] of the frame), score in [0, 1], label (a
class's name), and where features were stored, array and row: where they lie. Rows are sorted by video and time, the
best scored first.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from retake.data.array_index import read_failures, write_failures
from retake.data.boxes import checked
from retake.data.release import CARDS
from retake.schema.card import read_card
from retake.schema.manifest import Manifest

LOG = logging.getLogger(__name__)
SCHEMA = pa.schema(
    [
        pa.field("video_id", pa.string(), nullable=False),
        pa.field("time_s", pa.float64(), nullable=False),
        pa.field("box_xyxy", pa.list_(pa.float64()), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        ("label", pa.string()),
        ("array", pa.string()),  # named relative to the table's folder; null: no features
        ("row", pa.int64()),
    ]
)
FEATURES = "features.npy"  # beside a shard's table
NEAR_S = 1e-6
ORDER = [("video_id", "ascending"), ("time_s", "ascending"), ("score", "descending")]


class Detection(NamedTuple):
    """One box. xyxy: in [0, 1] of the frame."""

    video_id: str
    time_s: float
    xyxy: tuple[float, ...]
    score: float
    label: str | None
    row: int | None = None  # of the features beside the table


def without_area(xyxy: Sequence[float]) -> bool:
    """Whether a box is none: as wide or as high as nothing."""
    return xyxy[2] <= xyxy[0] or xyxy[3] <= xyxy[1]


def lost(found: Detection, path: str) -> tuple[str, str, str]:
    """The row of failures.csv of a box without area."""
    box = ", ".join(f"{value:g}" for value in found.xyxy)
    return found.video_id, path, f"box [{box}] at {found.time_s:g} s has no area"


def write_detections(rows: Iterable[Detection], out: Path) -> None:
    """A shard's table, sorted; of equal scores in the order given."""
    rows = list(rows)
    columns = [
        [one.video_id for one in rows],
        [one.time_s for one in rows],
        [list(one.xyxy) for one in rows],
        [one.score for one in rows],
        [one.label for one in rows],
        [None if one.row is None else FEATURES for one in rows],
        [one.row for one in rows],
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA).sort_by(ORDER), out)


def kept(rows: Iterable[Detection], detector: Mapping[str, Any]) -> list[Detection]:
    """Those of a detector's classes, scored high enough; of a frame the `top` best, of two as good the first."""
    rows = [
        one
        for one in rows
        if one.score >= detector["keep"] and (not detector["classes"] or one.label in detector["classes"])
    ]
    if detector["top"] is None:
        return rows
    seen: dict[tuple[str, float], int] = {}
    best = []
    for one in sorted(rows, key=lambda row: (row.video_id, row.time_s, -row.score)):
        seen[one.video_id, one.time_s] = nth = seen.get((one.video_id, one.time_s), 0) + 1
        best += [one] if nth <= detector["top"] else []
    return best


def read_detections(
    *, detector: Mapping[str, Any], root: Path, manifest: Path, table_out: Path, features_out: Path,
    failures_out: Path,
) -> None:  # fmt: skip
    """Write the boxes that a data set's release brings of one shard's videos.

    detector  dataset (its parse.py has `detections(root, card)`), classes, keep, top
    A box without area is a row of failures.csv. Raises ValueError that names the row of what parse gives on a time or
    a score that is none and on a box outside the frame, and where no parser reads boxes.
    """
    dataset = detector["dataset"]
    card = read_card(CARDS / dataset / "card.yaml")
    parser = import_module(f"retake.data.datasets.{dataset}.parse")
    if not hasattr(parser, "detections"):
        raise ValueError(f"{parser.__name__}: reads no detections; expected detections(root, card)")
    mine = {file.video_id for file in Manifest.read(manifest).files if file.video_id is not None}
    table = parser.detections(Path(root), card)
    columns = [table[name].tolist() for name in ("video_id", "time_s", "box_xyxy", "score", "label")]
    rows, failures, others = [], [], 0
    for number, (video_id, time_s, box, score, label) in enumerate(zip(*columns, strict=True)):
        if video_id not in mine:
            others += 1
            continue
        where = f"{root}: detections of {dataset}: row {number}: video {video_id!r}"
        if not (np.isfinite(time_s) and time_s >= 0 and 0 <= score <= 1):
            raise ValueError(f"{where}: time {time_s}, score {score}; expected seconds, and 0 to 1")
        xyxy = tuple(checked([box], where, some_area=False)[0].tolist())
        one = Detection(video_id, float(time_s), xyxy, float(score), label)
        if without_area(xyxy):
            failures.append(lost(one, str(root)))
        else:
            rows.append(one)
    LOG.info("%s: %d boxes of this shard, %d of other videos", dataset, len(rows), others)
    write_detections(kept(rows, detector), table_out)
    np.save(features_out, np.zeros((0, 0), np.float16))
    write_failures(sorted(failures), failures_out)


def index_detections(
    *, tables: Sequence[Path], failures: Sequence[Path], table_out: Path, failures_out: Path
) -> None:
    """Join the shards of a detector; features keep lying beside their shard. Raises ValueError on a video of two."""
    parts, of = [], {}
    for path in sorted(map(Path, tables)):
        table = read_table(path)
        for video_id in table["video_id"].unique().to_pylist():
            if of.setdefault(video_id, path) != path:
                raise ValueError(f"{path}: video {video_id} is in another shard, too: {of[video_id]}")
        names = [
            None if name is None else f"{path.parent.name}/{name}" for name in table["array"].to_pylist()
        ]
        at = table.schema.get_field_index("array")
        parts.append(table.set_column(at, SCHEMA.field("array"), pa.array(names, pa.string())))
    pq.write_table(
        pa.concat_tables([SCHEMA.empty_table(), *parts]).sort_by(ORDER).combine_chunks(), table_out
    )
    write_failures(sorted(row for path in failures for row in read_failures(Path(path))), failures_out)


def read_table(path: Path) -> pa.Table:
    """A table of detections. Raises ValueError where the file has other columns."""
    with pq.ParquetFile(path) as file:  # pq.read_table would import pandas
        table = file.read()
    if absent := [name for name in SCHEMA.names if name not in table.column_names]:
        raise ValueError(f"{path}: no column {absent[0]}; expected {', '.join(SCHEMA.names)}")
    return table.select(SCHEMA.names).cast(SCHEMA)


class Found(NamedTuple):
    """The boxes of one step of a video, the best scored first: (N, 4), where features lie, their rows (N,), and scores."""

    xyxy: np.ndarray
    rows: np.ndarray
    scores: np.ndarray


def by_step(
    path: Path, ends_s: Mapping[str, float], *, every_s: float, min_score: float, top: int | None
) -> dict[tuple[str, int], Found]:
    """(video, step) -> its boxes of at least `min_score`, at most the `top` best. Step n is at n * every_s.

    ends_s  of each video that is asked about; others are left out
    Detections between two steps are not looked at. Raises ValueError that names file and row on a time beyond the
    video's end, a score that is none, and where none lies at a step although there are some.
    """
    table = read_table(path)
    videos, times, scores = (table[name].to_pylist() for name in ("video_id", "time_s", "score"))
    boxes, rows = table["box_xyxy"].to_pylist(), table["row"].to_pylist()
    found: dict[tuple[str, int], list[tuple[float, int]]] = {}
    asked = 0
    for number, (video_id, time_s, score) in enumerate(zip(videos, times, scores, strict=True)):
        if video_id not in ends_s:
            continue
        if not 0 <= score <= 1:
            raise ValueError(f"{path}: row {number}: score {score}; expected 0 to 1")
        if not 0 <= time_s < ends_s[video_id] + every_s:
            raise ValueError(
                f"{path}: row {number}: {time_s:g} s, and video {video_id!r} ends at {ends_s[video_id]:.3f} s"
            )
        asked += 1
        step = round(time_s / every_s)
        if abs(time_s - step * every_s) <= NEAR_S:
            found.setdefault((video_id, step), []).append((-score, number))
    if asked and not found:
        raise ValueError(f"{path}: none of {asked} boxes is at a multiple of {every_s:g} s")
    picked: dict[tuple[str, int], Found] = {}
    for place, pairs in found.items():
        best = [number for score, number in sorted(pairs) if -score >= min_score][:top]
        if best:
            xyxy = checked(
                [boxes[n] for n in best], f"{path}: video {place[0]!r} at {place[1] * every_s:g} s"
            )
            own = np.array([-1 if rows[n] is None else rows[n] for n in best], np.int64)
            picked[place] = Found(xyxy, own, np.array([scores[n] for n in best], np.float64))
    return picked
