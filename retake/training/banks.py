"""Feature banks: what a frozen network makes of every frame of a shard, written once and read by many."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tqdm import tqdm

from retake.training import checkpoint
from retake.training.devices import autocast, deterministic
from retake.training.settings import BANK, filled


def load_weights(weights_module: str, weights: Path, config: Path) -> torch.nn.Module:
    """The network of a weights folder, in evaluation mode: built from its config, filled strictly from its
    tensors.
    """
    model = import_module(weights_module).from_config(json.loads(Path(config).read_text(encoding="utf-8")))
    checkpoint.start_from(model, [{"checkpoint": weights, "into": "network.", "leave_out": []}], [])
    return model.eval()


@torch.no_grad()
def extract_bank(
    *, weights_module: str, recipe: dict[str, Any], weights: Path, config: Path, index: Path,
    array_out: Path, index_out: Path,
) -> None:  # fmt: skip
    """Features of every frame row of one shard: float32 (rows, C) in the frames' order, and their index.

    recipe   at_once (frames in one pass), precision; which bank it is
    index    the shard's frame index, with its array beside it
    A frame's feature does not depend on its neighbours. A shard without a frame gives an array of no rows.
    """
    recipe = filled("bank", recipe, BANK)
    deterministic()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = load_weights(weights_module, weights, config).to(device)
    table = pq.read_table(index)
    arrays = sorted(set(table["array"].to_pylist()))
    if len(arrays) > 1:
        raise ValueError(f"{index}: a shard has one array, found {arrays[:3]}")
    frames = (
        np.load(Path(index).parent / arrays[0], mmap_mode="r") if arrays else np.zeros((0, 1, 1, 3), np.uint8)
    )
    array_out.parent.mkdir(parents=True, exist_ok=True)
    features = np.lib.format.open_memmap(
        array_out, mode="w+", dtype=np.float32, shape=(len(frames), model.width)
    )
    at_once = recipe["at_once"]
    for begin in tqdm(range(0, len(frames), at_once), unit_scale=at_once, unit="frame"):
        part = torch.from_numpy(np.array(frames[begin : begin + at_once])).to(device)  # (N, H, W, 3)
        pixels = part.permute(3, 0, 1, 2).unsqueeze(0).float() / 255  # (1, 3, N, H, W)
        with autocast(device, recipe["precision"]):
            features[begin : begin + at_once] = model.features(pixels)[0].float().cpu().numpy()
    features.flush()
    if features.size and not np.isfinite(features).all():
        raise FloatingPointError(f"{weights}: a feature of {index} is no number")
    at = table.schema.get_field_index("array")
    name = pa.array([array_out.name] * len(table), pa.string())  # it lies beside its index
    index_out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.set_column(at, table.schema.field(at), name), index_out)
