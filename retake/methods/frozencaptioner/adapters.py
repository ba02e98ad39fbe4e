"""What is trained: adapters between the layers of a language model that stays as it is.

Letters  B videos, L words, D width of a word; see attention.py for the video's.
Source   sec. 4.1 and figure 4: cross-attention, then feed-forward, each pre-norm, each with a residual that a gate
tanh(g) weighs by dimension. Sec. 6: g starts at 0 (Flamingo) or at 1.
"""

from typing import Any

import torch
from torch import Tensor, nn

from retake.methods.frozencaptioner.attention import WAYS, Keys, Resampler, Video, feed_forward

GATES = ("vector", "scalar")


class Gate(nn.Module):
    """tanh(g) times what comes in: g has a number a dimension (vector) or one for all (scalar).

    `start` is kept beside it, so that a checkpoint tells how far a gate has moved.
    """

    start: Tensor

    def __init__(self, width: int, *, kind: str, start: float):
        super().__init__()
        if kind not in GATES:
            raise ValueError(f"gate must be {' or '.join(GATES)}, found {kind!r}")
        self.value = nn.Parameter(torch.full((width if kind == "vector" else 1,), float(start)))
        self.register_buffer("start", torch.full((1,), float(start)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.value) * x


class Adapter(nn.Module):
    """One adapter: what stands before the self-attention of one layer."""

    def __init__(
        self, *, attention: str, width: int, key_width: int, heads: int, head_width: int, ffn_factor: int,
        gate: str, gate_start: float,
    ):  # fmt: skip
        super().__init__()
        if attention not in WAYS:
            raise ValueError(f"attention must be one of {', '.join(WAYS)}, found {attention!r}")
        self.norm = nn.LayerNorm(width)
        self.attention = WAYS[attention](width=width, key_width=key_width, heads=heads, head_width=head_width)
        self.attention_gate = Gate(width, kind=gate, start=gate_start)
        self.feed = feed_forward(width, ffn_factor)
        self.feed_gate = Gate(width, kind=gate, start=gate_start)

    def forward(self, words: Tensor, keys: Keys) -> Tensor:
        """words (B, L, D) to (B, L, D)."""
        words = words + self.attention_gate(self.attention(self.norm(words), keys))
        return words + self.feed_gate(self.feed(words))


class Adapters(nn.Module):
    """The adapters of all layers, by the layer's number, and what they share."""

    def __init__(self, *, layers: list[int], attention: str, latents: int, **sizes: Any):
        super().__init__()
        self.resampler = None
        if attention == "perceiver":
            shared = {name: sizes[name] for name in ("heads", "head_width", "ffn_factor")}
            self.resampler = Resampler(width=sizes["key_width"], latents=latents, **shared)
        self.layers = nn.ModuleDict({str(n): Adapter(attention=attention, **sizes) for n in layers})
        self.first = min(layers)

    def look(self, video: Video) -> dict[int, Keys]:
        """What every word will ask of a video, by layer."""
        if self.resampler is not None:
            video = self.resampler(video)
        adapters: list[Adapter] = list(self.layers.values())  # type: ignore[arg-type]
        pooled = adapters[0].attention.pooled(video)
        return {int(n): a.attention.keys(pooled) for n, a in zip(self.layers, adapters, strict=True)}

    def forward(self, layer: int, words: Tensor, keys: dict[int, Keys]) -> Tensor:
        """words (B, L, D) as layer `layer` is to read them."""
        return self.layers[str(layer)](words, keys[layer]) if layer in keys else words


def gate_move(before: dict[str, Tensor] | None, after: dict[str, Tensor]) -> float:
    """The largest absolute move of tanh(g), over all gates of a checkpoint's tensors.

    From the gates of `before`; from where they began, where `before` has none. Raises ValueError where `after` has
    no gate, or `before` gates of another shape.
    """
    ends = "_gate.value"
    gates = [name for name in after if name.endswith(ends)]
    if not gates:
        raise ValueError(f"no tensor is called ...{ends}: no checkpoint with gates")
    moves = []
    for name in gates:
        begun = (before or {}).get(name, after[name.removesuffix("value") + "start"])
        if begun.numel() not in (1, after[name].numel()):
            raise ValueError(f"{name}: {begun.numel()} numbers before, {after[name].numel()} after")
        moves.append((torch.tanh(after[name].double()) - torch.tanh(begun.double())).abs().max().item())
    return max(moves)
