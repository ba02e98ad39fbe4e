"""A video network that attends over time, then over space: TimeSformer (Bertasius et al., 2021).

Source   METHODS 3.1; the classes are those of transformers.
Letters  B clips, T frames, S patches of a frame (row by row), C width, K classes, H W pixels.
Files    config.json and model.safetensors with the names of transformers' TimesformerModel: no classifier.

Features are every patch of every frame after the last layer norm. The class token, which the published classifier
reads, is dropped. Position and time tables of another picture size or frame count are resized by nearest neighbour
to the frames that come; a picture is a clip of one frame.
"""

from typing import Any

import torch
from torch import Tensor, nn

from retake.layers.backbone import PixelScale
from retake.layers.shapes import expect

OVER = "clip"  # a frame's features depend on the clip's other frames
MEAN, STD = [0.45] * 3, [0.225] * 3  # of the input, as published


class VideoNetwork(nn.Module):
    """Batch keys   frames (B, 3, T, H, W) in [0, 1]; labels (B, K) in {0, 1}, for the loss.

    K = 0: without a classifier, as the published file. The classifier reads the mean of all patches, so that they
    learn; the published one reads the class token, and its last layer leaves the patches without a gradient.
    """

    def __init__(self, config: dict[str, Any], num_classes: int):
        super().__init__()
        self.scale = PixelScale(MEAN, STD)
        self.network = network_of(config)
        self.width = config["hidden_size"]
        self.head = nn.Linear(self.width, num_classes) if num_classes else None

    def features(self, frames: Tensor) -> Tensor:
        """(B, T, S, C). frames (B, 3, T, H, W); H and W are multiples of the patch. Raises ValueError else."""
        sizes, config = expect(frames, "B 3 T H W"), self.network.config
        frame_size, patch = (sizes["H"], sizes["W"]), config.patch_size
        grid, table = [side // patch for side in frame_size], self.network.embeddings.position_embeddings
        if any(side % patch for side in frame_size):
            raise ValueError(f"expected frames of a multiple of {patch} pixels, found {frame_size}")
        if grid[0] != grid[1] and grid[0] * grid[1] == table.shape[1] - 1:
            raise ValueError(
                f"frames of {frame_size}: as many patches as the square the table is for, elsewhere"
            )
        config.num_frames, config.image_size = sizes["T"], sizes["W"]  # what its layers cut their tokens by
        clips = self.scale(frames.transpose(1, 2))  # (B, T, 3, H, W)
        tokens = self.network(pixel_values=clips).last_hidden_state[:, 1:]  # (B, S * T, C), time innermost
        return tokens.unflatten(1, (grid[0] * grid[1], sizes["T"])).transpose(1, 2)

    def logits(self, batch: dict[str, Any]) -> Tensor:
        return self.head(self.features(batch["frames"]).mean(dim=(1, 2)))  # (B, K)

    def losses(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Sums over clips; `count` clips. The classes share one softmax: each label of a clip is an answer to it."""
        logits = self.logits(batch).float()
        total = -(logits.log_softmax(dim=1) * batch["labels"]).sum()
        return {"total": total, "count": torch.tensor(float(len(logits)), device=logits.device)}

    @torch.no_grad()
    def predict(self, batch: dict[str, Any], protocol: dict[str, Any]) -> list[dict[str, Any]]:  # noqa: ARG002
        return [{"scores": row.tolist()} for row in self.logits(batch).float().softmax(dim=1)]


def network_of(config: dict[str, Any]) -> nn.Module:
    """The network that a config.json describes, at random; in all blocks but the first what time adds begins at 0."""
    from transformers.models.timesformer.configuration_timesformer import TimesformerConfig  # seconds
    from transformers.models.timesformer.modeling_timesformer import TimesformerModel

    network = TimesformerModel(TimesformerConfig(**config))
    for block in network.encoder.layer[1:]:
        nn.init.zeros_(block.temporal_dense.weight)
    return network


def described(
    *, frames: int, size_px: int, patch: int, hidden: int, layers: int, heads: int
) -> dict[str, Any]:
    """The config.json of these sizes, with the hub's keys."""
    return {
        "architectures": ["TimesformerModel"],
        "model_type": "timesformer",
        "attention_type": "divided_space_time",
        "num_frames": frames,
        "image_size": size_px,
        "patch_size": patch,
        "num_channels": 3,
        "hidden_size": hidden,
        "intermediate_size": 4 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
        "qkv_bias": True,
    }


def build(
    *, frames: int, size_px: int, patch: int, hidden: int, layers: int, heads: int, num_classes: int
) -> VideoNetwork:
    """frames, size_px: what the time and position tables are for; patch: side of a patch in pixels."""
    sizes = {"frames": frames, "size_px": size_px, "patch": patch}
    return VideoNetwork(described(**sizes, hidden=hidden, layers=layers, heads=heads), num_classes)


def from_config(config: dict[str, Any]) -> VideoNetwork:
    """The network that a weights folder's config.json describes, at random, without a classifier."""
    known = described(frames=1, size_px=1, patch=1, hidden=1, layers=1, heads=1)
    return VideoNetwork({key: config[key] for key in known if key in config}, 0)


def published(model: VideoNetwork, sizes: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and config of a trained network without its classifier, as transformers has them."""
    sizes = {key: value for key, value in sizes.items() if key != "num_classes"}
    return model.network.state_dict(), described(**sizes)
