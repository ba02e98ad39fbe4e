"""Foundations that classify clips: an I3D-ResNet whose trunk others start from, or read features of.

Letters  B clips, T frames, N boxes of all clips, C feature width, K classes, H W pixels.
Files    config.json (sizes, mean, std, num_classes) and model.safetensors with the names of
         retake.layers.inflated and frozen norms: no classifier. What is trained here has norms that are trained;
         they are folded when it is written (`published`).
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from retake.layers.backbone import PixelScale
from retake.layers.inflated import folded, inflated
from retake.layers.regions import bank_rows

MEAN, STD = [0.45] * 3, [0.225] * 3  # of the pixels, as published


class ClipClassifier(nn.Module):
    """Batch keys   frames (B, 3, T, H, W) in [0, 1]; labels (B, K) with a single 1 a row, for the loss; boxes (N, 4)
    and box_item (N,) for rows of a bank of boxes.

    K = 0: without a classifier, frozen norms, as the published file.
    """

    def __init__(self, *, backbone: dict[str, Any], mean: list[float], std: list[float], num_classes: int):
        super().__init__()
        self.scale = PixelScale(mean, std)
        self.network = inflated(backbone, norm="batch" if num_classes else "affine")
        self.width = self.network.width
        self.head = nn.Linear(self.width, num_classes) if num_classes else None

    def maps(self, batch: dict[str, Any]) -> Tensor:
        """(B, C, T', H', W')."""
        return self.network(self.scale(batch["frames"].transpose(1, 2)).transpose(1, 2))

    def logits(self, batch: dict[str, Any]) -> Tensor:
        return self.head(self.maps(batch).mean(dim=(2, 3, 4)))  # (B, K)

    def losses(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Sums over clips; `count` clips. Raises ValueError on a clip that has not exactly one label."""
        labels = batch["labels"]
        if not bool((labels.sum(dim=1) == 1).all()):
            raise ValueError("every clip needs exactly one label")
        logits, wanted = self.logits(batch).float(), labels.argmax(dim=1)
        return {
            "total": cross_entropy(logits, wanted, reduction="sum"),
            "top1": (logits.argmax(dim=1) == wanted).float().sum(),
            "count": torch.tensor(float(len(labels)), device=labels.device),
        }

    @torch.no_grad()
    def predict(self, batch: dict[str, Any], protocol: dict[str, Any]) -> list[dict[str, Any]]:  # noqa: ARG002
        return [{"scores": row.tolist()} for row in self.logits(batch).float().softmax(dim=1)]

    @torch.no_grad()
    def bank_rows(self, batch: dict[str, Any], grid: str | int = "detections") -> Tensor:
        """What a bank keeps of each clip: see retake.layers.regions; of boxes where the batch has any key of them."""
        boxes = (batch["boxes"], batch["box_item"]) if "boxes" in batch else None
        return bank_rows(self.maps(batch), boxes, grid).float()


def build(
    *, backbone: dict[str, Any], num_classes: int, mean: list[float] = MEAN, std: list[float] = STD,
    channel_order: str = "rgb",
) -> ClipClassifier:  # fmt: skip
    """backbone: sizes of retake.layers.inflated, as {"like": "r50"}.

    channel_order  rgb or bgr, of the published file: the converter turns it, so that the network always sees rgb
    """
    if channel_order not in ("rgb", "bgr"):
        raise ValueError(f"channel_order: expected rgb or bgr, found {channel_order!r}")
    return ClipClassifier(backbone=backbone, mean=mean, std=std, num_classes=num_classes)


def described(backbone: dict[str, Any], mean: list[float] = MEAN, std: list[float] = STD) -> dict[str, Any]:
    """The config.json of a trunk of these sizes."""
    return {"architecture": "i3d_resnet", "backbone": backbone, "mean": mean, "std": std}


def from_config(config: dict[str, Any]) -> ClipClassifier:
    """The trunk that a weights folder's config.json describes, at random, without a classifier."""
    return build(backbone=config["backbone"], num_classes=0, mean=config["mean"], std=config["std"])


def published(model: ClipClassifier, sizes: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and config of a trained network without its classifier, norms folded."""
    return folded(model.network.state_dict()), described(
        sizes["backbone"], sizes.get("mean", MEAN), sizes.get("std", STD)
    )
