"""The SA-LSTM decoder: attend to frames, read the previous word, predict the next one.

Letters  B captions, T frames, C feature width, L words, E embedding, H hidden, A attention width, V
vocabulary.
Source   sec. 3.2; eqs. (3)-(17). Equation numbers stand at the lines.
Ours     dropout (the paper names none: its place is that of the Theano ancestor) and word dropout.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from retake.layers.shapes import expect
from retake.methods.etenet.text import UNK


class Video(NamedTuple):
    """What every step reads of a video and is computed once."""

    features: Tensor  # (B, T, C)
    projected: Tensor  # (B, T, A), W_ev v_i + b_e of eq. (3)
    keep: Tensor  # (B, T), False where the video is padded


class Step(NamedTuple):
    context: Tensor  # (B, C), the gated average of eq. (6)
    attention: Tensor  # (B, T), alpha of eq. (4)
    hidden: Tensor  # (B, H)
    cell: Tensor  # (B, H)


class SoftAttention(nn.Module):
    """Weights over frames, given the hidden state before the step: eqs. (3)-(6)."""

    def __init__(self, *, feature_width: int, hidden: int, attention: int):
        super().__init__()
        self.of_hidden = nn.Linear(hidden, attention, bias=False)  # W_eh
        self.of_frame = nn.Linear(feature_width, attention)  # W_ev, b_e
        self.score = nn.Linear(attention, 1)  # W_a, b_a
        self.gate = nn.Linear(hidden, 1)  # W_beta, b_beta

    def forward(self, video: Video, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the gated context (B, C) and the weights (B, T), which are zero on padded frames."""
        energy = torch.tanh(self.of_hidden(hidden).unsqueeze(1) + video.projected)  # (B, T, A)
        energy = self.score(energy).squeeze(-1)  # (B, T), eq. (3)
        weights = energy.masked_fill(~video.keep, float("-inf")).softmax(dim=1)  # eq. (4)
        beta = torch.sigmoid(self.gate(hidden))  # (B, 1), eq. (5)
        return beta * torch.bmm(weights.unsqueeze(1), video.features).squeeze(1), weights  # eq. (6)


class Decoder(nn.Module):
    """Teacher-forced reading of whole captions, or one step at a time for the beam search."""

    def __init__(
        self, *, vocabulary: int, feature_width: int, embedding: int, hidden: int, attention: int,
        dropout: float, word_dropout: float,
    ):  # fmt: skip
        super().__init__()
        self.dropout, self.word_dropout = dropout, word_dropout
        self.feature_width = feature_width
        self.embed = nn.Embedding(vocabulary, embedding)
        self.attend = SoftAttention(feature_width=feature_width, hidden=hidden, attention=attention)
        self.lstm = nn.LSTMCell(feature_width + embedding, hidden)  # eqs. (8)-(13), two biases a gate
        self.first_hidden = nn.Linear(feature_width, hidden)  # eq. (16)
        self.first_cell = nn.Linear(feature_width, hidden)  # eq. (17)
        self.mix = nn.Linear(feature_width + hidden, embedding)  # W_u, b_u of eq. (14)
        self.predict_word = nn.Linear(embedding, vocabulary)  # W_p, b_p of eq. (15)

    def look(self, features: Tensor, keep: Tensor) -> Video:
        """features (B, T, C), keep (B, T). Raises ValueError if a video keeps no frame: its mean would be
        0/0.
        """
        sizes = expect(features, "B T C", C=self.feature_width)
        expect(keep, "B T", B=sizes["B"], T=sizes["T"])
        if not bool(keep.any(dim=1).all()):
            raise ValueError("a video in the batch keeps no frame; it must be left out of the table")
        features = features.masked_fill(
            ~keep.unsqueeze(-1), 0.0
        )  # what stands on padded frames is never read
        return Video(features, self.attend.of_frame(features), keep)

    def begin(self, video: Video) -> tuple[Tensor, Tensor]:
        """The first hidden state and cell (B, H), from the mean over kept frames."""
        mean = video.features.sum(dim=1) / video.keep.sum(dim=1, keepdim=True)  # (B, C)
        return torch.tanh(self.first_hidden(mean)), torch.tanh(self.first_cell(mean))  # eqs. (16), (17)

    def step(self, video: Video, embedded: Tensor, hidden: Tensor, cell: Tensor) -> Step:
        """One word further: embedded (B, E) is the previous word's vector."""
        context, weights = self.attend(video, hidden)
        hidden, cell = self.lstm(torch.cat([context, embedded], dim=1), (hidden, cell))  # eqs. (7)-(13)
        return Step(context, weights, hidden, cell)

    def logits(self, context: Tensor, hidden: Tensor, embedded: Tensor) -> Tensor:
        """Scores (..., V) of the next word, before the softmax."""
        hidden = dropout(hidden, self.dropout, self.training)
        mixed = torch.tanh(self.mix(torch.cat([context, hidden], dim=-1)) + embedded)  # eq. (14), inside (15)
        return self.predict_word(dropout(mixed, self.dropout, self.training))  # eq. (15)

    def forward(self, features: Tensor, keep: Tensor, words_in: Tensor) -> tuple[Tensor, Tensor]:
        """Read captions: words_in (B, L) begin with SOS. Returns logits (B, L, V) and attention (B, L, T)."""
        sizes = expect(words_in, "B L", B=features.shape[0])
        if self.training and self.word_dropout:
            lost = torch.rand(words_in.shape, device=words_in.device) < self.word_dropout
            words_in = words_in.masked_fill(lost, UNK)
        video = self.look(features, keep)
        hidden, cell = self.begin(video)
        embedded = self.embed(words_in)  # (B, L, E)
        steps = []
        for position in range(sizes["L"]):
            steps.append(self.step(video, embedded[:, position], hidden, cell))
            hidden, cell = steps[-1].hidden, steps[-1].cell
        contexts, hiddens = (
            torch.stack([s[i] for s in steps], dim=1) for i in (0, 2)
        )  # (B, L, C), (B, L, H)
        return self.logits(contexts, hiddens, embedded), torch.stack([s.attention for s in steps], dim=1)
