"""Beam search as in the Theano ancestor of the paper's decoder: costs without length normalisation.

A hypothesis' score is the sum of its words' log-probabilities. One that ends takes its place in the beam
with it, so the live beam shrinks; the best score of all wins, unfinished ones at the length limit included.
"""

import torch
from torch import Tensor

from retake.methods.etenet.decoder import Decoder, Video
from retake.methods.etenet.text import EOS, SOS, UNK


def search(
    decoder: Decoder, features: Tensor, keep: Tensor, *, beam: int, max_len: int
) -> list[tuple[list[int], float]]:
    """For each video its best words (without EOS) and their score. features (B, T, C), keep (B, T).

    At most `max_len` words are predicted, EOS among them. SOS and UNK are never predicted (ours).
    Raises ValueError unless beam and max_len are positive.
    """
    if beam < 1 or max_len < 1:
        raise ValueError(f"beam and max_len must be positive, found {beam} and {max_len}")
    num = features.shape[0]
    video = decoder.look(features, keep)
    hidden, cell = decoder.begin(video)
    beams = _Beams(num, beam, features.device)
    video = Video(*(_spread(part, beam) for part in video))
    hidden, cell = _spread(hidden, beam), _spread(cell, beam)
    words = torch.full((num * beam,), SOS, device=features.device)
    for _ in range(max_len):
        embedded = decoder.embed(words)
        step = decoder.step(video, embedded, hidden, cell)
        scores = decoder.logits(step.context, step.hidden, embedded).float().log_softmax(dim=-1)  # (B*K, V)
        scores[:, [SOS, UNK]] = float("-inf")
        parents, words = beams.grow(scores.unflatten(0, (num, beam)))
        rows = (torch.arange(num, device=words.device).unsqueeze(1) * beam + parents).flatten()
        hidden, cell, words = step.hidden[rows], step.cell[rows], words.flatten()
        if beams.decided():
            break
    return beams.best()


def _spread(tensor: Tensor, beam: int) -> Tensor:
    return tensor.repeat_interleave(beam, dim=0)


class _Beams:
    """Hypotheses of B videos, K places each; a place is live, or spent by a hypothesis that ended."""

    def __init__(self, num: int, beam: int, device: torch.device):
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
                if word == EOS:
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
        answers = []
        for item, scores in enumerate(self.scores.tolist()):
            hypotheses = [(s, p) for s, p in zip(scores, self.paths[item], strict=True) if s != float("-inf")]
            hypotheses = [self.ended[item]] * (self.ended[item] is not None) + hypotheses
            score, path = max(hypotheses, key=lambda h: h[0])
            answers.append(([w for w in path if w != EOS], score))
        return answers
