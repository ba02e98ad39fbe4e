"""The members of a file's one JSON object, one in memory at a time: some releases are one file of gigabytes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

BLOCK = 2**22  # signs read at once
SPACES = " \t\r\n"
_DECODER = json.JSONDecoder()


def read_json_items(path: Path) -> Iterator[tuple[str, Any]]:
    """(key, value) in the file's order.

    Raises ValueError that names the key before, where the file is no such object; where it ends early, or goes on
    after its end.
    """
    with path.open(encoding="utf-8-sig") as file:
        yield from _Reader(path, file).items()


class _Reader:
    """What was read and not yet taken stands in `text` from `at` on."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self.path, self.file = path, file
        self.text, self.at, self.key = "", 0, ""

    def items(self) -> Iterator[tuple[str, Any]]:
        self.take("{")
        ends = self.peek() == "}"
        if ends:
            self.take("}")
        while not ends:
            key = self.value()
            if not isinstance(key, str):
                raise self.refused(f"a key {key!r}")
            self.take(":")
            value = self.value()
            self.key = key
            yield key, value
            ends = self.take(",}") == "}"
        if self.peek():
            raise self.refused(f"more after its end, {self.peek()!r}")

    def refused(self, what: str) -> ValueError:
        after = f"after {self.key!r}" if self.key else "at its start"
        return ValueError(f"{self.path}: {after}: {what}; expected one JSON object and nothing else")

    def more(self) -> bool:
        """Read on; whether there was more."""
        try:
            block = self.file.read(BLOCK)
        except UnicodeDecodeError as error:
            raise self.refused(f"not UTF-8 ({error.reason})") from None
        self.text, self.at = self.text[self.at :] + block, 0
        return bool(block)

    def peek(self) -> str:
        """The next sign that is no space; empty at the file's end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in SPACES:
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def take(self, expected: str) -> str:
        """The next sign, one of `expected`, taken away."""
        sign = self.peek()
        if not sign or sign not in expected:
            raise self.refused(
                f"{sign!r} where {' or '.join(expected)} was expected" if sign else "the file ends"
            )
        self.at += 1
        return sign

    def value(self) -> Any:
        """The next value, taken away. What was read may end within it: then more is read."""
        self.peek()
        while True:
            try:
                found, end = _DECODER.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                if not self.more():
                    raise self.refused(f"not JSON ({error.msg})") from None
                continue
            if end < len(self.text) or not self.more():  # a number that ends the block may go on
                self.at = end
                return found
