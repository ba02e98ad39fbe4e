"""Sentences drawn token by token from the likeliest tokens (Holtzman et al., 2020), each by its own dice.

Letters  N sentences, L tokens so far, V tokens there are.
What a sentence becomes depends on its own logits and seed alone, not on which others are drawn beside it (up to
how a processor rounds products of matrices of another height).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Step = Callable[[Tensor], Tensor]  # the tokens that are new (N, any) -> logits (N, V) of the next one


def nucleus(
    step: Step, begin: Tensor, seeds: Sequence[int], *, end: int, top_p: float, max_length: int,
    top_k: int | None = None, repetition_penalty: float = 1.0, min_length: int = 0,
) -> list[list[int]]:  # fmt: skip
    """The tokens of each sentence after `begin` (N, L), without `end`. Lengths count those of `begin`, too.

    step  keeps what it was given before: it is called with `begin`, then with one token a sentence
    """
    dice = [_dice(seed, max(0, max_length - begin.shape[1])) for seed in seeds]
    tokens, new, said = begin, begin, [[] for _ in seeds]  # type: ignore[var-annotated]
    open_ = torch.ones(len(seeds), dtype=torch.bool)
    for turn in range(max_length - begin.shape[1]):
        logits = penalised(step(new).float(), tokens, repetition_penalty)
        if tokens.shape[1] < min_length:
            logits[:, end] = -torch.inf
        drawn = draw(logits, torch.stack([one[turn] for one in dice]), top_p, top_k)
        open_ &= drawn != end
        for row in open_.nonzero().flatten().tolist():
            said[row].append(int(drawn[row]))
        if not open_.any():
            break
        new = drawn.to(begin.device).unsqueeze(1)
        tokens = torch.cat([tokens, new], dim=1)
    return said


def _dice(seed: int, count: int) -> Tensor:
    """(count,) numbers in [0, 1), one a turn."""
    return torch.rand(count, generator=torch.Generator().manual_seed(seed % 2**63), dtype=torch.float64)


def penalised(logits: Tensor, tokens: Tensor, penalty: float) -> Tensor:
    """Logits (N, V) with those of `tokens` (N, L) moved down: divided by the penalty, or multiplied below 0."""
    if penalty == 1.0:
        return logits.clone()
    said = logits.gather(1, tokens)
    return logits.scatter(1, tokens, torch.where(said < 0, said * penalty, said / penalty))


def draw(logits: Tensor, dice: Tensor, top_p: float, top_k: int | None) -> Tensor:
    """(N,) tokens on the processor: of the fewest whose probability is at least top_p, and of at most top_k.

    dice (N,) float64 in [0, 1): where in the heap of what is kept, the likeliest first.
    """
    ordered, number = logits.sort(dim=1, descending=True, stable=True)
    kept, number = ordered[:, :top_k].cpu().double(), number[:, :top_k].cpu()
    shares = kept.softmax(dim=1)  # in double precision, and where sums have one order
    before = shares.cumsum(dim=1) - shares
    shares = shares * (before < top_p)
    shares[:, 0] = shares[:, 0].clamp(min=1e-300)
    heap = shares.cumsum(dim=1)
    place = (heap <= dice.unsqueeze(1) * heap[:, -1:]).sum(dim=1, keepdim=True)
    last = (shares > 0).sum(dim=1, keepdim=True) - 1
    return number.gather(1, torch.minimum(place, last)).squeeze(1)
