"""What a checkpoint says of videos that nothing was trained on, written for people (JSON lines and CSV).

Captions where the model tells videos in words, else the classes by falling score, of a video or of each second's boxes.
"""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from retake.data.clips import moment_of
from retake.data.rows import read_rows
from retake.training.checkpoint import read_header
from retake.training.inference import predict


def caption_videos(
    *, model_module: str, recipe: dict[str, Any], seed: int, jsonl_out: Path, csv_out: Path
) -> None:
    """recipe: that of `predict`, and `checkpoint`, the path of one that is there.

    Videos come in the order of their names. A caption is a line of each file: video, caption. Of classes the JSON
    has a line a video, with class and score of each, and the CSV a line a class: video, class, score. Scores are the
    model's own, as they are in a prediction table.
    Of a model of boxes the JSON has a line a second that shows a box: video, time_s, boxes, of each its box (left, top,
    right, bottom in shares of the frame) and its classes; the CSV a line a class: video, time_s, left, top, right,
    bottom, class, score.
    """
    asked = {key: value for key, value in recipe.items() if key not in ("checkpoint", "checkpoint_sha256")}
    table, checkpoint = jsonl_out.with_name("predictions.parquet"), Path(recipe["checkpoint"])
    predict(model_module=model_module, recipe=asked, checkpoint=checkpoint, seed=seed, out=table)
    answers = pd.read_parquet(table).set_index("item_id")
    table.unlink()
    names = read_header(checkpoint)["prepared"].get("classes")
    if "box_xyxy" in answers:
        _tell_boxes(answers, names, jsonl_out, csv_out)
        return
    video_of = {
        r["item_id"]: r["video_id"] for r in read_rows(asked["data"]["annotations"], asked["data"]["split"])
    }
    if "text" in answers:
        lines = sorted((video_of[item], text) for item, text in answers["text"].items())
        _write_lines(jsonl_out, ({"video": v, "caption": c} for v, c in lines))
        _write_table(csv_out, ["video", "caption"], lines)
        return
    found = {video_of[item]: _ranked(scores, names) for item, scores in answers["scores"].items()}
    ranked = sorted(found.items(), key=lambda one: one[0])
    _write_lines(jsonl_out, ({"video": v, "classes": classes} for v, classes in ranked))
    rows = ((v, one["class"], one["score"]) for v, classes in ranked for one in classes)
    _write_table(csv_out, ["video", "class", "score"], rows)


def _tell_boxes(answers: pd.DataFrame, names: list[str] | None, jsonl_out: Path, csv_out: Path) -> None:
    """Boxes by video and second, those of one second in the table's order."""
    seconds: dict[tuple[str, float], list[dict[str, Any]]] = {}
    for item, box, scores in zip(answers.index, answers["box_xyxy"], answers["scores"], strict=True):
        if box is not None and len(box):
            told = {"box": [float(side) for side in box], "classes": _ranked(scores, names)}
            seconds.setdefault(moment_of(item), []).append(told)
    ordered = sorted(seconds.items())
    _write_lines(jsonl_out, ({"video": v, "time_s": at, "boxes": boxes} for (v, at), boxes in ordered))
    rows = (
        (video, at_s, *one["box"], said["class"], said["score"])
        for (video, at_s), boxes in ordered
        for one in boxes
        for said in one["classes"]
    )
    columns = ["video", "time_s", "left", "top", "right", "bottom", "class", "score"]
    _write_table(csv_out, columns, rows)


def _ranked(scores: Iterable[float], names: list[str] | None) -> list[dict[str, Any]]:
    """Class and score, the highest score first; a class without a name is called by its number."""
    known = [(str(n) if names is None else names[n], float(score)) for n, score in enumerate(scores)]
    return [{"class": name, "score": score} for name, score in sorted(known, key=lambda one: -one[1])]


def _write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _write_table(path: Path, columns: list[str], rows: Iterable[tuple[Any, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
