"""Beam search as in the Theano ancestor of the paper's decoder: costs without length normalisation.

What a hypothesis' score is, and how one ends, stands in retake/layers/beam.py.
"""

import torch
from torch import Tensor

from retake.layers.beam import Beams
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
    beams = Beams(num, beam, features.device, end=EOS)
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
