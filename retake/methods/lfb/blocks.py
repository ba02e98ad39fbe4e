"""The whole network at the paper's size with one box and a full window, for what it costs (tables 7.2f)."""

from typing import Any

import torch
from torch import Tensor, nn

from retake.methods.lfb.model import LFB, build

SIDE = 0.5  # of the box, in shares of the frame


class OneBox(nn.Module):
    """clips (B, 3, T, H, W), each with one box and a window of `slots` rows, to logits (B, K)."""

    def __init__(self, model: LFB, slots: int, memory_width: int):
        super().__init__()
        self.model, self.slots, self.width = model, slots, memory_width

    def forward(self, frames: Tensor) -> Tensor:
        return self.model(batch_of(frames, self.slots, self.width))


def batch_of(frames: Tensor, slots: int, width: int) -> dict[str, Any]:
    """A batch of these clips: a box each, in its middle, and a full window."""
    num = len(frames)
    box = (
        frames.new_tensor([(1 - SIDE) / 2] * 2 + [(1 + SIDE) / 2] * 2)
        if frames.device.type != "meta"
        else None
    )
    return {
        "frames": frames,
        "boxes": frames.new_empty(num, 4) if box is None else box.repeat(num, 1),
        "box_item": torch.arange(num, device=frames.device),
        "memory": frames.new_ones(num, slots, width),
        "memory_keep": torch.ones(num, slots, dtype=torch.bool, device=frames.device),
    }


def network(
    *, like: str = "r50", operator: dict[str, Any] | None = None, head: str = "boxes", num_classes: int = 80,
    slots: int = 300, memory_width: int = 2048,
) -> OneBox:  # fmt: skip
    """like: r50 or r101; operator: sizes of retake.methods.lfb.operators, none when left out."""
    model = build(
        backbone={"like": like}, mean=[0.45] * 3, std=[0.225] * 3, head=head, operator=operator or {"name": "none"},
        num_classes=num_classes, loss="sigmoid", classes=[str(n) for n in range(num_classes)],
        memory_width=memory_width, dropout=0.3, grid="detections",
    )  # fmt: skip
    return OneBox(model, slots, memory_width)
