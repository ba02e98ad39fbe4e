"""TimeSformer's published tensors under transformers' names, and the config.json that their shapes tell."""

import re
from math import isqrt
from typing import Any

from torch import Tensor

HEAD_WIDTH = 64  # of each attention head: no shape tells it
ENDS = {  # of names outside the blocks: theirs -> transformers'
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
    "time_embed": "embeddings.time_embeddings",
    "patch_embed.proj": "embeddings.patch_embeddings.projection",
    "norm": "layernorm",
}
PARTS = {  # of a block
    "norm1": "layernorm_before",
    "attn.qkv": "attention.attention.qkv",
    "attn.proj": "attention.output.dense",
    "temporal_norm1": "temporal_layernorm",
    "temporal_attn.qkv": "temporal_attention.attention.qkv",
    "temporal_attn.proj": "temporal_attention.output.dense",
    "temporal_fc": "temporal_dense",
    "norm2": "layernorm_after",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}


def rename(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """With the names of model.py's `Files`; the classifier is left out. Raises ValueError on an unknown name."""
    bare = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    return {_renamed(name): tensor for name, tensor in bare.items() if not name.startswith("head.")}


def _renamed(name: str) -> str:
    block = re.fullmatch(r"blocks\.(\d+)\.(.+?)\.(weight|bias)", name)
    if block and block[2] in PARTS:
        return f"encoder.layer.{block[1]}.{PARTS[block[2]]}.{block[3]}"
    stem, end = (name, "") if name in ENDS else name.rsplit(".", 1) if "." in name else (name, "")
    if stem not in ENDS:
        raise ValueError(f"{name!r} is no name of TimeSformer's")
    return ".".join([ENDS[stem], *([end] if end else [])])


def config(tensors: dict[str, Tensor]) -> dict[str, Any]:
    """The config.json of the network that tensors of the published names belong to. Raises KeyError on others."""
    bare = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    hidden, channels, patch, _ = bare["patch_embed.proj.weight"].shape
    blocks = {name.split(".")[1] for name in bare if name.startswith("blocks.")}
    return {
        "architectures": ["TimesformerModel"],
        "model_type": "timesformer",
        "attention_type": "divided_space_time",
        "num_frames": bare["time_embed"].shape[1],
        "image_size": isqrt(bare["pos_embed"].shape[1] - 1) * patch,
        "patch_size": patch,
        "num_channels": channels,
        "hidden_size": hidden,
        "intermediate_size": bare["blocks.0.mlp.fc1.weight"].shape[0],
        "num_hidden_layers": len(blocks),
        "num_attention_heads": hidden // HEAD_WIDTH,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
        "qkv_bias": "blocks.0.attn.qkv.bias" in bare,
    }
