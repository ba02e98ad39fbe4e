"""A frozen OPT that reads words through adapters.

Letters  B sentences, L words, D width, V vocabulary.
Source   sec. 4.1 and 5.2: nothing below the first adapter needs a gradient. An adapter stands before its layer's
self-attention, as Flamingo's do (ours: the paper does not say).
The layers are those of transformers, called one by one: sentences are padded behind, where a causal model does not
look, so that no mask is needed, and their own causal attention is used.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import DynamicCache, OPTConfig, OPTModel

SIZES = {  # ours -> what OPTConfig calls them
    "hidden": "hidden_size", "layers": "num_hidden_layers", "heads": "num_attention_heads", "inner": "ffn_dim",
    "positions": "max_position_embeddings", "words": "vocab_size",
}  # fmt: skip
Adapt = Callable[[int, Tensor], Tensor]  # (layer, words) -> words as that layer is to read them


class Language(nn.Module):
    """An OPT, frozen, whose output layer is its embedding: names of its tensors are those of the published file."""

    def __init__(self, sizes: dict[str, int]):
        """Raises ValueError on a size that is missing or not known.

        It never drops anything (ours: what is frozen is read as it answers). At random its weights are spread as the
        published size's are, by width: a small one with the same 0.02 could not tell one word from another.
        """
        super().__init__()
        if sizes.keys() != SIZES.keys():
            wrong = min(sizes.keys() ^ SIZES.keys())
            raise ValueError(f"language: {wrong!r}: expected {', '.join(SIZES)}, each once")
        self.config = OPTConfig(
            **{SIZES[name]: size for name, size in sizes.items()}, word_embed_proj_dim=sizes["hidden"],
            dropout=0.0, attention_dropout=0.0, layerdrop=0.0, init_std=0.02 * math.sqrt(2048 / sizes["hidden"]),
            attn_implementation="sdpa",
        )  # fmt: skip
        self.model = OPTModel(self.config)
        self.requires_grad_(False)

    def cache(self) -> DynamicCache:
        """What is to hold the keys and values of words that were read."""
        return DynamicCache(config=self.config)

    def forward(
        self,
        tokens: Tensor,
        adapt: Adapt,
        *,
        first: int,
        cache: DynamicCache | None = None,
        asked: Tensor | None = None,
    ) -> Tensor:
        """Scores (B, L, V) of the word after each of tokens (B, L). Layers below `first` keep no graph.

        cache  of the words before, which is added to; with words in it, one word at a time can be read
        asked  (B, L) of bool: scores (N, V) of these N places alone, row by row; None: of all
        Raises ValueError where that is not so, or there are more words than positions.
        """
        decoder = self.model.decoder
        past = 0 if cache is None else cache.get_seq_length()
        length, room = past + tokens.shape[1], self.config.max_position_embeddings
        if past and tokens.shape[1] > 1:
            raise ValueError(f"after {past} words one is read at a time, not {tokens.shape[1]}")
        if length > room:
            raise ValueError(f"{length} words, the language model has {room} positions")
        with torch.no_grad():
            places = torch.arange(past, length, device=tokens.device).unsqueeze(0)  # (1, L)
            words = decoder.embed_tokens(tokens) + decoder.embed_positions(tokens, position_ids=places)
            for layer in decoder.layers[:first]:
                words = _through(layer, words, cache)
        for number, layer in enumerate(decoder.layers[first:], start=first):
            words = _through(layer, adapt(number, words), cache)
        words = words if asked is None else words[asked]
        return linear(decoder.final_layer_norm(words), decoder.embed_tokens.weight)


def _through(layer: nn.Module, words: Tensor, cache: Any) -> Tensor:
    return layer(words, past_key_values=cache, use_cache=cache is not None)
