"""A small captioner, its tokenizer and made-up videos, for the tests of this folder."""

import json

import torch
from transformers import OPTConfig, OPTForCausalLM

from retake.methods.frozencaptioner.model import build

LETTERS = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4, "b": 5, "c": 6}
TOKENIZER = {"vocab.json": json.dumps(LETTERS), "merges.txt": "#version: 0.2\n"}
C = 6  # width of a token of the videos
LANGUAGE = {"hidden": 16, "layers": 24, "heads": 2, "inner": 32, "positions": 12, "words": 8}
SIZES = {
    "language": LANGUAGE, "feature_width": C, "adapter_layers": [12, 14, 16, 18, 20, 22], "attention": "separable",
    "latents": 3, "heads": 2, "head_width": 8, "ffn_factor": 4, "gate": "vector", "gate_start": 0.0, "max_tokens": 10,
}  # fmt: skip


def captioner(**changes):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return build(**(SIZES | changes), tokenizer=TOKENIZER).eval()


def videos(num=2, frames=3, places=4, seed=1):
    """features (B, T, S, C) and keep (B, T): the second video is shorter."""
    torch.manual_seed(seed)
    keep = torch.ones(num, frames, dtype=torch.bool)
    keep[1:2, -1] = False
    return torch.randn(num, frames, places, C), keep


def batch_of(captions, **shape):
    features, keep = videos(len(captions), **shape)
    return {"features": features, "keep": keep, "text_out": captions}


def published(language):
    """transformers' own OPT, with its own defaults, filled with the weights of a model's language model."""
    sizes = {
        "hidden_size": 16, "word_embed_proj_dim": 16, "num_hidden_layers": len(language.model.decoder.layers),
        "num_attention_heads": 2, "ffn_dim": 32, "max_position_embeddings": 12, "vocab_size": 8,
    }  # fmt: skip
    torch.manual_seed(5)
    other = OPTForCausalLM(OPTConfig(**sizes)).eval()
    missing, unknown = other.load_state_dict(language.state_dict(), strict=False)
    assert missing == ["lm_head.weight"]  # the embedding once more
    assert not unknown
    return other
