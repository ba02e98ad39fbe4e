"""Stand-ins of a producer, a foundation and a detector, whose answers can be read off the frames they are shown.

Every frame of the tests' videos is of one brightness, its number in the video, but for a bright rectangle.
"""

from typing import Any

import torch
from torch import Tensor, nn

CLASSES = ("person", "cup")
BRIGHT = 200


class Producer(nn.Module):
    """Rows of boxes: means of the middle frame and the first, and the box; of clips, cells and steps their means."""

    def __init__(self, factor: float):
        super().__init__()
        self.network = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.network.weight, factor)

    def bank_rows(self, batch: dict[str, Any], grid: str | int) -> Tensor:
        frames = batch["frames"] * 255 * self.network.weight  # (B, 3, T, H, W)
        means = frames.mean(dim=(1, 3, 4))[:, [frames.shape[2] // 2, 0]]  # (B, 2)
        if grid == "detections":
            return torch.cat([means[batch["box_item"]], batch["boxes"]], dim=1)
        if grid == "global":
            return means
        if grid == "steps":
            return frames.mean(dim=(1, 3, 4)).unsqueeze(2)  # (B, T, 1)
        cells = frames[:, :, frames.shape[2] // 2].mean(dim=1)
        return (
            nn.functional.adaptive_avg_pool2d(cells.unsqueeze(1), grid).flatten(1).unsqueeze(2)
        )  # (B, G * G, 1)

    def detect(self, frames: Tensor) -> list[dict[str, Tensor]]:
        """The bright rectangle of each frame as a person, and once more as a worse cup; and a line without area."""
        found = []
        for frame in frames:
            rows, columns = torch.nonzero(frame[0] * 255 > BRIGHT, as_tuple=True)
            boxes = torch.zeros(0, 4)
            if len(rows):
                box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                line = [5.0, 5.0, 5.0, 9.0]
                boxes = torch.tensor([[float(v) for v in box], line, [float(v) - 4 for v in box]])
            scores = torch.tensor([0.5, 0.8, 0.9])[: len(boxes)]
            labels = torch.tensor([1, 0, 0])[: len(boxes)]
            found.append({"boxes": boxes, "scores": scores, "labels": labels, "features": boxes[:, :2] * 1.0})
        return found


def build(*, factor: float) -> Producer:
    return Producer(factor)


def from_config(config: dict[str, Any]) -> Producer:
    return Producer(config["factor"])
