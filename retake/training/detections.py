"""detect_objects: what a detecting network finds in the frames of one shard.

Its weights folder has `from_config(config)`, whose network has `detect(frames (B, 3, H, W) in [0, 1])`: of each frame
{"boxes" (n, 4) in pixels, "scores" (n,), "labels" (n,)} and, where it can, "features" (n, C). Labels are places in the
module's CLASSES, or in "classes" of its config.
"""

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from tqdm import tqdm

from retake.data.array_index import write_failures
from retake.data.detections import Detection, kept, lost, without_area, write_detections
from retake.data.frames import GrowingArray
from retake.training.banks import load_weights
from retake.training.devices import autocast, deterministic
from retake.training.settings import DETECTOR, filled


def classes_of(weights_module: str, config: Path, wanted: list[str]) -> list[str]:
    """Names of the network's classes. Raises ValueError where `wanted` has others, or nobody names any."""
    named = getattr(import_module(weights_module), "CLASSES", None)
    if named is None:
        named = json.loads(Path(config).read_text(encoding="utf-8")).get("classes")
    if not named:
        raise ValueError(f"{config}: classes: missing, and {weights_module} has no CLASSES")
    if unknown := sorted(set(wanted) - set(named)):
        raise ValueError(f"{config}: no class {unknown[0]!r}; it has {', '.join(map(str, named))}")
    return list(named)


@torch.no_grad()
def detect_objects(
    *, weights_module: str, detector: Mapping[str, Any], weights: Path, config: Path, index: Path,
    table_out: Path, features_out: Path, failures_out: Path,
) -> None:  # fmt: skip
    """Write the boxes of one shard's frames, their features where the detector stores them, and what was left out.

    detector  classes, keep, top, features, at_once, precision, dtype
    index     the shard's frame index, with its array beside it; a box's time is its frame's
    Boxes end at the frame's edge; one without area is a row of failures.csv. Raises ValueError that names video and
    time where a box or score is no number, or there are no features although they are to be stored.
    """
    detector = filled("detector", dict(detector), DETECTOR)
    deterministic()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    names = classes_of(weights_module, config, detector["classes"])
    model = load_weights(weights_module, weights, config).to(device)
    places, frames = frames_of(Path(index))
    rows: list[Detection] = []
    failures: list[tuple[str, ...]] = []
    features: GrowingArray | None = None
    for first in tqdm(range(0, len(places), detector["at_once"]), unit="pass"):
        at = places[first : first + detector["at_once"]]
        part = (
            torch.from_numpy(frames[[row for _, _, row in at]]).to(device).permute(0, 3, 1, 2).float() / 255
        )
        with autocast(device, detector["precision"]):
            answers = model.detect(part)
        for (video_id, time_s, _), answer in zip(at, answers, strict=True):
            where = f"{weights}: video {video_id!r} of {index} at {time_s:g} s"
            found = detections_of(answer, names, (video_id, time_s), tuple(part.shape[2:]), where)
            empty = [one for one in found if without_area(one.xyxy)]
            failures += [lost(one, str(index)) for one in empty if one.score >= detector["keep"]]
            best = kept([one for one in found if not without_area(one.xyxy)], detector)
            if detector["features"] and best:
                values = _features(answer, [one.row for one in best], detector["dtype"], where)
                features = features or GrowingArray(features_out, values.shape[1:], values.dtype)
                begin = features.append(values)
                best = [one._replace(row=begin + n) for n, one in enumerate(best)]
            rows += best if detector["features"] else [one._replace(row=None) for one in best]
    if features is None:
        np.save(features_out, np.zeros((0, 0), detector["dtype"]))
    else:
        features.close()
    write_detections(rows, table_out)
    write_failures(sorted(failures), failures_out)


def frames_of(index: Path) -> tuple[list[tuple[str, float, int]], np.ndarray]:
    """((video, time, row of the array) of every frame of a shard, by video and time; the array (rows, H, W, 3))."""
    table = pq.read_table(index)
    arrays = sorted(set(table["array"].to_pylist()))
    if len(arrays) > 1:
        raise ValueError(f"{index}: a shard has one array, found {arrays[:3]}")
    places = [
        (row["video_id"], time_s, row["row"] + n)
        for row in table.select(["video_id", "times_s", "row"]).to_pylist()
        for n, time_s in enumerate(row["times_s"])
    ]
    frames = np.load(index.parent / arrays[0], mmap_mode="r") if arrays else np.zeros((0, 1, 1, 3), np.uint8)
    return sorted(places), frames


def detections_of(
    answer: Mapping[str, Any], names: list[str], at: tuple[str, float], size: tuple[int, ...], where: str
) -> list[Detection]:
    """A frame's boxes in [0, 1], cut at its edge, in the network's order; `row` is the place in that order.

    size  (height, width) in pixels. Raises ValueError that begins with `where`.
    """
    boxes, scores = (answer[name].float().cpu().numpy().astype(np.float64) for name in ("boxes", "scores"))
    labels = answer["labels"].tolist()
    if boxes.shape != (len(scores), 4) or len(labels) != len(scores):
        raise ValueError(f"{where}: {len(scores)} scores, {len(labels)} labels, boxes of shape {boxes.shape}")
    if not (np.isfinite(boxes).all() and ((scores >= 0) & (scores <= 1)).all()):
        raise ValueError(f"{where}: a box is no number, or a score is not in [0, 1]")
    if bad := [label for label in labels if not 0 <= label < len(names)]:
        raise ValueError(f"{where}: label {bad[0]}; the network has {len(names)} classes")
    height, width = size
    inside = (boxes / [width, height, width, height]).clip(0, 1)
    return [
        Detection(*at, tuple(box.tolist()), float(score), names[label], n)
        for n, (box, score, label) in enumerate(zip(inside, scores, labels, strict=True))
    ]


def _features(answer: Mapping[str, Any], rows: list[int | None], dtype: str, where: str) -> np.ndarray:
    """(N, C) of the boxes `rows`. Raises ValueError where there are none, or one is no number in `dtype`."""
    if answer.get("features") is None:
        raise ValueError(f"{where}: the network gives no features, which are to be stored")
    with np.errstate(over="ignore"):  # said below
        values = answer["features"][rows].float().cpu().numpy().astype(dtype)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise ValueError(f"{where}: features of shape {values.shape}, or one that is no number in {dtype}")
    return values
