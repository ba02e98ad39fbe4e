"""The part of METEOR's paraphrase table that a set of sentences can use.

The jar's English table has 5.3 million pairs of phrases; reading them is nearly all of METEOR's start (15 s
of one core on a small machine, 1 s without). A pair can only match where both of its phrases stand in the
sentences, so pairs with a word that the sentences do not have are left out, which changes no score. The test
is on runs of letters and digits and not on words, because the jar cuts sentences at punctuation once more
before it matches.

Filtering takes 5 s of one core, which every scoring of a data set would pay. `filter_paraphrases` does it once,
for the words of the data set's captions; predictions with a word beyond those filter the table themselves.
"""

import gzip
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from pycocoevalcap.meteor import meteor as reference

from retake.metrics.tokenizer import tokenised

PARAPHRASES = Path(reference.__file__).parent / "data" / "paraphrase-en.gz"

RUN = re.compile(r"[^\W_]+")
CHUNK = 1 << 23  # bytes of unpacked table at a time


def runs_of(sentences: Iterable[str]) -> frozenset[str]:
    """Runs of letters and digits in the sentences, in lower case."""
    return frozenset(run for sentence in sentences for run in RUN.findall(sentence.lower()))


@dataclass(frozen=True)
class Filtered:
    """A table with every pair that sentences of these runs can use."""

    table: Path
    runs: frozenset[str]

    @classmethod
    def read(cls, table: Path, words: Path) -> "Filtered":
        """The two files of `filter_paraphrases`."""
        return cls(table, frozenset(words.read_text(encoding="utf-8").split()))


def filter_paraphrases(*, annotations: Path, table_out: Path, words_out: Path) -> None:
    """Write the pairs that captions of a data set can use, and the runs of its captions' words, one a line."""
    with pq.ParquetFile(annotations) as file:
        texts = file.read(columns=["text_out"])["text_out"].to_pylist()
    sentences = tokenised(sorted({text for text in texts if text is not None}))
    write_usable(PARAPHRASES, sentences, table_out)
    words_out.write_text("".join(f"{run}\n" for run in sorted(runs_of(sentences))), encoding="utf-8")


class _Usable(dict):
    """word of the table (bytes) -> whether the sentences have all its runs of letters and digits."""

    def __init__(self, sentences: Iterable[str]) -> None:
        super().__init__()
        self._runs = runs_of(sentences)

    def __missing__(self, word: bytes) -> bool:
        self[word] = known = self._runs.issuperset(RUN.findall(word.decode("utf-8").lower()))
        return known


def write_usable(table: Path, sentences: Iterable[str], out: Path) -> int:
    """Write those pairs of `table` that `sentences` can use to `out`, in order; return how many.

    Both files are METEOR's format: gzip, three lines a pair: probability, phrase, phrase.
    Raises ValueError when the table is cut short.
    """
    usable = _Usable(sentences).__getitem__
    num_kept, rest = 0, b""
    with (
        gzip.open(table) as pairs,
        out.open("wb") as file,
        gzip.GzipFile("", "wb", 1, file, mtime=0) as kept,  # no name and no time: the same bytes each time
    ):
        while chunk := pairs.read(CHUNK):
            lines = (rest + chunk).split(b"\n")
            whole = (len(lines) - 1) // 3 * 3
            rest = b"\n".join(lines[whole:])
            last, fits = None, False
            for place, phrase in enumerate(lines[1:whole:3]):
                if phrase != last:  # pairs stand in runs of one first phrase
                    last, fits = phrase, all(map(usable, phrase.split()))
                if fits and all(map(usable, lines[3 * place + 2].split())):
                    kept.write(b"\n".join(lines[3 * place : 3 * place + 3]) + b"\n")
                    num_kept += 1
    if rest.strip():
        raise ValueError(f"{table}: ends within a pair: {rest[:80]!r}")
    return num_kept
