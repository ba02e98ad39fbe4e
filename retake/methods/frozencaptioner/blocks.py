"""What the tables of cost are told of: the attention of a model's adapters alone, and how many pairs it compares.

Letters  T frames, S places of a frame, L words.
Source   sec. 4.2: 40M and 2.6M operations of self-attention at 16 frames of 400 places (20 x 20 patches of 16 at 320
px; the paper's "16-patch" does not give them); O(qst), O(2qst) and O(qs + qt) of cross-attention.
"""

import torch
from torch import Tensor, nn

from retake.methods.frozencaptioner.attention import WAYS, Resampler, self_attention_pairs, video_of


def pairs(*, attention: str, frames: int, places: int, words: int, latents: int) -> int:
    """Of one layer and one video; without words (0) those of its tokens among themselves.

    Latents are asked by the words, and ask all tokens before, once a video.
    """
    if not words:
        return self_attention_pairs(attention, frames, places)
    if attention == "perceiver":
        return latents * frames * places + WAYS[attention].pairs(words, 1, latents)
    return WAYS[attention].pairs(words, frames, places)


class AttentionOfAdapters(nn.Module):
    """What `layers` adapters attend to, without the rest of them: words (B, L, D), features (B, T, S, C)."""

    def __init__(self, *, attention: str, layers: int, latents: int, ffn_factor: int, **sizes: int):
        super().__init__()
        self.resampler = None
        if attention == "perceiver":
            heads = {name: sizes[name] for name in ("heads", "head_width")}
            self.resampler = Resampler(
                width=sizes["key_width"], latents=latents, ffn_factor=ffn_factor, **heads
            )
        self.layers = nn.ModuleList(WAYS[attention](**sizes) for _ in range(layers))

    def forward(self, words: Tensor, features: Tensor) -> Tensor:
        keep = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)
        video = video_of(features, keep, features.shape[-1])
        if self.resampler is not None:
            video = self.resampler(video)
        pooled = self.layers[0].pooled(video)  # type: ignore[union-attr]
        for layer in self.layers:
            words = words + layer(words, layer.keys(pooled))  # type: ignore[operator]
        return words


def block(
    *, attention: str, frames: int, places: int, words: int, videos: int, layers: int, width: int, key_width: int,
    heads: int, head_width: int, latents: int, ffn_factor: int,
) -> tuple[nn.Module, tuple[Tensor, ...]]:  # fmt: skip
    """The attention of `layers` adapters and what goes through it: words that need a gradient, features that do not."""
    network = AttentionOfAdapters(
        attention=attention, layers=layers, latents=latents, ffn_factor=ffn_factor, width=width,
        key_width=key_width, heads=heads, head_width=head_width,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    said = torch.randn(videos, words, width, generator=generator).requires_grad_(True)
    return network, (said, torch.randn(videos, frames, places, key_width, generator=generator))
