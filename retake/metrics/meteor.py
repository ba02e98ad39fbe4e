"""METEOR 1.5 from pycocoevalcap's jar, one process for all hypothesis sets.

pycocoevalcap's own `Meteor` class speaks the same lines to the same jar with the same options; it is not
used, since it needs a `java` in PATH, reads nothing of the error stream (the process stops when that pipe is
full), waits without end, and is only killed when Python collects it.
"""

import tempfile
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from pycocoevalcap.meteor import meteor as reference

from retake.metrics.java import Java
from retake.metrics.paraphrases import PARAPHRASES, Filtered, runs_of, write_usable

JAR = Path(reference.__file__).with_name(reference.METEOR_JAR)
HEAP_MB = 1024  # the whole English table fits; a mini data set's part takes 0.2 GB
NUM_STATISTICS = 23  # of a SCORE line, in the order of the jar's MeteorStats


@dataclass(frozen=True)
class MeteorResult:
    """Of one hypothesis set: its score, each item's, and 23 statistics an item, which add up over items."""

    score: float
    per_item: list[float]
    statistics: list[list[float]]


def _is_score(text: str) -> bool:
    try:
        return 0.0 <= float(text) <= 1.0
    except ValueError:
        return False


def _statistics(java: Java, references: list[str], hypothesis: str) -> str:
    java.ask(" ||| ".join(("SCORE", *references, hypothesis)))
    answer = java.line()
    if len(answer.split()) != NUM_STATISTICS:
        raise java.fail(f"no statistics for hypothesis {hypothesis[:80]!r} but {answer[:80]!r}")
    return answer


def additive(statistics: list[float]) -> list[float]:
    """One item's statistics as they add up: an item that matches whole, in one chunk, adds no chunk.

    The jar does the same when it sums the lines of an EVAL.
    """
    lengths, chunks = statistics[:2], statistics[20]
    matched = [sum(statistics[side:20:2]) for side in (4, 5)]
    return [*statistics[:20], 0.0 if matched == lengths and chunks == 1.0 else chunks, *statistics[21:]]


def _evaluated(java: Java, statistics: list[str]) -> MeteorResult:
    java.ask(" ||| ".join(("EVAL", *statistics)))
    answers = [java.line() for _ in range(len(statistics) + 1)]
    if wrong := [answer for answer in answers if not _is_score(answer)]:
        raise java.fail(f"{wrong[0][:80]!r} is no score")
    *per_item, score = map(float, answers)
    return MeteorResult(score, per_item, [additive([float(x) for x in line.split()]) for line in statistics])


def meteor(
    references: list[list[str]],
    sets: list[list[str]],
    *,
    filtered: Filtered | None = None,
    timeout_s: float = 3600.0,
) -> list[MeteorResult]:
    """METEOR (English, -norm) of each hypothesis set; references[i] belongs to sets[s][i]. All tokenised.

    `filtered` is used where it serves all these sentences; it changes no score.

    The score is taken from statistics summed over items, which is how METEOR defines it for a corpus: not
    the mean of per_item. Raises JavaError when the process fails, is silent for timeout_s, or answers with
    anything but scores.
    """
    with tempfile.TemporaryDirectory() as folder:
        if filtered is not None and filtered.runs >= runs_of(chain(*references, *sets)):
            table = filtered.table
        else:
            table = Path(folder) / "paraphrases.gz"
            write_usable(PARAPHRASES, chain(*references, *sets), table)
        options = ["-", "-", "-stdio", "-l", "en", "-norm", "-a", str(table)]
        with Java(["-jar", str(JAR), *options], heap_mb=HEAP_MB, timeout_s=timeout_s) as java:
            results = [
                _evaluated(
                    java, [_statistics(java, refs, hyp) for refs, hyp in zip(references, hyps, strict=True)]
                )
                for hyps in sets
            ]
            if said := java.said().strip():  # a table it cannot read is only said there, and then not used
                raise java.fail(f"complained: {said.splitlines()[0]}")
    return results
