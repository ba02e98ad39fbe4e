"""HMDB51: clips of 51 actions from films and the web; the three ways to split them are data sets of their own.

Release   **/<video>.avi                    in a folder a class, or all in one
Lists     <class>_test_split<N>.txt         a line `<video>.avi <use>`: 1 train, 2 test, 0 neither
          or, where there is none, pytorch-coviar's hmdb51_splitN_train.txt and _test.txt, a line
          `<class>/<video>.avi <class> <label>`, labels from 0
Labels    the release has no list of classes: a label is the class's place, from 0, in the alphabet.
          pytorch-coviar's lists number them otherwise; what they say is taken
Splits    train and test of fold N; none is published for validation
One row   one video, whole
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from retake.data.class_lists import SPLITS, Listed, Videos, class_table, read_triples, stem
from retake.data.readers import FOLDERS, first_of, one_of, read_lines
from retake.schema.card import Card

PLACES = (*FOLDERS, "testTrainMulti_7030_splits", "test_train_splits", "datalists")
USES = {"0": "", "1": "train", "2": "test"}


def parse(root: Path, card: Card) -> pd.DataFrame:
    """The fold that the card asks for. Raises ValueError that names file, row and what was expected."""
    if card.fold is None or card.media is None:
        raise ValueError(f"{root}: hmdb51 has three splits; expected a card that says fold and media")
    folders = [Path(root) / place for place in PLACES]
    official = next((folder for folder in folders if any(folder.glob("*_test_split?.txt"))), None)
    others = [f"hmdb51_split{card.fold}_{split}.txt" for split in SPLITS]
    if official is not None:
        listed, lists = _official(official, card.fold), str(official)
    elif first_of(root, others[:1], PLACES):
        paths = {
            split: one_of(root, [name], f"list of split {split}", PLACES)
            for split, name in zip(SPLITS, others, strict=True)
        }
        listed, lists = read_triples(paths), str(paths["train"].parent)
    else:
        expected = f"<class>_test_split{card.fold}.txt or {others[0]}"
        raise ValueError(f"{root}: no list; expected {expected} in {', '.join(PLACES)}")
    return class_table("hmdb51", listed, Videos(root, card.media), lists)


def _official(folder: Path, fold: int) -> Iterator[Listed]:
    """Every class that any fold has a list of must have one of this fold."""
    found = [re.fullmatch(r"(.+)_test_split\d", path.stem) for path in folder.glob("*_test_split?.txt")]
    for label, title in enumerate(sorted({one[1] for one in found if one})):
        path = folder / f"{title}_test_split{fold}.txt"
        if not path.is_file():
            raise ValueError(f"{path}: no such file; expected a list of every class for split {fold}")
        for number, line in read_lines(path):
            name, _, use = line.rpartition(" ")
            if not name or use not in USES:
                raise ValueError(
                    f"{path}: line {number}: {line!r}; expected `<video>.avi <use>`, use 0, 1 or 2"
                )
            yield Listed(f"{path}: line {number}", USES[use], stem(name.strip()), label, title)
