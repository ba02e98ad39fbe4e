"""Foundations that classify images: a network of timm whose trunk gives frame features.

Letters  B items, C feature width, T frames, K classes, H W pixels.
Files    those of timm's hub: config.json (architecture, num_classes, model_args, pretrained_cfg with mean
         and std) and model.safetensors with timm's names. Ours are written in that layout, so that both are
         read by `from_config`.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from retake.layers.backbone import PixelScale, over_frames, trunk


class ImageClassifier(nn.Module):
    """Batch keys   frames (B, 3, 1, H, W) in [0, 1]; labels (B, K) with a single 1 a row, for the loss."""

    def __init__(
        self, *, name: str, arguments: dict[str, Any], mean: list[float], std: list[float], num_classes: int
    ):
        super().__init__()
        self.scale = PixelScale(mean, std)
        self.network = trunk(name, arguments, num_classes=num_classes)
        self.width = self.network.num_features

    def features(self, frames: Tensor) -> Tensor:
        """(B, T, C): what the classifier reads. frames (B, 3, T, H, W)."""
        return over_frames(self._pooled, self.scale, frames)

    def _pooled(self, pixels: Tensor) -> Tensor:
        return self.network.forward_head(self.network.forward_features(pixels), pre_logits=True)

    def logits(self, batch: dict[str, Any]) -> Tensor:
        return over_frames(self.network, self.scale, batch["frames"]).mean(dim=1)  # (B, K)

    def losses(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Sums over pictures; `count` pictures. Raises ValueError on a picture that has not exactly one
        label.
        """
        labels = batch["labels"]
        if not bool((labels.sum(dim=1) == 1).all()):
            raise ValueError("every picture needs exactly one label")
        logits = self.logits(batch).float()
        right = (logits.argmax(dim=1) == labels.argmax(dim=1)).float().sum()
        total = cross_entropy(logits, labels.argmax(dim=1), reduction="sum")
        return {
            "total": total,
            "top1": right,
            "count": torch.tensor(float(len(labels)), device=labels.device),
        }

    @torch.no_grad()
    def predict(self, batch: dict[str, Any], protocol: dict[str, Any]) -> list[dict[str, Any]]:  # noqa: ARG002
        return [{"scores": row.tolist()} for row in self.logits(batch).float().softmax(dim=1)]


def build(
    *, name: str, arguments: dict[str, Any], mean: list[float], std: list[float], num_classes: int
) -> ImageClassifier:
    return ImageClassifier(name=name, arguments=arguments, mean=mean, std=std, num_classes=num_classes)


def from_config(config: dict[str, Any]) -> ImageClassifier:
    """The network that a weights folder's config.json describes, at random."""
    pixels = config["pretrained_cfg"]
    return build(
        name=config["architecture"], arguments=config.get("model_args", {}), mean=list(pixels["mean"]),
        std=list(pixels["std"]), num_classes=config["num_classes"],
    )  # fmt: skip


def published(model: ImageClassifier, sizes: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and config of a trained network, as timm's hub has them."""
    config = {
        "architecture": sizes["name"],
        "num_classes": sizes["num_classes"],
        "num_features": model.width,
        "model_args": sizes["arguments"],
        "pretrained_cfg": {"mean": sizes["mean"], "std": sizes["std"]},
    }
    return model.network.state_dict(), config
