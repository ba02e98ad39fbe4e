"""Read annotation files strictly: errors name the file, the row and what was expected."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

FOLDERS = (".", "annotation", "annotations", "captions", "metadata")  # where releases keep annotation files


def first_of(root: Path, names: Sequence[str], folders: Sequence[str] = FOLDERS) -> Path | None:
    """The first of `names` that lies under `root` or one of its `folders`; names count before folders."""
    paths = (Path(root) / folder / name for name in names for folder in folders)
    return next((path for path in paths if path.is_file()), None)


def one_of(root: Path, names: Sequence[str], what: str, folders: Sequence[str] = FOLDERS) -> Path:
    """As `first_of`. Raises ValueError that says which files would do."""
    if (path := first_of(root, names, folders)) is None:
        raise ValueError(f"{root}: no {what}; expected one of {', '.join(names)}")
    return path


def read_csv(
    path: Path, columns: Sequence[str], *, exact: bool = False
) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, row) of a CSV with a header; a row's line is where it begins. BOM and CRLF are accepted.

    Raises ValueError on a header without `columns` (or other than them, if `exact`), a row of another width,
    bytes that are not UTF-8, an unclosed quote.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, strict=True)
        try:
            header = next(rows, [])
            absent = [name for name in columns if name not in header]
            if absent or (exact and header != list(columns)):
                raise ValueError(
                    f"{path}: line 1: the header is {','.join(header)!r}; expected {','.join(columns)}"
                )
            begins = rows.line_num + 1
            for row in rows:
                if row and len(row) != len(header):
                    raise ValueError(f"{path}: line {begins}: {len(row)} fields; expected {len(header)}")
                if row:
                    yield begins, dict(zip(header, row, strict=True))
                begins = rows.line_num + 1
        except csv.Error as error:
            raise ValueError(f"{path}: line {rows.line_num}: {error}") from None
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: near line {rows.line_num}: not UTF-8 ({error.reason})") from None


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """As read_csv, of a file without a header whose columns are those named, in their order."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, strict=True)
        begins = 1
        try:
            for row in rows:
                if row and len(row) != len(columns):
                    wanted = f"{len(columns)}: {','.join(columns)}"
                    raise ValueError(f"{path}: line {begins}: {len(row)} fields; expected {wanted}")
                if row:
                    yield begins, dict(zip(columns, row, strict=True))
                begins = rows.line_num + 1
        except csv.Error as error:
            raise ValueError(f"{path}: line {rows.line_num}: {error}") from None
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: near line {rows.line_num}: not UTF-8 ({error.reason})") from None


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, text) of the lines that are not empty. Raises ValueError on bytes that are not UTF-8."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 at byte {error.start}") from None
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line.strip()


def read_json(path: Path) -> Any:
    """The file's content. Raises ValueError with the line where it is no JSON; names a Git-LFS pointer."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        if text.startswith("version https://git-lfs"):
            raise ValueError(f"{path}: is a Git-LFS pointer, not the file; fetch the real one")
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: line {error.lineno}: not JSON ({error.msg})") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 at byte {error.start}") from None


def taken(things: list[Any]) -> Iterator[tuple[int, Any]]:
    """(number, thing) of each; the list lets go of what was taken."""
    for number in range(len(things)):
        thing, things[number] = things[number], None
        yield number, thing


def fields(path: Path, where: str, row: Any, expected: Sequence[str]) -> list[Any]:
    """The values of `expected` in the JSON object `row`. Raises ValueError that names object and key."""
    if not isinstance(row, dict):
        raise ValueError(
            f"{path}: {where}: is {type(row).__name__}; expected an object with {', '.join(expected)}"
        )
    if absent := [name for name in expected if name not in row]:
        raise ValueError(f"{path}: {where}: {absent[0]} is missing; expected {', '.join(expected)}")
    return [row[name] for name in expected]
