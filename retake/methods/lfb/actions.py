"""Actions from verbs and nouns (METHODS 8.2): p(verb) p(noun) P(noun | verb), the last counted on training rows."""

import numpy as np

from retake.schema.fused import Classes, Context

EPSILON = 1e-5  # beside a verb's count: a verb without training rows has no noun
SUM_TOLERANCE = 1e-3  # what the scores of an item may sum to beside one


def class_prior(scores: list[np.ndarray], weights: np.ndarray, context: Context) -> np.ndarray:
    """Scores of actions (items, K) from those of verbs (items, V) and nouns (items, N), softmaxes both.

    An action is the pair of classes whose names it joins with a space, "take knife". K may be less than V x N: a pair
    without a row in the table has prior 0 and is never among an item's best. A weight is the power that its part is
    raised to, 1 in the published evaluation.

    Raises ValueError that names table and class where an action is no pair, or more than one; and on scores that are
    no softmax.
    """
    if len(scores) != 2:
        raise ValueError(f"class_prior: {len(scores)} parts; expected two, verbs and nouns")
    for part, told in zip(scores, context.parts, strict=True):
        _check(part, told)
    verbs, nouns = scores
    pairs = pairs_of(context)
    prior = prior_of(pairs, context.asked.counts, (verbs.shape[1], nouns.shape[1]))
    verb, noun = np.array([pairs[label] for label in range(len(pairs))]).T
    return verbs[:, verb] ** weights[0] * nouns[:, noun] ** weights[1] * prior[verb, noun]


def pairs_of(context: Context) -> dict[int, tuple[int, int]]:
    """Action -> (verb, noun), for every label from 0 on."""
    asked, (verbs, nouns) = context.asked, context.parts
    called: dict[str, list[tuple[int, int]]] = {}
    for verb, first in verbs.names.items():
        for noun, second in nouns.names.items():
            called.setdefault(f"{first} {second}", []).append((verb, noun))
    if sorted(asked.names) != list(range(len(asked.names))):
        gap = next(n for n in range(len(asked.names) + 1) if n not in asked.names)
        raise ValueError(f"{asked.path}: class {gap} has no row; expected a name of each class")
    pairs = {}
    for label, name in asked.names.items():
        found = called.get(name, [])
        if len(found) != 1:
            told = "more than one pair" if found else "no pair"
            raise ValueError(
                f"{asked.path}: class {label} {name!r} is {told} of a verb of {verbs.path} and a noun of {nouns.path}"
            )
        pairs[label] = found[0]
    return pairs


def prior_of(pairs: dict[int, tuple[int, int]], counts: dict[int, int], shape: tuple[int, int]) -> np.ndarray:
    """P(noun | verb) (V, N): counts / (a verb's sum + 1e-5)."""
    found = np.zeros(shape)
    for label, count in counts.items():
        found[pairs[label]] += count
    return found / (found.sum(axis=1, keepdims=True) + EPSILON)


def _check(part: np.ndarray, told: Classes) -> None:
    if told.names and max(told.names) >= part.shape[1]:
        raise ValueError(
            f"{told.path}: has class {max(told.names)}; the predictions score {part.shape[1]} classes"
        )
    off = np.abs(part.sum(axis=1) - 1).max(initial=0.0)
    if not np.isfinite(part).all() or (part < 0).any() or off > SUM_TOLERANCE:
        raise ValueError(
            f"{told.path}: its part's scores are no softmax; expected none below 0 and a sum of 1"
        )
