"""extract_rows: features of the boxes, the clip or the objects of every second of one shard's videos.

A producer (a method's model from its checkpoint, or a foundation) has `bank_rows(batch, grid)`: (N, C) of the batch's
boxes where grid is "detections", (B, C) of its clips where it is "global", (B, S, C) of their steps of time where it
is "steps", (B, G * G, C) of their cells where it is G.
Letters  B clips, N boxes of all of them, C width, R rows of a second.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow.parquet as pq
import torch
from tqdm import tqdm

from retake.data.array_index import Arrays, table_of
from retake.data.boxes import Boxes, moment
from retake.data.chunks import CLOSE_S, length_s
from retake.data.clips import Clips
from retake.data.detections import FEATURES, Found, by_step
from retake.data.frames import GrowingArray
from retake.data.loader import prefetched, to_device
from retake.data.row_index import EVERY_S, MADE_OF, sha256_of
from retake.data.sampled import Pictures
from retake.data.views import by_clock
from retake.training import checkpoint as checkpoints
from retake.training.banks import load_weights
from retake.training.devices import autocast, deterministic
from retake.training.settings import ROWS, filled

Place = tuple[str, int]  # a video, and the number of one of its steps
Part = tuple[
    Place, np.ndarray, np.ndarray
]  # with its rows (R, C), and the boxes that they are of, see `boxes_of`
NO_ROWS, NO_BOXES = np.zeros((0, 0), np.float32), np.zeros((0, 5))


def extract_rows(
    *, recipe: dict[str, Any], index: Path, array_out: Path, boxes_out: Path, index_out: Path,
    checkpoint: Path | None = None, config: Path | None = None, detections: Path | None = None,
    annotations: Path | None = None,
) -> None:  # fmt: skip
    """Write one shard of a bank: rows (N, C) by video and second, and an index row for every second, also of none.

    Beside them lie the boxes that rows are of: (N, 5) xyxy in [0, 1] of the whole frame and the detector's score, row
    by row; of clips no row.

    recipe      bank (rows, every_s, part, min_score, top, grid, at_once, precision, dtype); of boxes and clips the
                producer's module, and data (kind, signal, sample), by which its clips are cut; of other videos'
                bank also checkpoint, the path of one that is there
    index       the shard's index of the view that shows the videos, with its arrays beside it
    checkpoint  of the producer; with config, a foundation's
    detections  the shard's boxes; of rows: objects with their features beside them
    A second's rows are those of its boxes, the best scored first, as far as the cut shows them. Raises ValueError that
    names file and row on detections beyond a video's end, FloatingPointError on a feature that is no number.
    """
    bank = filled("bank", recipe["bank"], ROWS)
    deterministic()
    arrays, every_s = Arrays(index), bank["every_s"]
    checkpoint = recipe.get("checkpoint") or checkpoint
    ends_s = {video_id: length_s(arrays.times_s(video_id)) for video_id in sorted(arrays)}
    found: dict[Place, Found] = {}
    if detections is not None:
        asked = {"min_score": bank["min_score"], "top": bank["top"]}
        found = by_step(Path(detections), ends_s, every_s=every_s, **asked)
    places = steps_of_videos(arrays, every_s, annotations, found)
    if bank["rows"] == "objects":
        parts = objects(places, found, Path(detections or ""))
    else:
        producer = _producer(recipe["module"], checkpoint, config)
        cutter = cutter_of(recipe["data"], Path(index))
        shown = places if bank["rows"] == "clips" else [place for place in places if place in found]
        parts = in_order(places, answers(producer, cutter, shown, found, bank))
    where = f"{checkpoint or detections}: bank of {index}"
    made_of = {"checkpoint": checkpoint, "detections": detections, "media": index}
    said = {name: sha256_of(Path(path)) for name, path in made_of.items() if path is not None}
    rows = write_rows(parts, array_out, boxes_out, bank, where)
    table = table_of(rows).replace_schema_metadata(
        {MADE_OF: json.dumps(said, sort_keys=True), EVERY_S: repr(float(every_s))}
    )
    index_out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, index_out)


def steps_of_videos(
    arrays: Arrays, every_s: float, annotations: Path | None, found: Iterable[Place]
) -> list[Place]:
    """Every step of every video, in order: those that begin before its end, and those that a detector saw.

    annotations  a table: of each of its videos only the steps from its first row to the end of its last are taken
    """
    last: dict[str, int] = {}
    for video_id, step in found:
        last[video_id] = max(last.get(video_id, 0), step)
    spans = None if annotations is None else spans_of(annotations)
    places = []
    for video_id in sorted(arrays):
        count = max(len(by_clock(arrays.times_s(video_id), every_s)[1]), last.get(video_id, -1) + 1)
        steps = range(count)
        if spans is not None:
            begin_s, end_s = spans.get(video_id, (0.0, 0.0))
            end = count if end_s is None else int(np.ceil((end_s - CLOSE_S) / every_s))
            steps = range(int((begin_s + CLOSE_S) / every_s), min(count, end))
        places += [(video_id, step) for step in steps]
    return places


def spans_of(annotations: Path) -> dict[str, tuple[float, float | None]]:
    """video_id -> when its first row begins and its last one ends; None: the end of the video."""
    table = pq.read_table(annotations, columns=["video_id", "start_s", "end_s"])
    found: dict[str, tuple[float, float | None]] = {}
    for row in table.to_pylist():
        begin_s, end_s = row["start_s"] or 0.0, row["end_s"]
        first, last = found.get(row["video_id"], (begin_s, end_s))
        last = None if last is None or end_s is None else max(last, end_s)
        found[row["video_id"]] = (min(first, begin_s), last)
    return found


# --- clips of seconds --------------------------------------------------------------------------------------


def cutter_of(data: Mapping[str, Any], index: Path) -> Clips:
    """What cuts a second's clip out of its video: as the producer learnt, round the second, from the middle."""
    sample = {**data["sample"], "at": "start", "labels": "item", "boxes": None}
    if data["kind"] == "frames":
        return Clips(sample, Pictures(Arrays(index)), None)
    from retake.data.coded import Decoded, coded  # decoders

    reader = coded(data["kind"], index)
    if isinstance(reader, Decoded):
        reader.whole = True  # seconds come one after the other
    return Clips(sample, reader, data.get("signal"))


