"""The published file has torchvision's names already; its config.json is what the card says."""

from pathlib import Path
from typing import Any

from torch import Tensor

from retake.schema.strict import read_yaml
from retake.weights.frcnn.model import described

CARD = Path(__file__).with_name("card.yaml")
PARTS = ("backbone.", "rpn.", "roi_heads.")


def rename(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """As they are. Raises ValueError on a name that is none of a detector's."""
    if odd := [name for name in tensors if not name.startswith(PARTS)]:
        raise ValueError(f"{odd[0]!r} is no name of a detector's")
    return tensors


def config(tensors: dict[str, Tensor]) -> dict[str, Any]:
    """The config.json of the published network. Raises ValueError where it tells another number of classes."""
    made = described(**read_yaml(CARD)["paper"]["model"])
    classes = len(tensors["roi_heads.box_predictor.cls_score.bias"])
    if classes != len(made["classes"]):
        raise ValueError(f"it tells {classes} classes, the card names {len(made['classes'])}")
    return made
