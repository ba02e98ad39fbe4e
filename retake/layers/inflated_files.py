"""Tensors of published networks as those of retake.layers.inflated: Caffe2 blobs, and image networks of timm.

Blobs   conv1_w, res_conv1_bn_s, res2_0_branch2a_w, res2_0_branch2a_bn_s, res2_0_branch1_w, nonlocal_conv3_1_theta_w,
        nonlocal_conv3_1_bn_s; of a norm that is not folded yet _bn_rm (mean) and _bn_riv (variance, whatever its name
        says). Read in the published code; no file of it was seen here.
"""

import re
from collections.abc import Iterable

import torch
from torch import Tensor

from retake.layers.inflated import SIZES, folded, inflate, inflated

CONVOLUTIONS = {"branch2a": "conv1", "branch2b": "conv2", "branch2c": "conv3", "branch1": "downsample.0"}
NORMS = {"branch2a": "bn1", "branch2b": "bn2", "branch2c": "bn3", "branch1": "downsample.1"}
PARTS = {"w": "weight", "b": "bias"}
OF_NORMS = {"s": "weight", "b": "bias", "rm": "running_mean", "riv": "running_var"}
LEFT_OUT = re.compile(r"pred_[wb]|.*_momentum|lr|epoch|model_iter")  # the classifier; what is no weight


SEED = 0  # of what non-local blocks look for, which an image network does not have
STATISTICS = (".running_mean", ".running_var", ".num_batches_tracked")  # which frozen norms do not have


def of_blobs(tensors: dict[str, Tensor], like: str, channel_order: str) -> dict[str, Tensor]:
    """The trunk's tensors, norms folded, its first kernel for pictures in RGB; the classifier is left out.

    Raises ValueError on a name, or a number of blocks, that is not this network's.
    """
    found = {_renamed(name): t.float() for name, t in tensors.items() if not LEFT_OUT.fullmatch(name)}
    check_blocks(found, like)
    if channel_order == "bgr":
        found["conv1.weight"] = found["conv1.weight"].flip(1)
    return folded(found)


def of_images(tensors: dict[str, Tensor], like: str) -> dict[str, Tensor]:
    """The trunk's tensors, begun from an image network's; see `inflate`. Raises ValueError on another network's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = inflated({"like": like})
    given = {name: tensor for name, tensor in tensors.items() if not name.startswith("fc.")}
    odd = [n for n in sorted(given.keys() - set(network.state_dict())) if not n.endswith(STATISTICS)]
    if odd:
        raise ValueError(f"{odd[0]!r} is no name of this network's")
    return inflate(given, network)


def check_blocks(names: Iterable[str], like: str) -> None:
    """Raises ValueError where stages have other numbers of blocks."""
    places = {match[0] for name in names if (match := re.match(r"layer\d\.\d+", name))}
    have = [sum(place.startswith(f"layer{stage}.") for place in places) for stage in range(1, 5)]
    if have != SIZES[like]["blocks"]:
        raise ValueError(f"it has {have} blocks, {like} has {SIZES[like]['blocks']}")


def _renamed(name: str) -> str:
    if name == "conv1_w":
        return "conv1.weight"
    if match := re.fullmatch(r"res_conv1_bn_(s|b|rm|riv)", name):
        return f"bn1.{OF_NORMS[match[1]]}"
    if match := re.fullmatch(r"res([2-5])_(\d+)_(branch2[abc]|branch1)_(?:(w)|bn_(s|b|rm|riv))", name):
        part = f"{CONVOLUTIONS[match[3]]}.weight" if match[4] else f"{NORMS[match[3]]}.{OF_NORMS[match[5]]}"
        return f"layer{int(match[1]) - 1}.{match[2]}.{part}"
    if match := re.fullmatch(
        r"nonlocal_conv([2-5])_(\d+)_(?:(theta|phi|g|out)_([wb])|bn_(s|b|rm|riv))", name
    ):
        part = f"{match[3]}.{PARTS[match[4]]}" if match[3] else f"bn.{OF_NORMS[match[5]]}"
        return f"non_local.layer{int(match[1]) - 1}_{match[2]}.{part}"
    raise ValueError(f"{name!r} is no name of this network's")
