"""An image classifier whose trunk gives frame features: ResNet-18 as published."""

from retake.layers.image_classifier import build, from_config, published

__all__ = ["build", "from_config", "published"]
