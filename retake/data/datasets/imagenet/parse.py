"""ImageNet (ILSVRC 2012, localisation layout): one picture, one of the classes of LOC_synset_mapping.txt.

Release   LOC_synset_mapping.txt          a line `<wnid> <names>` a class; its place, from 0, is the label
          ILSVRC/Data/CLS-LOC/train/<wnid>/*.JPEG    the folder is the class
          LOC_val_solution.csv            ImageId,PredictionString; the string is `<wnid> x1 y1 x2 y2` per box
Splits    train and val; the test pictures have no public labels
One row   one picture: a video of one frame, 0 to 0 seconds
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from retake.data.readers import one_of, read_csv, read_lines
from retake.schema.annotations import checked
from retake.schema.card import Card

TRAIN = "ILSVRC/Data/CLS-LOC/train"
COLUMNS = ("ImageId", "PredictionString")


def parse(root: Path, card: Card) -> pd.DataFrame:  # noqa: ARG001  the layout says it all
    """Raises ValueError that names file, row or folder and what was expected."""
    label_of = _labels(one_of(root, ["LOC_synset_mapping.txt"], "list of classes"))
    solution = one_of(root, ["LOC_val_solution.csv"], "labels of the validation pictures")
    rows = [("train", *row) for row in _train(root / TRAIN, label_of)]
    rows += [("val", *row) for row in _val(solution, label_of)]
    table = pd.DataFrame(rows, columns=["split", "video_id", "label"])
    return checked(
        pd.DataFrame(
            {
                "dataset": "imagenet",
                "split": table["split"],
                "item_id": table["video_id"],
                "ref_id": table["video_id"],
                "video_id": table["video_id"],
                "start_s": 0.0,
                "end_s": 0.0,
                "labels": table["label"].map(lambda label: [label]),
                "origin": "release",
                "task": "classify",
                "label_set": "imagenet",
            }
        )
    )


def _labels(path: Path) -> dict[str, int]:
    label_of: dict[str, int] = {}
    for number, line in read_lines(path):
        wnid, _, names = line.partition(" ")
        if not names or wnid in label_of:
            said = "stands twice" if wnid in label_of else f"is {line!r}"
            raise ValueError(f"{path}: line {number}: {wnid} {said}; expected `wnid names`, each wnid once")
        label_of[wnid] = len(label_of)
    return label_of


def _train(folder: Path, label_of: dict[str, int]) -> Iterator[tuple[str, int]]:
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; expected a folder of pictures for each class")
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if strange := [name for name in classes if name not in label_of]:
        raise ValueError(
            f"{folder / strange[0]}: no class of LOC_synset_mapping.txt ({len(strange)} such folders)"
        )
    if absent := sorted(set(label_of) - set(classes)):
        raise ValueError(
            f"{folder}: no folder for class {absent[0]} ({len(absent)} of {len(label_of)} are missing)"
        )
    for wnid in classes:
        pictures = sorted(path.stem for path in (folder / wnid).iterdir() if path.suffix == ".JPEG")
        if not pictures:
            raise ValueError(f"{folder / wnid}: no picture; expected files ending in .JPEG")
        for name in pictures:
            yield name, label_of[wnid]


def _val(path: Path, label_of: dict[str, int]) -> Iterator[tuple[str, int]]:
    line_of: dict[str, int] = {}
    for line, row in read_csv(path, COLUMNS):
        if (first := line_of.setdefault(row["ImageId"], line)) != line:
            raise ValueError(f"{path}: line {line}: {row['ImageId']} stands on line {first}, too")
        boxes = row["PredictionString"].split()
        classes = set(boxes[::5])
        if not boxes or len(boxes) % 5 or len(classes) != 1 or not classes <= set(label_of):
            found = f"{row['ImageId']}: {row['PredictionString']!r}"
            raise ValueError(
                f"{path}: line {line}: {found:.120}; expected `wnid x1 y1 x2 y2` per box, one known wnid"
            )
        yield row["ImageId"], label_of[classes.pop()]
