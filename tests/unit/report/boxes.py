"""A small split of labelled boxes, and answers to it whose average precisions are worked out by hand.

Four boxes in a row of a picture, each in its own place; an answer lies exactly on one of them, or far from all.
"""

import pandas as pd

PLACES = {n: [0.1 * n, 0.1, 0.1 * n + 0.08, 0.3] for n in range(4)}
FAR = [0.7, 0.7, 0.9, 0.9]
NAMES = ["sit", "listen to <one>", "talk", "swim"]  # swim is in no reference


def annotations(folder, names=True):
    """Items a, b, c: talk in three boxes, listen in two, sit in one; c has a box without a label."""
    boxes = [("a", 0, [2]), ("a", 1, [1, 2]), ("b", 0, [2]), ("b", 1, [0, 1]), ("c", 0, [])]
    rows = [
        {
            "split": "val", "item_id": item, "ref_id": f"{item},{n}", "video_id": f"video_{item}", "start_s": 2.0,
            "box_xyxy": PLACES[place], "labels": labels,
            "text_out": "; ".join(NAMES[label] for label in labels) if names and labels else None,
        }
        for n, (item, place, labels) in enumerate(boxes)
    ]  # fmt: skip
    rows.append(
        {
            **rows[0],
            "split": "train",
            "item_id": "t",
            "ref_id": "t,0",
            "labels": [0],
            "text_out": "sit" if names else None,
        }
    )
    path = folder / "annotations.parquet"
    pd.DataFrame(rows).to_parquet(path)
    return path


def predictions(folder, variant, answers, seed=1, protocol="centre", dataset="films"):
    """A table of (item, place or None: far from all, scores of the four classes)."""
    path = folder / f"predictions/demo/{variant}/{dataset}/seed{seed}/{protocol}/val.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"item_id": item, "box_xyxy": FAR if place is None else PLACES[place], "scores": list(scores)}
        for item, place, scores in answers
    ]
    pd.DataFrame(rows).to_parquet(path)
    return path
