"""Feature bank operators: what a short-term feature takes from the features of the whole video.

Letters  B clips, N features of the clips (boxes, or one a clip), R features of one clip at most, M slots of a window,
         C width of a feature, D width inside, L layers.
Source   METHODS 8.1. S is the short-term feature, the memory is the window of the bank (or the clip's own features).
Slots    a window has M slots, of which `keep` are filled. `pad: attend`, as published: an empty slot is a row of
         zeros that goes through the linear layers and takes part in softmax and mean. `pad: masked`: it takes part
         in nothing, and where no slot of a window is filled nothing is remembered (a feature of zeros).
Ours     dot product and concatenation as in Wang et al. 2018 (divided by the number of slots, never scaled); the
         memory is reduced once a clip, not once a box, so that boxes of a clip share its dropout.
"""

from typing import Any

import torch
from torch import Tensor, nn

from retake.layers.shapes import expect

OPERATORS = ("none", "nl", "avg", "max", "sto")
DOTS = ("softmax", "dot", "concat")
PADS = ("attend", "masked")
STD = 0.01  # of the linear layers at the start


class Layer(nn.Module):
    """One modified non-local block: what S asks of the memory is added to S.

    pre_act  weighted sum, layer norm, ReLU, linear, dropout, added to S; else weighted sum, linear, layer norm,
             dropout, added to S, ReLU. The last linear layer begins at 0: S comes out as it went in (post-activation:
             its positive part).
    """

    def __init__(
        self, width: int, *, scale: bool, layer_norm: bool, dropout: float, dot: str, pre_act: bool
    ):  # fmt: skip
        super().__init__()
        self.theta, self.phi, self.g = (linear(width, width) for _ in range(3))
        self.out = linear(width, width, std=0.0)
        self.norm = nn.LayerNorm(width, elementwise_affine=False) if layer_norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.pair = linear(2 * width, 1) if dot == "concat" else None
        self.factor, self.dot, self.pre_act = width**-0.5 if scale else 1.0, dot, pre_act

    def forward(self, short: Tensor, memory: Tensor, keep: Tensor | None) -> Tensor:
        """(B, R, D). short (B, R, D); memory (B, M, D); keep (B, M), None where all take part."""
        keep = None if keep is None else keep.unsqueeze(1)  # (B, 1, M)
        found = self.weights(self.theta(short), self.phi(memory), keep) @ self.g(memory)  # (B, R, D)
        if self.pre_act:
            return short + self.dropout(self.out(self.norm(found).relu()))
        return (short + self.dropout(self.norm(self.out(found)))).relu()

    def weights(self, asked: Tensor, keys: Tensor, keep: Tensor | None) -> Tensor:
        """(B, R, M): of each slot. asked (B, R, D), keys (B, M, D), keep (B, 1, M)."""
        if self.pair is not None:
            size = (len(keys), asked.shape[1], *keys.shape[1:])
            both = [asked.unsqueeze(2).expand(size), keys.unsqueeze(1).expand(size)]
            affinity = self.pair(torch.cat(both, dim=3)).squeeze(3).relu()
        else:
            affinity = asked @ keys.transpose(1, 2)
        if self.dot == "softmax":
            affinity = affinity * self.factor
            if keep is None:
                return affinity.softmax(dim=2)
            lowest = torch.finfo(affinity.dtype).min  # finite: a window without a slot stays a number
            return affinity.masked_fill(~keep, lowest).softmax(dim=2) * keep
        if keep is None:
            return affinity / keys.shape[1]
        return affinity * keep / keep.sum(dim=2, keepdim=True).clamp(min=1)