class Given:
    """The boxes that clips show, where they are known beforehand; they have no labels."""

    settings: ClassVar[dict[str, Any]] = {"one_class": False}

    def __init__(self, found: Mapping[Any, np.ndarray]):
        self.found = found

    def learnt(self, item: Mapping[str, Any]) -> Boxes:
        xyxy = self.found[moment(item["video_id"], item["start_s"])]
        return Boxes(xyxy, ((),) * len(xyxy))


def batch_at(
    cutter: Clips, at: Sequence[tuple[str, float]], boxes: Sequence[np.ndarray] | None
) -> dict[str, Any]:
    """The batch of the clips round (video, second) each, with boxes (n, 4) of the whole frame where they have any.

    Keys as data/clips has them: frames, and of boxes: boxes, box_item, box_number, boxes_whole.
    """
    nothing = dict.fromkeys(("end_s", "text_in", "text_out", "labels", "value", "options", "weight"))
    rows = [
        {
            **nothing,
            "item_id": f"{video_id},{at_s:g}",
            "ref_id": video_id,
            "video_id": video_id,
            "start_s": at_s,
        }
        for video_id, at_s in at
    ]
    if boxes is not None:
        keys = (moment(*place) for place in at)
        cutter.keyframes = Given(dict(zip(keys, boxes, strict=True)))  # type: ignore[assignment]
    return cutter.batch(rows, range(len(rows)), None, None)


def _producer(module: str, checkpoint: Path | None, config: Path | None) -> torch.nn.Module:
    if checkpoint is None:
        raise ValueError(f"{module}: a bank of its rows needs its checkpoint")
    made = (
        checkpoints.load(module, checkpoint) if config is None else load_weights(module, checkpoint, config)
    )
    if not hasattr(made, "bank_rows"):
        raise ValueError(f"{module}: its network has no bank_rows(batch, grid), which fills a bank")
    return made.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))


