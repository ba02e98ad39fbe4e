"""Beam search over a captioner's words, each read once: what was said before is kept as keys and values.

Costs are without length normalisation, and a sentence that ends spends its place in the beam (retake.layers.beam).
The paper names no search; table 1 is without one.
"""

from typing import Any

import torch

from retake.layers.beam import Beams
from retake.methods.frozencaptioner.attention import Keys


def search(model: Any, keys: dict[int, Keys], *, beam: int, max_len: int) -> list[tuple[list[int], float]]:
    """For each video its best tokens (without the end) and their summed log-probability.

    At most `max_len` tokens are said, the end among them. Padding and numbers that are no token are never said.
    Raises ValueError unless beam and max_len are positive.
    """
    if beam < 1 or max_len < 1:
        raise ValueError(f"beam and max_len must be positive, found {beam} and {max_len}")
    first = next(iter(keys.values()))[0]
    num, device, tokenizer = len(first), first.device, model.tokenizer
    beams = Beams(num, beam, device, end=tokenizer.eos)
    keys = {n: tuple(part.repeat_interleave(beam, dim=0) for part in parts) for n, parts in keys.items()}
    cache = model.language.cache()
    words = torch.full((num * beam,), tokenizer.bos, device=device)
    for _ in range(max_len):
        scores = model.score(words.unsqueeze(1), keys, cache)[:, -1].float().log_softmax(dim=-1)  # (B*K, V)
        scores[:, tokenizer.pad] = float("-inf")
        scores[:, len(tokenizer) :] = float("-inf")
        parents, words = beams.grow(scores.unflatten(0, (num, beam)))
        if beams.decided():
            break
        rows = (torch.arange(num, device=device).unsqueeze(1) * beam + parents).flatten()
        cache.reorder_cache(rows)
        words = words.flatten()
    return beams.best()
