"""Long-term feature banks: a clip's network that is supported by features of the whole video.

Letters  B clips, N boxes of all clips together (clip heads: N = B), C width of a feature, D width of what is
         remembered, K classes, M slots of the bank's window, T frames, H W pixels.
Source   thesis ch. 7, METHODS 8.1. A feature of a box (mean over time, RoIAlign, largest over space) or of a clip (mean
         over all) beside what the operator found in the bank goes to a linear classifier.
Batch    frames (B, 3, T, H, W) in [0, 1]; of boxes heads boxes (N, 4) in [0, 1] of the crop, box_item (N,), box_number
         (N,), boxes_whole (N, 4); memory (B, M, C) and memory_keep (B, M) where the operator reads a bank; labels
         (N, K), of clip heads (B, K), for the loss. In the place of frames and boxes: stored, what a bank keeps of them
         (N, C), of clip heads (B, S, C) of S steps of time, or of S = 1 mean over all.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from retake.layers.backbone import PixelScale
from retake.layers.inflated import inflated
from retake.layers.regions import GRIDS, bank_rows, region_features
from retake.methods.lfb.operators import linear, operator_of
from retake.schema.classes import class_names

PREPARED = ("classes",)  # what `prepare` gives to `build`
STORED = ("backbone.",)  # parameters whose work stored rows stand for,
STORED_SIZES = ("backbone", "mean", "std")  # and the sizes that decide what they make of a clip
LOSSES = ("softmax", "sigmoid")
HEADS = ("boxes", "clips")


class LFB(nn.Module):
    """Sizes: see `build`."""

    def __init__(
        self, *, backbone: dict[str, Any], mean: list[float], std: list[float], head: str, operator: dict[str, Any],
        grid: str | int, memory_width: int, dropout: float, num_classes: int, loss: str, classes: list[str],
    ):  # fmt: skip
        super().__init__()
        for name, value, known in (("loss", loss, LOSSES), ("head", head, HEADS), ("grid", grid, GRIDS)):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(map(str, known))}, found {value!r}")
        if head == "boxes" and loss != "sigmoid":
            raise ValueError(f"loss: a box may have several labels or none, so it takes sigmoid, not {loss}")
        if len(classes) != num_classes:
            raise ValueError(f"{len(classes)} classes have a name, num_classes is {num_classes}")
        self.head, self.loss, self.grid, self.classes = head, loss, grid, classes
        self.scale = PixelScale(mean, std)
        self.backbone = inflated(backbone)
        width = self.backbone.width
        self.operator = operator_of(operator, short_width=width, memory_width=memory_width)
        self.dropout = nn.Dropout(dropout)
        self.classifier = linear(width + (self.operator.width if self.operator else 0), num_classes)

    def maps(self, batch: dict[str, Any]) -> Tensor:
        """(B, C, T', H', W')."""
        frames = batch["frames"].transpose(1, 2)  # (B, T, 3, H, W)
        return self.backbone(self.scale(frames).transpose(1, 2))

    def short(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor | None]:
        """Short-term features (N, C), which clip each is of (N,), and of clip heads their steps of time (B, S, C)."""
        if self.head == "boxes":
            if "stored" in batch:
                return batch["stored"], batch["box_item"], None
            return (
                region_features(self.maps(batch), batch["boxes"], batch["box_item"]),
                batch["box_item"],
                None,
            )
        steps = batch["stored"] if "stored" in batch else bank_rows(self.maps(batch), None, "steps")
        return steps.mean(dim=1), torch.arange(len(steps), device=steps.device), steps

    def own(self, short: Tensor, item: Tensor, steps: Tensor | None, clips: int) -> tuple[Tensor, Tensor]:
        """A clip's own features as its memory (B, M, C), and which slots are filled: its boxes, or its time steps.

        Raises ValueError where of a clip's steps only the mean was stored.
        """
        if steps is not None:
            if steps.shape[1] < 2:
                raise ValueError(
                    "stored: an operator over a clip's own features needs its steps: grid: steps"
                )
            return steps, torch.ones(steps.shape[:2], dtype=torch.bool, device=steps.device)
        same = item.unsqueeze(0) == torch.arange(clips, device=item.device).unsqueeze(1)  # (B, N)
        return short.unsqueeze(0) * same.unsqueeze(2), same

    def forward(self, batch: dict[str, Any]) -> Tensor:
        """Logits (N, K). Raises ValueError where the operator has no bank to read."""
        short, item, steps = self.short(batch)
        found = [short]
        if self.operator is not None:
            if self.operator.own:
                memory, keep = self.own(short, item, steps, clips_of(batch))
            elif "memory" not in batch:
                raise ValueError(
                    "the batch has no memory: an operator that reads a bank needs memory_keep and memory"
                )
            else:
                memory, keep = batch["memory"].to(short.dtype), batch["memory_keep"]
            found.append(self.operator(short, memory, keep, item))
        return self.classifier(self.dropout(torch.cat(found, dim=1)))

    def losses(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Sums over boxes (boxes heads) or clips; `count` how many.

        softmax  cross entropy; a clip has one label
        sigmoid  binary cross entropy, mean over classes
        Raises ValueError on labels that do not suit the loss.
        """
        logits, labels = self(batch).float(), batch["labels"]
        if labels.shape != logits.shape:
            raise ValueError(f"labels have shape {tuple(labels.shape)}, the scores {tuple(logits.shape)}")
        count = torch.tensor(float(len(labels)), device=labels.device)
        if self.loss == "sigmoid":
            each = binary_cross_entropy_with_logits(logits, labels.float(), reduction="none")
            return {"total": each.mean(dim=1).sum(), "count": count}
        if not bool((labels.sum(dim=1) == 1).all()):
            raise ValueError("every clip needs exactly one label; a set with several takes loss: sigmoid")
        wanted = labels.argmax(dim=1)
        right = (logits.argmax(dim=1) == wanted).float().sum()
        total = cross_entropy(logits, wanted, reduction="sum")
        return {"total": total, "top1": right.detach(), "count": count}

    @torch.no_grad()
    def predict(self, batch: dict[str, Any], protocol: dict[str, Any]) -> list[Any]:  # noqa: ARG002
        """Of each clip {"scores"}: softmax or sigmoid, over which views are joined.

        Boxes heads give a list a clip of {"box_number", "box_xyxy" (of the whole frame), "scores"}.
        """
        logits = self(batch).float()
        scores = (logits.sigmoid() if self.loss == "sigmoid" else logits.softmax(dim=1)).tolist()
        if self.head == "clips":
            return [{"scores": row} for row in scores]
        found: list[list[dict[str, Any]]] = [[] for _ in range(clips_of(batch))]
        told = (batch[key].tolist() for key in ("box_item", "box_number", "boxes_whole"))
        for item, number, box, row in zip(*told, scores, strict=True):
            found[item].append({"box_number": number, "box_xyxy": box, "scores": row})
        return found

    @torch.no_grad()
    def bank_rows(self, batch: dict[str, Any], grid: str | int | None = None) -> Tensor:
        """What a bank keeps of each clip, no operator asked: (N, C) of boxes, (B, C) of clips, (B, G * G, C) of a grid.

        grid  in the place of the network's own: detections, global, or the side G of the grid
        A clip's feature is the mean over all; a cell's the mean over time and its part of the map.
        """
        boxes = (batch["boxes"], batch["box_item"]) if self.head == "boxes" and "boxes" in batch else None
        grid = self.grid if grid is None else grid
        if self.head == "boxes" and grid == "detections" and boxes is None:
            raise ValueError("the batch has no boxes: rows of a bank of detections are theirs")
        return bank_rows(self.maps(batch), boxes, grid).float()


def clips_of(batch: dict[str, Any]) -> int:
    return len(batch["frames"] if "frames" in batch else batch["item_id"])


def prepare(rows: list[dict[str, Any]], sizes: dict[str, Any]) -> dict[str, Any]:
    """What the checkpoint says of the training rows: what its classes are called."""
    return {"classes": class_names(rows, sizes["num_classes"])}


def build(
    *, backbone: dict[str, Any], mean: list[float], std: list[float], head: str, operator: dict[str, Any],
    num_classes: int, loss: str, classes: list[str], memory_width: int, dropout: float, grid: str | int,
) -> LFB:  # fmt: skip
    """The one name the rest of the project imports from here.

    backbone      sizes of retake.layers.inflated, as {"like": "r50"}
    head          boxes: each box is scored; clips: each clip
    operator      sizes of retake.methods.lfb.operators, as {"name": "nl", "layers": 2}
    memory_width  of the bank's rows; grid: what `bank_rows` gives
    """
    return LFB(
        backbone=backbone, mean=mean, std=std, head=head, operator=operator, grid=grid, memory_width=memory_width,
        dropout=dropout, num_classes=num_classes, loss=loss, classes=classes,
    )  # fmt: skip
