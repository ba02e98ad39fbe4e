"""An image network's tensors as a clip network's: kernels repeated over time, non-local blocks that add nothing."""

from typing import Any

from torch import Tensor

from retake.layers.clip_classifier import described
from retake.layers.inflated_files import of_images

LIKE, MEAN, STD = "r50", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # pixels are scaled as on ImageNet


def rename(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Raises ValueError on tensors of another network."""
    return of_images(tensors, LIKE)


def config(tensors: dict[str, Tensor]) -> dict[str, Any]:  # noqa: ARG001 - one network, whatever the tensors
    """The config.json of a clip network whose pixels are scaled as the image network's were."""
    return described({"like": LIKE}, MEAN, STD)
