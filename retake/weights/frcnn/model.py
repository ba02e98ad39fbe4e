"""A detector of things in pictures: torchvision's Faster R-CNN, the published one or one of a single small map.

Letters  B pictures, N boxes of all of them, n of one, C width of a box's feature, H W pixels.
Files    config.json (network, classes, anchors and sizes) and model.safetensors with torchvision's names.

Boxes come out in pixels of the picture as it was given, scores fall, `labels` are places in the config's classes, of
which the first is the background and never found. A box's feature is what the classifier of boxes reads of it.
"""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from retake.layers.region_bins import RegionBins
from retake.layers.shapes import expect

NETWORKS = ("resnet50_fpn_v2", "small")
BACKGROUND = "__background__"


class Detector(nn.Module):
    """Batch keys of the loss   frames (B, 3, 1, H, W) in [0, 1]; boxes (N, 4) xyxy in [0, 1], box_item (N,) in whose
    picture each lies. All boxes are of the first class that is not the background, or as `box_class` (N,) says.
    """

    def __init__(self, network: nn.Module, classes: list[str]):
        super().__init__()
        if not classes or classes[0] != BACKGROUND or len(classes) < 2:
            raise ValueError(f"classes: expected {BACKGROUND!r}, then at least one, found {classes[:3]}")
        self.network, self.classes = network, classes

    def losses(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Sums over pictures: `total` of what proposals and boxes lose; `count` pictures. Only in training mode.

        Raises ValueError on boxes without area or of a picture that is not there, RuntimeError in evaluation.
        """
        if not self.training:
            raise RuntimeError("a detector has losses in training mode alone: give its card validation: null")
        frames = pictures(batch["frames"])
        lost = self.network(list(frames), targets(batch, frames))
        count = float(len(frames))
        means = {name.removeprefix("loss_"): value for name, value in sorted(lost.items())}
        return {
            "total": sum(means.values(), frames.new_zeros(())) * count,
            **{name: value.detach() * count for name, value in means.items()},
            "count": torch.tensor(count, device=frames.device),
        }

    @torch.no_grad()
    def detect(self, frames: Tensor) -> list[dict[str, Tensor]]:
        """Of each picture {"boxes" (n, 4) px, "scores" (n,), "labels" (n,), "features" (n, C)}. frames (B, 3, H, W)."""
        expect(frames, "B 3 H W")
        net, size = self.network, [tuple(frames.shape[2:])] * len(frames)
        shown, _ = net.transform(list(frames))
        maps = net.backbone(shown.tensors)
        maps = OrderedDict([("0", maps)]) if isinstance(maps, Tensor) else maps
        proposals, _ = net.rpn(shown, maps)
        found, _ = net.roi_heads(maps, proposals, shown.image_sizes)
        boxes = [one["boxes"] for one in found]
        features = net.roi_heads.box_head(net.roi_heads.box_roi_pool(maps, boxes, shown.image_sizes))
        for one, part in zip(found, features.split([len(b) for b in boxes]), strict=True):
            one["features"] = part
        return net.transform.postprocess(found, shown.image_sizes, size)


def pictures(frames: Tensor) -> Tensor:
    """(B, 3, H, W). Raises ValueError on clips of several frames."""
    expect(frames, "B 3 1 H W")
    return frames.squeeze(2)


def targets(batch: dict[str, Any], frames: Tensor) -> list[dict[str, Tensor]]:
    """Of each picture boxes in pixels and their classes, as torchvision takes them."""
    boxes, item = batch["boxes"], batch["box_item"]
    expect(boxes, "N 4", N=len(item))
    if bool((boxes[:, :2] >= boxes[:, 2:]).any()):
        raise ValueError("boxes: expected x1 < x2 and y1 < y2")
    if len(item) and not 0 <= int(item.min()) <= int(item.max()) < len(frames):
        raise ValueError(f"box_item: expected numbers below {len(frames)}, the pictures of the batch")
    height, width = frames.shape[2:]
    inside = boxes.float() * boxes.new_tensor([width, height, width, height]).float()
    classes = batch.get("box_class", torch.ones_like(item))
    return [{"boxes": inside[item == n], "labels": classes[item == n].long()} for n in range(len(frames))]


def network_of(config: dict[str, Any]) -> nn.Module:
    """The network that a config.json describes, at random. Raises ValueError on one that nobody has."""
    from torchvision.models.detection import faster_rcnn  # takes seconds

    if config["network"] not in NETWORKS:
        raise ValueError(f"network: expected one of {', '.join(NETWORKS)}, found {config['network']!r}")
    shared = {
        "num_classes": len(config["classes"]),
        "min_size": config["min_px"],
        "max_size": config["max_px"],
    }
    if config["network"] == "resnet50_fpn_v2":
        return faster_rcnn.fasterrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, **shared)
    return small(config["widths"], config["anchors_px"], config["box_width"], shared)


def small(widths: list[int], anchors_px: list[int], box_width: int, shared: dict[str, Any]) -> nn.Module:
    """One map, an eighth of the picture's side; anchors of three shapes a size.

    widths  channels at a half, a quarter and an eighth of the side; box_width: of a box's feature
    """
    from torchvision.models.detection import faster_rcnn, rpn

    layers, before = [], 3
    for place, width in enumerate(widths):
        layers += [*block(before, width, 2), *(block(width, width, 1) if place else [])]
        before = width
    backbone = nn.Sequential(*layers)
    backbone.out_channels = before  # torchvision asks for it
    network = faster_rcnn.FasterRCNN(
        backbone, image_mean=[0.45] * 3, image_std=[0.225] * 3,
        rpn_anchor_generator=rpn.AnchorGenerator((tuple(anchors_px),), ((0.5, 1.0, 2.0),)),
        box_head=faster_rcnn.TwoMLPHead(before * 25, box_width),
        box_predictor=faster_rcnn.FastRCNNPredictor(box_width, shared["num_classes"]),
        rpn_pre_nms_top_n_train=200, rpn_post_nms_top_n_train=64, rpn_pre_nms_top_n_test=200,
        rpn_post_nms_top_n_test=50, rpn_batch_size_per_image=64, box_batch_size_per_image=32,
        box_detections_per_img=20, **shared | {"num_classes": None},
    )  # fmt: skip
    network.roi_heads.box_roi_pool = RegionBins("0", 5, 2 ** len(widths))  # its maker takes none but its own
    return network


def block(width_in: int, width: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(width_in, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]


def described(
    *, network: str, classes: list[str], min_px: int, max_px: int, widths: list[int] | None = None,
    anchors_px: list[int] | None = None, box_width: int | None = None, num_classes: int = 1,  # noqa: ARG001
) -> dict[str, Any]:  # fmt: skip
    """The config.json of these sizes; see `build`."""
    config = {"network": network, "classes": classes, "min_px": min_px, "max_px": max_px}
    given = {"widths": widths, "anchors_px": anchors_px, "box_width": box_width}
    return config | {name: value for name, value in given.items() if value is not None}


def build(**sizes: Any) -> Detector:
    """network (resnet50_fpn_v2 or small), classes with the background first, min_px and max_px of the sides that
    pictures are scaled to; of a small one widths, anchors_px, box_width. num_classes is of the batch's labels alone.
    """
    return from_config(described(**sizes))


def from_config(config: dict[str, Any]) -> Detector:
    """The detector that a weights folder's config.json describes, at random."""
    return Detector(network_of(config), list(config["classes"]))


def published(model: Detector, sizes: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors with torchvision's names, and config, of a trained detector."""
    return model.network.state_dict(), described(**sizes)
