"""AVA's own formats: lists of classes, boxes and seconds. Errors name file, line and what was expected."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from retake.data.readers import read_lines, read_rows

OPENED = re.compile(r"(item|label)\s*\{")
FIELD = re.compile(r'(name|id|label_id|label_type)\s*:\s*(?:"(.+)"|(\w+))')
PLACE = ("video", "second")
BOX = (*PLACE, "left", "top", "right", "bottom", "class", "person")
DETECTED = (*BOX[:6], "class (empty)", "score")
NUMBER = re.compile(r"\d+(\.\d*)?([eE]-?\d+)?")


class Box(NamedTuple):
    """A row of boxes: of a person (score None), or detected (class and person None)."""

    where: str  # file and line
    video: str
    second: int
    xyxy: tuple[float, float, float, float]
    number: int | None  # of the class
    person: str | None
    score: float | None


def class_list(path: Path) -> dict[int, str]:
    """Number -> name of a class, in the order of a .pbtxt of blocks `item {...}` (or label), each number once."""
    names: dict[int, str] = {}
    block: dict[str, str] | None = None
    for line, text in read_lines(path):
        where = f"{path}: line {line}"
        said = FIELD.fullmatch(text)
        if block is None and OPENED.fullmatch(text):
            block = {}
        elif block is not None and said and said[1] not in block:
            block[said[1].removeprefix("label_")] = said[2] or said[3]
        elif block is not None and text == "}":
            number, name = block.get("id", ""), block.get("name", "").strip()
            if not re.fullmatch(r"[0-9]+", number) or not name or int(number) in names:
                raise ValueError(
                    f"{where}: class {number!r} {name!r}; expected a number, once in the list, and a name"
                )
            names[int(number)] = name
            block = None
        else:
            raise ValueError(
                f'{where}: {text!r:.60}; expected blocks `item {{ name: "..." id: 1 }}`, a field a line'
            )
    if block is not None or not names:
        raise ValueError(
            f"{path}: {'the last block is open' if names or block else 'no class'}; expected a list of classes"
        )
    return names


def read_boxes(path: Path, classes: Collection[int], seconds: Collection[int]) -> Iterator[Box]:
    """The rows `video,second,left,top,right,bottom,class,person`."""
    for line, row in read_rows(path, BOX):
        where = f"{path}: line {line}"
        number = int(row["class"]) if row["class"].isascii() and row["class"].isdigit() else -1
        if number not in classes:
            raise ValueError(f"{where}: class {row['class']!r:.40}; expected the number of one of the list")
        if not re.fullmatch(r"[0-9]+", row["person"]):
            raise ValueError(f"{where}: person {row['person']!r:.40}; expected a number")
        yield Box(where, *_placed(where, row, seconds), number, row["person"], None)


def read_detected(path: Path, seconds: Collection[int]) -> Iterator[Box]:
    """The rows `video,second,left,top,right,bottom,,score`; boxes without area pass: who reads them lists them."""
    for line, row in read_rows(path, DETECTED):
        where = f"{path}: line {line}"
        if row["class (empty)"]:
            raise ValueError(
                f"{where}: class {row['class (empty)']!r:.40}; expected none: detected boxes have a score"
            )
        if not NUMBER.fullmatch(row["score"]) or not 0 <= float(row["score"]) <= 1:
            raise ValueError(f"{where}: score {row['score']!r:.40}; expected a number of 0 to 1")
        placed = _placed(where, row, seconds, some_area=False)
        yield Box(where, *placed, None, None, float(row["score"]))


def read_seconds(path: Path, seconds: Collection[int]) -> Iterator[tuple[str, int]]:
    """The rows `video,second`."""
    for line, row in read_rows(path, PLACE):
        yield _place(f"{path}: line {line}", row, seconds)


def names(path: Path) -> Iterator[tuple[str, str]]:
    """(file and line, video) of a list of video files, one a line."""
    for line, text in read_lines(path):
        where, (video, _, ending) = f"{path}: line {line}", text.rpartition(".")
        if not video or not ending:
            raise ValueError(f"{where}: {text!r:.60}; expected the name of a video file")
        yield where, video


def included(path: Path) -> dict[int, None]:
    """The seconds of a list of one a line, in order (a dict is quick to look up in)."""
    found: dict[int, None] = {}
    for line, text in read_lines(path):
        if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) in found:
            raise ValueError(f"{path}: line {line}: {text!r:.40}; expected a second a line, each once")
        found[int(text)] = None
    if not found:
        raise ValueError(f"{path}: no second; expected one a line")
    return dict.fromkeys(sorted(found))


def _place(where: str, row: dict[str, str], seconds: Collection[int]) -> tuple[str, int]:
    said = row["second"]
    if not re.fullmatch(r"[0-9]{1,6}", said) or int(said) not in seconds:
        raise ValueError(
            f"{where}: second {said!r:.40}; expected one of {min(seconds)} to {max(seconds)} that is looked at"
        )
    if not row["video"]:
        raise ValueError(f"{where}: no video; expected its name")
    return row["video"], int(said)


def _placed(
    where: str, row: dict[str, str], seconds: Collection[int], *, some_area: bool = True
) -> tuple[str, int, tuple[float, float, float, float]]:
    video, second = _place(where, row, seconds)
    said = [row[name] for name in BOX[2:6]]
    left, top, right, bottom = (float(one) if NUMBER.fullmatch(one) else -1.0 for one in said)
    if not (0 <= left <= right <= 1 and 0 <= top <= bottom <= 1) or (
        some_area and (left == right or top == bottom)
    ):
        wanted = ", of some area" if some_area else ""
        raise ValueError(
            f"{where}: box {','.join(said):.80}; expected left, top, right, bottom, each of 0 to 1{wanted}"
        )
    return video, second, (left, top, right, bottom)
