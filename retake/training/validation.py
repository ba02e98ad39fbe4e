"""What a stage is judged by while it trains: losses on another split, and scores that need no other program.

These steer early stopping and nothing else; a table's numbers come from retake/metrics.
"""

import re
from typing import Any

from retake.schema.tasks import METRICS


def cider(answers: dict[str, dict[str, Any]], references: dict[str, list[dict[str, Any]]]) -> float:
    """CIDEr of captions, as a fraction; words are runs of letters, digits and apostrophes, in lower case.

    answers: item -> prediction row; references: item -> annotation rows.
    """
    from pycocoevalcap.cider.cider import Cider

    def plain(text: str) -> str:
        return " ".join(re.findall(r"[\w']+", text.lower()))

    wanted = {item: [plain(row["text_out"]) for row in references[item]] for item in answers}
    score, _ = Cider().compute_score(wanted, {item: [plain(row["text"])] for item, row in answers.items()})
    return float(score)


def top1(answers: dict[str, dict[str, Any]], references: dict[str, list[dict[str, Any]]]) -> float:
    """Share of items whose highest score is on a label of theirs."""
    hits = [max(range(len(a["scores"])), key=a["scores"].__getitem__) in references[i][0]["labels"]
            for i, a in answers.items()]  # fmt: skip
    return sum(hits) / len(hits)


SCORES = {"cider": cider, "top1": top1}


def scores_of(monitor: str | None) -> dict[str, Any]:
    """The scores that a monitor asks for: {} where it is a loss. Raises ValueError on one that cannot be
    had here.
    """
    name = (monitor or "").removeprefix("val/")
    if name in METRICS and name not in SCORES:
        raise ValueError(
            f"length.monitor: while training, val/<loss> or one of {sorted(SCORES)}, found {monitor!r}"
        )
    return {name: SCORES[name]} if name in SCORES else {}


def is_better(monitor: str, value: float, best: float | None) -> bool:
    """A loss is better lower, a metric as schema/tasks.py says."""
    metric = METRICS.get(monitor.removeprefix("val/"))
    higher = metric is not None and metric.higher_is_better
    return best is None or (value > best if higher else value < best)
