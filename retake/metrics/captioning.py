"""BLEU-4, METEOR, ROUGE-L and CIDEr of captions, by pycocoevalcap's scorers.

Captions of all hypothesis sets and all references go through one tokenizer process, and all sets through one
METEOR process. An item that ends without a token scores 0 on every metric and keeps its place.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from pycocoevalcap.bleu.bleu_scorer import BleuScorer
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from retake.metrics.meteor import meteor
from retake.metrics.paraphrases import Filtered
from retake.metrics.tokenizer import tokenised

METRICS = ("bleu4", "meteor", "rouge_l", "cider")


@dataclass(frozen=True)
class CaptionScores:
    """Scores of one hypothesis set, all fractions (a printed 86.6 is 0.866).

    values   metric -> score of the set
    items    column -> one entry an item, in sorted order of item ids: `cider`, `rouge_l`, `meteor` (floats),
             `bleu4_statistics` (tokens, closest reference's tokens, 4 x n-grams, 4 x n-grams matched),
             `meteor_statistics` (23 numbers of the jar); both add up over items to what the set's score is
             made of
    """

    values: dict[str, float]
    items: dict[str, list]


def _named(items: list[str]) -> str:
    return ", ".join(map(repr, items[:5])) + (f" and {len(items) - 5} more" if len(items) > 5 else "")


def _check(references: dict[str, list[str]], sets: dict[str, dict[str, str]]) -> None:
    if not references:
        raise ValueError("no items to score")
    if bare := sorted(item for item, texts in references.items() if not texts):
        raise ValueError(f"items without a reference: {_named(bare)}")
    for name, captions in sets.items():
        if missing := sorted(references.keys() - captions.keys()):
            raise ValueError(f"{name}: no caption for items {_named(missing)}")
        if unknown := sorted(captions.keys() - references.keys()):
            raise ValueError(f"{name}: captions of items that have no references: {_named(unknown)}")


def _tokens(
    references: dict[str, list[str]], sets: dict[str, dict[str, str]]
) -> tuple[list[list[str]], dict[str, list[str]]]:
    """Both tokenised in one call, in sorted order of items."""
    items = sorted(references)
    texts = [text for item in items for text in references[item]]
    texts += [captions[item] for captions in sets.values() for item in items]
    lines = iter(tokenised(texts))
    tokens = [[next(lines) for _ in references[item]] for item in items]
    captions_of = {name: [next(lines) for _ in items] for name in sets}
    if wordless := [item for item, refs in zip(items, tokens, strict=True) if not any(refs)]:
        raise ValueError(f"items whose references hold no word: {_named(wordless)}")
    return tokens, captions_of


def _bleu4(references: list[list[str]], captions: list[str]) -> tuple[float, dict[str, list]]:
    """Corpus BLEU-4: n-grams clipped by the most in one reference, brevity by the closest reference."""
    scorer = BleuScorer(n=4)
    for caption, refs in zip(captions, references, strict=True):
        scorer += (caption, refs)
    score = scorer.compute_score(option="closest")[0][3]
    rows = []
    for parts, (reference_lengths, _) in zip(scorer.ctest, scorer.crefs, strict=True):
        closest = min((abs(length - parts["testlen"]), length) for length in reference_lengths)[1]
        rows.append([parts["testlen"], closest, *parts["guess"], *parts["correct"]])
    return float(score), {"bleu4_statistics": rows}


def _rouge_l(references: list[list[str]], captions: list[str]) -> tuple[float, dict[str, list]]:
    """Mean over items of F (beta 1.2) of the highest precision and the highest recall over references."""
    scorer = (
        Rouge()
    )  # an empty caption would match an empty reference: Python's "".split(" ") is one empty token
    scores = [
        float(scorer.calc_score([caption], refs)) if caption else 0.0
        for caption, refs in zip(captions, references, strict=True)
    ]
    return float(np.mean(scores)), {"rouge_l": scores}


def _cider(references: list[list[str]], captions: list[str]) -> tuple[float, dict[str, list]]:
    """CIDEr-D, document frequencies from these references; 0 for a single item, where every idf is log 1."""
    keys = range(len(captions))
    score, scores = Cider().compute_score(
        dict(zip(keys, references, strict=True)), {i: [captions[i]] for i in keys}
    )
    return float(score), {"cider": [float(x) for x in scores]}


def score_captions(
    references: dict[str, list[str]],
    sets: dict[str, dict[str, str]],
    metrics: tuple[str, ...] = METRICS,
    filtered: Filtered | None = None,
) -> dict[str, CaptionScores]:
    """Score each hypothesis set (name -> item -> caption) against references (item -> captions).

    Every set answers every item once. Java runs once for the tokenizer and, where asked for, once for METEOR
    (`filtered`: see there). Raises ValueError naming the items without reference or caption, and on a metric
    that is not in METRICS.
    """
    if unknown := [name for name in metrics if name not in METRICS]:
        raise ValueError(f"no caption metric {unknown[0]!r}; have {', '.join(METRICS)}")
    if twice := [name for name, count in Counter(metrics).items() if count > 1]:
        raise ValueError(f"metric {twice[0]!r} is asked for twice")
    _check(references, sets)
    tokens, captions_of = _tokens(references, sets)
    by_metric = {"bleu4": _bleu4, "rouge_l": _rouge_l, "cider": _cider}
    values: dict[str, dict[str, float]] = {name: {} for name in sets}
    items: dict[str, dict[str, list]] = {name: {} for name in sets}
    for name, captions in captions_of.items():
        for metric in (m for m in metrics if m in by_metric):
            values[name][metric], columns = by_metric[metric](tokens, captions)
            items[name] |= columns
    if "meteor" in metrics:
        for name, result in zip(
            sets, meteor(tokens, list(captions_of.values()), filtered=filtered), strict=True
        ):
            values[name]["meteor"] = result.score
            items[name] |= {"meteor": result.per_item, "meteor_statistics": result.statistics}
    return {name: CaptionScores(values[name], items[name]) for name in sets}
