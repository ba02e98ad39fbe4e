"""CoViAR: an image network for one signal of a compressed video; a video's scores are its frames' mean.

Letters  B videos, T frames (training: segments), C channels of the signal, K classes, H W pixels.
Source   thesis ch. 4.1 (networks, segments) and 4.2 (protocol). Signals are independent networks, variants of
their own; their scores are added after all are trained (recipe.yaml, `fuse`).
Ours     see README.md: where thesis and published code differ, and what of the code is not repeated.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from retake.layers.backbone import PixelScale, over_frames, trunk
from retake.schema.classes import class_names

PREPARED = ("classes",)  # what `prepare` gives to `build`
LOSSES = ("softmax", "sigmoid")


class CoViAR(nn.Module):
    """Batch keys   frames (B, C, T, H, W) in [0, 1]; for the loss labels (B, K) in {0, 1}, or (B, T, K) where each
    frame has its own.
    """

    def __init__(
        self, *, network: dict[str, Any], mean: list[float], std: list[float], input_norm: bool,
        norm_momentum: float, num_classes: int, loss: str, classes: list[str],
    ):  # fmt: skip
        super().__init__()
        if loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, found {loss!r}")
        if len(classes) != num_classes:
            raise ValueError(f"{len(classes)} classes have a name, num_classes is {num_classes}")
        self.loss, self.classes = loss, classes
        self.scale = PixelScale(mean, std)
        self.input_norm = nn.BatchNorm2d(len(mean)) if input_norm else nn.Identity()
        self.network = trunk(
            network["name"], network["arguments"], num_classes=num_classes, in_chans=len(mean)
        )

        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = norm_momentum

    def forward(self, frames: Tensor) -> Tensor:
        """Logits (B, T, K): each frame is seen alone."""
        return over_frames(nn.Sequential(self.input_norm, self.network), self.scale, frames)

    def losses(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Sums over the videos of the batch; `count` videos.

        softmax  cross entropy of the mean over segments of their logits; a video has one label
        sigmoid  binary cross entropy, mean over frames and classes; of each frame where each has its labels
        Raises ValueError on labels that do not suit the loss.
        """
        logits, labels = self(batch["frames"]).float(), batch["labels"]
        if self.loss == "sigmoid":
            whole = labels.ndim == 2
            seen = logits.mean(dim=1) if whole else logits  # (B, K) or (B, T, K)
            each = binary_cross_entropy_with_logits(seen, labels, reduction="none")
            losses = {"total": each.flatten(1).mean(dim=1).sum()}
        else:
            if labels.ndim != 2 or not bool((labels.sum(dim=1) == 1).all()):
                raise ValueError(
                    "every video needs exactly one label; a set with several takes loss: sigmoid"
                )
            seen = logits.mean(dim=1)  # (B, K): the consensus of the segments
            right = (seen.argmax(dim=1) == labels.argmax(dim=1)).float().sum()
            losses = {
                "total": cross_entropy(seen, labels.argmax(dim=1), reduction="sum"),
                "top1": right.detach(),
            }
        return losses | {"count": torch.tensor(float(len(labels)), device=labels.device)}

    @torch.no_grad()
    def predict(self, batch: dict[str, Any], protocol: dict[str, Any]) -> list[dict[str, Any]]:  # noqa: ARG002
        """A row {"scores"} of K logits an entry of the batch: scores are averaged, and fused, before softmax."""
        return [{"scores": row.tolist()} for row in self(batch["frames"]).mean(dim=1).float()]


def prepare(rows: list[dict[str, Any]], sizes: dict[str, Any]) -> dict[str, Any]:
    """What the checkpoint says of the training rows: what its classes are called."""
    return {"classes": class_names(rows, sizes["num_classes"])}


def build(
    *, network: dict[str, Any], mean: list[float], std: list[float], input_norm: bool, norm_momentum: float,
    num_classes: int, loss: str, classes: list[str],
) -> CoViAR:  # fmt: skip
    """The one name the rest of the project imports from here."""
    return CoViAR(
        network=network, mean=mean, std=std, input_norm=input_norm, norm_momentum=norm_momentum,
        num_classes=num_classes, loss=loss, classes=classes,
    )  # fmt: skip
