"""A small model of blocks, most of it frozen, for trainings by several processes; its embedding is tied to its head."""

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.frozen, self.adapter = nn.Linear(width, width), nn.Linear(width, width)
        self.gate = nn.Parameter(torch.full((width,), 0.5))

    def forward(self, x):
        return x + torch.relu(self.frozen(x)) + torch.tanh(self.gate) * self.adapter(x)


class Blocks(nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        self.blocks = nn.ModuleList(Block(width) for _ in range(2))
        self.table = nn.Embedding(classes, width)
        self.head = nn.Linear(width, classes, bias=False)
        self.head.weight = self.table.weight
        self.register_buffer("seen", torch.ones(3))

    def _logits(self, batch):
        keep = batch["keep"].unsqueeze(-1).float()
        x = (batch["features"] * keep).sum(dim=1) / keep.sum(dim=1)
        for block in self.blocks:
            x = block(x)
        return self.head(x)

    def losses(self, batch):
        """Summed over as many units as the caption has words, so that rows weigh differently."""
        words = torch.tensor([float(len(text.split())) for text in batch["text_out"]])
        target = torch.tensor([len(text) % 5 for text in batch["text_out"]])
        nll = nn.functional.cross_entropy(self._logits(batch).float(), target, reduction="none")
        return {"total": (nll * words).sum(), "count": words.sum()}

    def predict(self, batch, protocol):
        return [{"text": ["dog", "a cat"][int(row.argmax()) % 2]} for row in self._logits(batch)]


def build(*, width: int, classes: int) -> nn.Module:
    return Blocks(width, classes)