@torch.no_grad()
def answers(
    producer: torch.nn.Module, cutter: Clips, places: Sequence[Place], found: Mapping[Place, Found],
    bank: Mapping[str, Any],
) -> Iterator[Part]:  # fmt: skip
    """Each place with its float32 rows, in order. Raises ValueError where the producer's rows are others'."""
    of_boxes, device = bank["rows"] == "boxes", next(producer.parameters()).device
    grid = "detections" if of_boxes else bank["grid"] or "global"

    def made(some: Sequence[Place]) -> dict[str, Any]:
        at = [(video_id, step * bank["every_s"]) for video_id, step in some]
        return batch_at(cutter, at, [found[place].xyxy for place in some] if of_boxes else None)

    size = bank["at_once"]
    groups = [places[first : first + size] for first in range(0, len(places), size)]
    batches = prefetched(partial(made, some) for some in groups)
    for some, batch in tqdm(zip(groups, batches, strict=True), total=len(groups), unit="pass"):
        if of_boxes and not len(batch["boxes"]):  # the cut shows none of them
            yield from ((place, NO_ROWS, NO_BOXES) for place in some)
            continue
        with autocast(device, bank["precision"]):
            rows = producer.bank_rows(to_device(batch, device), grid=grid).float().cpu().numpy()
        expected = len(batch["boxes"]) if of_boxes else len(some)
        if len(rows) != expected or rows.ndim not in ((2,) if of_boxes else (2, 3)):
            raise ValueError(
                f"bank_rows: expected {expected} rows of {grid}, found an array of shape {rows.shape}"
            )
        for number, place in enumerate(some):
            if not of_boxes:
                yield place, rows[number].reshape(-1, rows.shape[-1]), NO_BOXES
                continue
            mine = batch["box_item"].numpy() == number
            yield place, rows[mine], boxes_of(found[place])[batch["box_number"].numpy()[mine]]


def boxes_of(found: Found) -> np.ndarray:
    """(N, 5) float64: xyxy and score."""
    return np.concatenate([found.xyxy, found.scores[:, None]], axis=1)


def in_order(places: Sequence[Place], parts: Iterator[Part]) -> Iterator[Part]:
    """Every place with its rows; one that is not among `parts`, which are in the same order, has none."""
    ahead = next(parts, None)
    for place in places:
        if ahead is not None and ahead[0] == place:
            yield ahead
            ahead = next(parts, None)
        else:
            yield place, NO_ROWS, NO_BOXES


def objects(places: Sequence[Place], found: Mapping[Place, Found], detections: Path) -> Iterator[Part]:
    """Every place with its objects' own features. Raises ValueError where the detector stored none."""
    features = np.load(detections.parent / FEATURES, mmap_mode="r", allow_pickle=False)
    for place in places:
        if place not in found:
            yield place, NO_ROWS, NO_BOXES
            continue
        rows = found[place].rows
        if (rows < 0).any() or rows.max() >= len(features):
            raise ValueError(f"{detections}: video {place[0]!r}: a box's features are not in {FEATURES}")
        yield place, features[rows], boxes_of(found[place])


def write_rows(
    parts: Iterable[Part], out: Path, boxes_out: Path, bank: Mapping[str, Any], where: str
) -> list[dict[str, Any]]:
    """Writes the rows of all places one behind the other, and their boxes, and returns the index's rows.

    Raises FloatingPointError.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    array: GrowingArray | None = None
    index, every_s, shown = [], bank["every_s"], [NO_BOXES]
    for (video_id, step), values, boxes in parts:
        shown.append(boxes)
        with np.errstate(over="ignore"):  # said below
            rows = values.astype(bank["dtype"])
        if not np.isfinite(rows).all():
            at = f"video {video_id!r} at {step * every_s:g} s"
            raise FloatingPointError(f"{where}: {at}: a feature is no number in {bank['dtype']}")
        first = 0 if array is None else array.num_rows
        if len(rows):
            array = array or GrowingArray(out, rows.shape[1:], rows.dtype)
            array.append(rows)
        place = {"array": out.name, "row": first, "num_rows": len(rows)}
        index.append(
            {"video_id": video_id, "start_s": step * every_s, "end_s": (step + 1) * every_s, **place}
        )
    np.save(boxes_out, np.concatenate(shown))
    if array is None:
        np.save(out, np.zeros((0, 0), bank["dtype"]))
    else:
        array.close()
    return index
