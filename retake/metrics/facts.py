"""How many of the facts that the mini world knows about a clip its caption mentions, by kind of fact."""

import re
from collections.abc import Iterable, Mapping

WORD = re.compile(r"[^\W_]+")


def fact_hits(
    hypotheses: Mapping[str, str], truth: Iterable[Mapping]
) -> dict[str, dict[str, tuple[int, int]]]:
    """kind -> item -> (facts mentioned, facts there are), where there is a caption and such a fact.

    hypotheses  item -> caption
    truth       rows with video_id (the item), fact, kind, words: lower-case words, any of which mentions the
                fact
    A caption's words are its runs of letters and digits in lower case. Raises ValueError on a fact without
    words or with a word that is no such run, which no caption could mention.
    """
    tokens = {item: set(WORD.findall(text.lower())) for item, text in hypotheses.items()}
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for row in truth:
        words, item = list(row["words"]), row["video_id"]
        if not words or any(WORD.fullmatch(word) is None or word != word.lower() for word in words):
            raise ValueError(
                f"truth: fact {row['fact']!r} of {item!r}: {words}: expected lower-case words, at least one"
            )
        if item in tokens:
            mentioned, there = found.setdefault(row["kind"], {}).get(item, (0, 0))
            found[row["kind"]][item] = (mentioned + (not tokens[item].isdisjoint(words)), there + 1)
    return found


def fact_recall(hypotheses: Mapping[str, str], truth: Iterable[Mapping]) -> dict[str, float]:
    """kind -> share of its facts that the captions mention; each fact counts once, whatever its clip."""
    sums = {
        kind: [sum(column) for column in zip(*by_item.values(), strict=True)]
        for kind, by_item in fact_hits(hypotheses, truth).items()
    }
    return {kind: mentioned / there for kind, (mentioned, there) in sums.items()}
