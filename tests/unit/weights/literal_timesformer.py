"""TimeSformer's divided space-time attention, written from METHODS 3.1 with the published names, in loops over places.

Letters  T frames, S patches, C width. One clip at a time; a token is a vector, and nothing is batched.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, gelu, layer_norm


def random_weights(*, frames: int, grid: int, patch: int, width: int, blocks: int) -> dict[str, Tensor]:
    """Published names -> values, as a training writes them, with a classifier of 5."""
    shapes = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, grid * grid + 1, width),
        "time_embed": (1, frames, width),
        "patch_embed.proj.weight": (width, 3, patch, patch),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
        "head.weight": (5, width),
        "head.bias": (5,),
    }
    for n in range(blocks):
        for norm in ("norm1", "temporal_norm1", "norm2"):
            shapes |= {f"blocks.{n}.{norm}.weight": (width,), f"blocks.{n}.{norm}.bias": (width,)}
        sides = {
            "attn.qkv": (3, 1),
            "attn.proj": (1, 1),
            "temporal_attn.qkv": (3, 1),
            "temporal_attn.proj": (1, 1),
        }
        sides |= {"temporal_fc": (1, 1), "mlp.fc1": (4, 1), "mlp.fc2": (1, 4)}
        for name, (out, into) in sides.items():
            shapes[f"blocks.{n}.{name}.weight"] = (out * width, into * width)
            shapes[f"blocks.{n}.{name}.bias"] = (out * width,)
    generator = torch.Generator().manual_seed(3)
    return {f"model.{name}": 0.2 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def patch_features(weights: dict[str, Tensor], clip: Tensor, *, heads: int, patch: int) -> Tensor:
    """(T, S, C) of a clip (T, 3, H, W), normalised already."""
    w = {name.removeprefix("model."): tensor for name, tensor in weights.items()}
    cells = conv2d(
        clip, w["patch_embed.proj.weight"], w["patch_embed.proj.bias"], stride=patch
    )  # (T, C, h, w)
    num_frames, _, rows, columns = cells.shape
    side = math.isqrt(w["pos_embed"].shape[1] - 1)
    times = w["time_embed"][0]
    cls = w["cls_token"][0, 0] + w["pos_embed"][0, 0]
    x = {}  # (frame, patch) -> token; tables by nearest neighbour
    for t in range(num_frames):
        for r in range(rows):
            for c in range(columns):
                place = 1 + (r * side // rows) * side + c * side // columns
                time = times[t * len(times) // num_frames]
                x[t, r * columns + c] = cells[t, :, r, c] + w["pos_embed"][0, place] + time
    patches, depth = range(rows * columns), len({n.split(".")[1] for n in w if n.startswith("blocks.")})
    for n in range(depth):
        b = {name.removeprefix(f"blocks.{n}."): v for name, v in w.items() if name.startswith(f"blocks.{n}.")}
        # over time: each patch sees itself in all frames, the class token takes no part
        seen = {s: attention(b, "temporal_", [x[t, s] for t in range(num_frames)], heads) for s in patches}
        moved = {(t, s): x[t, s] + linear(b, "temporal_fc", seen[s][t]) for t, s in x}
        # over space: each frame with a copy of the class token, whose answers are averaged
        answers = [attention(b, "", [cls, *(moved[t, s] for s in patches)], heads) for t in range(num_frames)]
        cls = cls + torch.stack([answer[0] for answer in answers]).mean(dim=0)
        x = {(t, s): moved[t, s] + answers[t][1 + s] for t, s in moved}
        cls, x = cls + mlp(b, cls), {place: token + mlp(b, token) for place, token in x.items()}
    out = [[normed(w, "norm", x[t, s]) for s in patches] for t in range(num_frames)]
    return torch.stack([torch.stack(frame) for frame in out])


def normed(b: dict[str, Tensor], name: str, token: Tensor) -> Tensor:
    return layer_norm(token, token.shape, b[f"{name}.weight"], b[f"{name}.bias"], eps=1e-6)


def linear(b: dict[str, Tensor], name: str, token: Tensor) -> Tensor:
    return b[f"{name}.weight"] @ token + b[f"{name}.bias"]


def mlp(b: dict[str, Tensor], token: Tensor) -> Tensor:
    return linear(b, "mlp.fc2", gelu(linear(b, "mlp.fc1", normed(b, "norm2", token))))


def attention(b: dict[str, Tensor], kind: str, tokens: list[Tensor], heads: int) -> list[Tensor]:
    """What each token takes from all: queries, keys, values lie one behind the other, each cut into heads."""
    width = len(tokens[0])
    size = width // heads
    cuts = [linear(b, f"{kind}attn.qkv", normed(b, f"{kind}norm1", token)).split(width) for token in tokens]
    found = []
    for query, _, _ in cuts:
        parts = []
        for h in range(heads):
            own = slice(h * size, (h + 1) * size)
            scores = torch.stack([query[own] @ key[own] / math.sqrt(size) for _, key, _ in cuts])
            shares = scores.softmax(dim=0)
            parts.append(sum(share * value[own] for share, (_, _, value) in zip(shares, cuts, strict=True)))
        found.append(linear(b, f"{kind}attn.proj", torch.cat(parts)))
    return found
