"""The published Caffe2 blobs under our names; the order of colours that they were trained with stands in the card."""

from pathlib import Path
from typing import Any

from torch import Tensor

from retake.layers.clip_classifier import described
from retake.layers.inflated_files import of_blobs
from retake.schema.card import read_weights_card

LIKE, CARD = "r101", Path(__file__).with_name("card.yaml")


def rename(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The trunk's tensors. Raises ValueError on a name, or a number of blocks, that is not this network's."""
    return of_blobs(tensors, LIKE, read_weights_card(CARD).paper.model["channel_order"])


def config(tensors: dict[str, Tensor]) -> dict[str, Any]:  # noqa: ARG001 - one network, whatever the tensors
    """The config.json of the published network."""
    return described({"like": LIKE})