class NonLocalOperator(nn.Module):
    """S and memory reduced to D, then L layers over them: FBO-NL; with the clip's own features as memory, STO."""

    def __init__(
        self, short_width: int, memory_width: int, *, width: int, layers: int, scale: bool, layer_norm: bool,
        dropout: float, dot: str, pre_act: bool,
    ):  # fmt: skip
        super().__init__()
        self.width = width
        self.reduce_short, self.reduce_memory = linear(short_width, width), linear(memory_width, width)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            Layer(width, scale=scale, layer_norm=layer_norm, dropout=dropout, dot=dot, pre_act=pre_act)
            for _ in range(layers)
        )

    def forward(self, short: Tensor, memory: Tensor, keep: Tensor | None, item: Tensor) -> Tensor:
        short, memory = self.dropout(self.reduce_short(short)), self.dropout(self.reduce_memory(memory))
        nth, most = nth_of(item, len(memory)), -(-len(item) // max(1, len(memory)))
        if len(nth) and nth.device.type != "meta":  # there, shapes alone: boxes are spread evenly
            most = int(nth.max()) + 1
        asked = short.new_zeros(len(memory), most, self.width)
        asked = asked.index_put(
            (item, nth), short
        )  # by clip, which is cheaper than a memory for each feature
        for layer in self.layers:
            asked = layer(asked, memory, keep)
        return asked[item, nth]


def nth_of(item: Tensor, clips: int) -> Tensor:
    """(N,) which of its clip's features each is. item (N,) which of `clips` each is of."""
    same = item.unsqueeze(1) == torch.arange(clips, device=item.device)  # (N, B)
    return same.cumsum(dim=0).gather(1, item.unsqueeze(1)).squeeze(1) - 1


class PoolOperator(nn.Module):
    """The mean, or the largest of each channel, over the window: nothing of S is asked."""

    def __init__(self, memory_width: int, *, largest: bool):
        super().__init__()
        self.width, self.largest = memory_width, largest

    def forward(self, short: Tensor, memory: Tensor, keep: Tensor | None, item: Tensor) -> Tensor:  # noqa: ARG002
        return self.pooled(memory, keep)[item]

    def pooled(self, memory: Tensor, keep: Tensor | None) -> Tensor:
        """(B, C)."""
        if keep is None:
            return memory.amax(dim=1) if self.largest else memory.mean(dim=1)
        if self.largest:
            lowest = memory.masked_fill(~keep.unsqueeze(2), float("-inf")).amax(dim=1)
            return lowest.masked_fill(~keep.any(dim=1, keepdim=True), 0.0)
        filled = keep.sum(dim=1, keepdim=True).clamp(min=1)
        return (memory * keep.unsqueeze(2)).sum(dim=1) / filled


class Supported(nn.Module):
    """Checks what comes, and says which slots take part. `pad` is of windows; a clip's own features have no pads."""

    def __init__(self, operator: nn.Module, memory_width: int, *, pad: str, own: bool):
        super().__init__()
        self.operator, self.memory_width, self.pad, self.own = operator, memory_width, pad, own
        self.width = operator.width

    def forward(self, short: Tensor, memory: Tensor, keep: Tensor, item: Tensor) -> Tensor:
        """What is remembered, (N, D or C).

        short (N, C), memory (B, M, C), keep (B, M) bool, item (N,) which row of the memory is whose.
        Raises ValueError on other shapes, and on a slot that is said to be empty and is not.
        """
        sizes = expect(memory, "B M C", C=self.memory_width)
        expect(keep, "B M", B=sizes["B"], M=sizes["M"])
        expect(item, "N", N=len(short))
        if memory.device.type != "meta" and bool((memory * ~keep.unsqueeze(2)).any()):
            raise ValueError("memory: a slot that memory_keep leaves out is not zero")
        return self.operator(short, memory, keep if self.own or self.pad == "masked" else None, item)


def linear(width_in: int, width: int, std: float = STD) -> nn.Linear:
    layer = nn.Linear(width_in, width)
    nn.init.normal_(layer.weight, std=std)
    nn.init.zeros_(layer.bias)
    return layer


def operator_of(sizes: dict[str, Any], *, short_width: int, memory_width: int) -> Supported | None:
    """The operator that `sizes` names; None for a network without one.

    sizes  name (none, nl, avg, max, sto), pad (attend, masked); of nl and sto layers, width, scale, layer_norm,
           dropout, dot (softmax, dot, concat), pre_act too, which a pooling operator may be given and does not use
    Raises ValueError on a name or size that nobody has.
    """
    sizes = DEFAULTS | sizes
    for key, known in {"name": OPERATORS, "dot": DOTS, "pad": PADS}.items():
        if sizes[key] not in known:
            raise ValueError(f"operator: {key}: expected one of {', '.join(known)}, found {sizes[key]!r}")
    if unknown := sorted(sizes.keys() - DEFAULTS.keys()):
        raise ValueError(f"operator: no size {unknown[0]!r}; expected {', '.join(DEFAULTS)}")
    name, pad = sizes.pop("name"), sizes.pop("pad")
    if name == "none":
        return None
    if name in ("avg", "max"):
        pool = PoolOperator(memory_width, largest=name == "max")
        return Supported(pool, memory_width, pad=pad, own=False)
    width = short_width if name == "sto" else memory_width
    network = NonLocalOperator(short_width, width, **sizes)
    return Supported(network, width, pad=pad, own=name == "sto")


DEFAULTS: dict[str, Any] = {  # METHODS 8.1
    "name": "nl",
    "layers": 2,
    "width": 512,
    "scale": True,
    "layer_norm": True,
    "dropout": 0.2,
    "dot": "softmax",
    "pre_act": True,
    "pad": "attend",
}
