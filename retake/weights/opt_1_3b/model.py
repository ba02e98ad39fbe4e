"""A language model that writes on: OPT (Zhang et al., 2022), as published, small at mini scale.

Letters  B texts, L tokens of the longest, V tokens of the vocabulary.
Files    those of the hub: config.json, model.safetensors with the names of transformers' OPTForCausalLM but
         lm_head.weight, which is model.decoder.embed_tokens.weight; vocab.json, merges.txt.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from retake.layers.tokenizer import Tokenizer, trained

PREPARED = ("tokenizer",)
TIED = "lm_head.weight"


class LanguageModel(nn.Module):
    """Batch key   text_out: B texts, each read from its beginning token to its end token."""

    def __init__(self, config: dict[str, Any], tokenizer: dict[str, str] | None):
        super().__init__()
        self.network = network_of(config)
        self.files = tokenizer
        self.tokenizer = Tokenizer(tokenizer) if tokenizer is not None else None
        self.longest = config["max_position_embeddings"]

    def losses(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Sums over tokens: `total` their negative log-likelihood, `count` how many, the end token among them."""
        words = self.tokenizer
        rows = [[words.bos, *words.encode(text), words.eos][: self.longest] for text in batch["text_out"]]
        longest = max(map(len, rows))
        device = self.network.device
        numbers = torch.tensor([row + [words.pad] * (longest - len(row)) for row in rows], device=device)
        real = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=device)
        read = self.network.model(input_ids=numbers, attention_mask=real, use_cache=False).last_hidden_state
        asked = real[:, 1:] == 1  # padding is told nothing
        logits = self.network.lm_head(read[:, :-1][asked])  # (N, V)
        total = cross_entropy(logits.float(), numbers[:, 1:][asked], reduction="sum")
        return {"total": total, "count": asked.sum().float()}


def network_of(config: dict[str, Any]) -> nn.Module:
    """The network that a config.json describes, at random."""
    from transformers.models.opt.configuration_opt import OPTConfig  # seconds
    from transformers.models.opt.modeling_opt import OPTForCausalLM

    return OPTForCausalLM(OPTConfig(**config))


def described(
    *, hidden: int, layers: int, heads: int, inner: int, positions: int, words: int, dropout: float
) -> dict[str, Any]:
    """The config.json of these sizes, with the hub's keys."""
    return {
        "architectures": ["OPTForCausalLM"],
        "model_type": "opt",
        "vocab_size": words,
        "hidden_size": hidden,
        "word_embed_proj_dim": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "ffn_dim": inner,
        "max_position_embeddings": positions,
        "activation_function": "relu",
        "do_layer_norm_before": True,
        "dropout": dropout,
        "attention_dropout": 0.0,
        "tie_word_embeddings": True,
        "pad_token_id": 1,
        "bos_token_id": 2,
        "eos_token_id": 2,
    }


def prepare(rows: list[dict[str, Any]], sizes: dict[str, Any]) -> dict[str, Any]:
    """The tokenizer of at most `words` tokens that the rows' text_out teach."""
    return {"tokenizer": trained([row["text_out"] for row in rows], sizes["words"])}


def build(
    *, hidden: int, layers: int, heads: int, inner: int, positions: int, words: int, dropout: float,
    tokenizer: dict[str, str],
) -> LanguageModel:  # fmt: skip
    """words: rows of the embedding, at least the tokenizer's tokens; inner: width between a layer's two linears."""
    config = described(
        hidden=hidden,
        layers=layers,
        heads=heads,
        inner=inner,
        positions=positions,
        words=words,
        dropout=dropout,
    )
    return LanguageModel(config, tokenizer)


def from_config(config: dict[str, Any]) -> LanguageModel:
    """The network that a weights folder's config.json describes, at random, without words."""
    known = described(hidden=0, layers=0, heads=0, inner=0, positions=0, words=0, dropout=0.0)
    return LanguageModel({key: config[key] for key in known if key in config}, None)


def published(
    model: LanguageModel, sizes: dict[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, str]]:
    """Tensors, config and tokenizer files of a trained network, as the hub has them."""
    tensors = {name: tensor for name, tensor in model.network.state_dict().items() if name != TIED}
    return tensors, described(**sizes), dict(model.files)
