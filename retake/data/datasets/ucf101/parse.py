"""UCF101: clips of 101 actions; the three ways to split them are data sets of their own.

Release   **/v_<Class>_g<group>_c<clip>.avi   in a folder a class, or all in one
Lists     classInd.txt          a line `<number> <Class>`, numbers from 1; the label is one less
          trainlist0N.txt       a line `<Class>/<video>.avi <number>`
          testlist0N.txt        a line `<Class>/<video>.avi`; the folder says the class
          or, where trainlist0N.txt is absent, pytorch-coviar's ucf101_splitN_train.txt and _test.txt, a line
          `<Class>/<video>.avi <Class> <label>`, labels from 0
Splits    train and test of fold N; none is published for validation
One row   one video, whole
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from retake.data.class_lists import SPLITS, Listed, Videos, class_table, read_triples, stem
from retake.data.readers import FOLDERS, first_of, one_of, read_lines
from retake.schema.card import Card

PLACES = (*FOLDERS, "ucfTrainTestlist", "datalists")


def parse(root: Path, card: Card) -> pd.DataFrame:
    """The fold that the card asks for. Raises ValueError that names file, row and what was expected."""
    if card.fold is None or card.media is None:
        raise ValueError(f"{root}: ucf101 has three splits; expected a card that says fold and media")
    official = [f"{split}list{card.fold:02d}.txt" for split in SPLITS]
    others = [f"ucf101_split{card.fold}_{split}.txt" for split in SPLITS]
    chosen = official if first_of(root, official[:1], PLACES) else others
    if first_of(root, chosen[:1], PLACES) is None:
        raise ValueError(f"{root}: no {official[0]}; expected it or {others[0]} in {', '.join(PLACES)}")
    paths = {
        split: one_of(root, [name], f"list of split {split}", PLACES)
        for split, name in zip(SPLITS, chosen, strict=True)
    }
    listed = _official(root, paths) if chosen is official else read_triples(paths)
    return class_table("ucf101", listed, Videos(root, card.media), str(paths["train"].parent))


def _official(root: Path, paths: dict[str, Path]) -> Iterator[Listed]:
    known = one_of(root, ["classInd.txt"], "list of classes", PLACES)
    number_of = _classes(known)
    for split, path in paths.items():
        for number, line in read_lines(path):
            where = f"{path}: line {number}"
            name, *said = line.split()
            title = name.rpartition("/")[0].rpartition("/")[2]
            if len(said) != (split == "train") or not title:
                wanted = "<Class>/<video>.avi" + (" <number>" if split == "train" else "")
                raise ValueError(f"{where}: {line!r}; expected `{wanted}`")
            if title not in number_of:
                raise ValueError(f"{where}: class {title!r} is not in {known.name}")
            if said and said[0] != str(number_of[title]):
                raise ValueError(
                    f"{where}: {title} is {said[0]}; {known.name} says that it is {number_of[title]}"
                )
            yield Listed(where, split, stem(name), number_of[title] - 1, title)


def _classes(path: Path) -> dict[str, int]:
    """Class -> number, from 1."""
    number_of: dict[str, int] = {}
    for line, text in read_lines(path):
        number, _, title = text.partition(" ")
        if number != str(len(number_of) + 1) or not title.strip() or title.strip() in number_of:
            raise ValueError(
                f"{path}: line {line}: {text!r}; expected `{len(number_of) + 1} <Class>`, each class once"
            )
        number_of[title.strip()] = len(number_of) + 1
    return number_of
