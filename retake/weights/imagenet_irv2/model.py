"""An image classifier whose trunk gives frame features: Inception-ResNet-v2 as published, small at mini scale."""

from retake.layers.image_classifier import build, from_config, published

__all__ = ["build", "from_config", "published"]
