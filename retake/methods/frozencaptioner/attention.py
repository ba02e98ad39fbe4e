"""Ways in which words attend to the tokens of a video.

Letters  B videos, T frames, S places of a frame, C width of a token, N keys, L words, D width of a word, H heads,
E width of a head.
Source   sec. 4.2: a maximum over space and one over time, a layer norm and a cross-attention each, both outputs
concatenated and mapped down. Beside it what the paper compares it with in words.
Ours     heads, their width and that of their outputs; no biases in linear maps; README.md has the rest.

Each way has three parts. `pooled` has no parameters: it is the same for every layer, and done once a video. `keys`
is a layer's own, and the same for every word. `forward` is what each word asks. `pairs` counts the pairs of a query
and a key.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from retake.layers.shapes import expect

Keys = tuple[Tensor, ...]  # of a batch of videos: the first axis of each is B


class Video(NamedTuple):
    """Tokens (B, T, S, C), zero on padded frames; keep (B, T), False there."""

    tokens: Tensor
    keep: Tensor


def video_of(features: Tensor, keep: Tensor, width: int) -> Video:
    """Raises ValueError where shapes do not fit, or a video keeps no frame: a maximum over nothing is none."""
    sizes = expect(features, "B T S C", C=width)
    expect(keep, "B T", B=sizes["B"], T=sizes["T"])
    if not bool(keep.any(dim=1).all()):
        raise ValueError("a video in the batch keeps no frame; it must be left out of the table")
    return Video(filled(features, keep, 0.0), keep)


def filled(tokens: Tensor, keep: Tensor, value: float) -> Tensor:
    """tokens (B, T, S, C) with `value` on padded frames; themselves where there are none, as copies are large."""
    return tokens if bool(keep.all()) else tokens.masked_fill(~keep[..., None, None], value)


class CrossAttention(nn.Module):
    """Words ask, normalised tokens answer. Tokens may have further axes, which are asked apart."""

    def __init__(self, *, width: int, key_width: int, heads: int, head_width: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(key_width)
        self.query = nn.Linear(width, heads * head_width, bias=False)
        self.key = nn.Linear(key_width, heads * head_width, bias=False)
        self.value = nn.Linear(key_width, heads * head_width, bias=False)
        self.answer = nn.Linear(heads * head_width, width, bias=False)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(-3, -2)  # (..., H, N, E)

    def keys(self, tokens: Tensor) -> Keys:
        """Keys and values (B, ..., H, N, E) of tokens (B, ..., N, C)."""
        tokens = self.norm(tokens)
        return self._split(self.key(tokens)), self._split(self.value(tokens))

    def forward(self, words: Tensor, keys: Tensor, values: Tensor, keep: Tensor | None = None) -> Tensor:
        """words (B, L, D) to (B, ..., L, D). keep (B, ..., N): which keys may answer; None: all."""
        query = self._split(self.query(words))  # (B, H, L, E)
        for _ in range(keys.ndim - query.ndim):
            query = query.unsqueeze(1)
        query = query.expand(*keys.shape[:-2], *query.shape[-2:])
        mask = None if keep is None else keep[..., None, None, :]
        found = scaled_dot_product_attention(query, keys, values, attn_mask=mask)  # (B, ..., H, L, E)
        return self.answer(found.transpose(-3, -2).flatten(-2))


class _TimeAndSpace(nn.Module):
    """Two cross-attentions, one over frames and one over places, joined."""

    def __init__(self, *, width: int, **sizes: int):
        super().__init__()
        self.over_time = CrossAttention(width=width, **sizes)
        self.over_space = CrossAttention(width=width, **sizes)
        self.join = nn.Linear(2 * width, width, bias=False)


class Separable(_TimeAndSpace):
    """Attention to frames, each the maximum over its places, and to places, each the maximum over frames."""

    @staticmethod
    def pooled(video: Video) -> tuple[Tensor, ...]:
        """(B, T, C), keep (B, T), (B, S, C)."""
        frames = video.tokens.amax(dim=2)
        places = filled(video.tokens, video.keep, float("-inf")).amax(dim=1)
        return frames, video.keep, places

    def keys(self, pooled: tuple[Tensor, ...]) -> Keys:
        frames, keep, places = pooled
        return *self.over_time.keys(frames), keep, *self.over_space.keys(places)

    def forward(self, words: Tensor, keys: Keys) -> Tensor:
        """words (B, L, D) to (B, L, D)."""
        when = self.over_time(words, *keys[:3])
        where = self.over_space(words, *keys[3:])
        return self.join(torch.cat([when, where], dim=-1))

    @staticmethod
    def pairs(words: int, frames: int, places: int) -> int:
        return words * (frames + places)


class Axial(_TimeAndSpace):
    """Self-attention's two axes taken over as they are: every frame's places, then every place's frames.

    Ours: the answers of all frames, and those of all places, are averaged.
    """

    @staticmethod
    def pooled(video: Video) -> tuple[Tensor, ...]:
        return video.tokens, video.keep

    def keys(self, pooled: tuple[Tensor, ...]) -> Keys:
        tokens, keep = pooled
        across = tokens.transpose(1, 2)  # (B, S, T, C)
        return *self.over_space.keys(tokens), *self.over_time.keys(across), keep

    def forward(self, words: Tensor, keys: Keys) -> Tensor:
        """words (B, L, D) to (B, L, D)."""
        keep = keys[4]
        where = self.over_space(words, keys[0], keys[1])  # (B, T, L, D)
        share = keep / keep.sum(dim=1, keepdim=True)
        where = torch.einsum("btld,bt->bld", where, share.to(where.dtype))
        when = self.over_time(words, keys[2], keys[3], keep.unsqueeze(1)).mean(dim=1)  # of (B, S, L, D)
        return self.join(torch.cat([when, where], dim=-1))

    @staticmethod
    def pairs(words: int, frames: int, places: int) -> int:
        return 2 * words * frames * places


class Full(nn.Module):
    """Attention to every token."""

    def __init__(self, **sizes: int):
        super().__init__()
        self.attention = CrossAttention(**sizes)

    @staticmethod
    def pooled(video: Video) -> tuple[Tensor, ...]:
        """(B, T*S, C), keep (B, T*S)."""
        return video.tokens.flatten(1, 2), video.keep.repeat_interleave(video.tokens.shape[2], dim=1)

    def keys(self, pooled: tuple[Tensor, ...]) -> Keys:
        return *self.attention.keys(pooled[0]), pooled[1]

    def forward(self, words: Tensor, keys: Keys) -> Tensor:
        """words (B, L, D) to (B, L, D)."""
        return self.attention(words, *keys)

    @staticmethod
    def pairs(words: int, frames: int, places: int) -> int:
        return words * frames * places


class Resampler(nn.Module):
    """A Perceiver: a few learnt latents ask all tokens; what they hear is all that is left of the video.

    Ours: one round, a gateless residual and a feed-forward after it; shared by all layers, as Flamingo's is.
    """

    def __init__(self, *, width: int, latents: int, heads: int, head_width: int, ffn_factor: int):
        super().__init__()
        self.latents = nn.Parameter(torch.randn(latents, width) * 0.02)
        self.norm = nn.LayerNorm(width)
        self.attention = CrossAttention(width=width, key_width=width, heads=heads, head_width=head_width)
        self.feed = feed_forward(width, ffn_factor)

    def forward(self, video: Video) -> Video:
        """A video of one frame of so many latents."""
        tokens, keep = Full.pooled(video)
        latents = self.latents.expand(len(tokens), -1, -1)  # (B, n, C)
        latents = latents + self.attention(self.norm(latents), *self.attention.keys(tokens), keep)
        latents = latents + self.feed(latents)
        return Video(latents.unsqueeze(1), video.keep.new_ones(len(tokens), 1))

    def pairs(self, frames: int, places: int) -> int:
        return len(self.latents) * frames * places


def feed_forward(width: int, factor: int) -> nn.Sequential:
    """Layer norm, a layer `factor` times as wide, and back (Flamingo's, 4 times; without biases: ours)."""
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, factor * width, bias=False),
        nn.GELU(),
        nn.Linear(factor * width, width, bias=False),
    )


WAYS: dict[str, type[Separable] | type[Axial] | type[Full]] = {
    "separable": Separable,
    "axial": Axial,
    "full": Full,
    "perceiver": Full,  # of the resampler's latents
}


def self_attention_pairs(way: str, frames: int, places: int) -> int:
    """Of all tokens with all tokens (full), or of each frame's and each place's with one another (separable)."""
    if way == "full":
        return (frames * places) ** 2
    if way == "separable":
        return frames**2 * places + frames * places**2
    raise ValueError(f"self-attention: expected full or separable, found {way!r}")
