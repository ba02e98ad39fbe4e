"""Hypotheses of a beam search: costs without length normalisation, as in the Theano ancestor of many captioners.

A hypothesis' score is the sum of its words' log-probabilities. One that ends takes its place in the beam
with it, so the live beam shrinks; the best score of all wins, unfinished ones at the length limit included.
"""

import torch
from torch import Tensor


class Beams:
    """Hypotheses of B videos, K places each; a place is live, or spent by a hypothesis that ended."""

    def __init__(self, num: int, beam: int, device: torch.device, *, end: int):
        self.end = end  # the word that ends a hypothesis
        self.scores = torch.full((num, beam), float("-inf"), device=device)  # (B, K), -inf where not live
        self.scores[:, 0] = 0.0
        self.paths: list[list[tuple[int, ...]]] = [[()] * beam for _ in range(num)]
        self.left = [beam] * num  # places not yet spent
        self.ended: list[tuple[float, tuple[int, ...]] | None] = [None] * num

    def grow(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Take scores (B, K, V) of next words; returns the parents (B, K) and words (B, K) of the new
        beam.
        """
        _, beam, width = scores.shape
        total = (self.scores.unsqueeze(2) + scores).flatten(1)  # (B, K*V)
        best, places = total.topk(beam, dim=1)
        parents, words = places // width, places % width
        self.scores = torch.full_like(best, float("-inf"))
        rows = zip(best.tolist(), parents.tolist(), words.tolist(), strict=True)
        for item, candidates in enumerate(rows):
            before, self.paths[item] = self.paths[item], [()] * beam
            for place, (score, parent, word) in enumerate(
                list(zip(*candidates, strict=True))[: self.left[item]]
            ):
                if score == float("-inf"):
                    break
                path = before[parent] + (word,)
                if word == self.end:
                    self.left[item] -= 1
                    self._end(item, score, path)
                else:
                    self.paths[item][place] = path
                    self.scores[item, place] = score
        return parents, words

    def _end(self, item: int, score: float, path: tuple[int, ...]) -> None:
        if self.ended[item] is None or score > self.ended[item][0]:
            self.ended[item] = (score, path)

    def decided(self) -> bool:
        """True when no live hypothesis can still win: scores only fall."""
        live = self.scores.max(dim=1).values.tolist()
        return all(e is not None and e[0] >= score for e, score in zip(self.ended, live, strict=True))

    def best(self) -> list[tuple[list[int], float]]:
        """Of each video the best words, without the end, and their score."""
        answers = []
        for item, scores in enumerate(self.scores.tolist()):
            hypotheses = [(s, p) for s, p in zip(scores, self.paths[item], strict=True) if s != float("-inf")]
            hypotheses = [self.ended[item]] * (self.ended[item] is not None) + hypotheses
            score, path = max(hypotheses, key=lambda h: h[0])
            answers.append(([w for w in path if w != self.end], score))
        return answers
