"""A clip classifier whose trunk others start from: I3D-ResNet-50 begun from an image network."""

from retake.layers.clip_classifier import build, from_config, published

__all__ = ["build", "from_config", "published"]
