"""Feature banks: what a frozen network makes of the frames or clips of a shard, written once and read by many."""

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
    with checkpoint.Undrawn():
        model = import_module(weights_module).from_config(
            json.loads(Path(config).read_text(encoding="utf-8"))
        )
    checkpoint.start_from(model, [{"checkpoint": weights, "into": "network.", "leave_out": []}], [])
    return model.eval()


@torch.no_grad()
def extract_bank(
    *, weights_module: str, recipe: dict[str, Any], weights: Path, config: Path, index: Path,
    array_out: Path, index_out: Path,
) -> None:  # fmt: skip
    """Features of every frame row of one shard, in the frames' order: (rows, C), or (rows, S, C) of S places.

    recipe   at_once (frames in one pass), precision, dtype of the array; which bank it is
    index    the shard's frame index, with its array beside it; that of the features is the same
    A frame's features depend on its own pixels alone; of a network that sees clips (OVER = "clip" in its module),
    on the frames of its index row. A shard without a frame gives an array of no rows. Raises FloatingPointError
    where a feature is no number, or too large for the dtype.
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
    by_clip = getattr(import_module(weights_module), "OVER", "frame") == "clip"
    if by_clip:
        groups = clip_groups(table["row"].to_pylist(), table["num_rows"].to_pylist(), recipe["at_once"])
    else:
        groups = frame_groups(len(frames), recipe["at_once"])
    array_out.parent.mkdir(parents=True, exist_ok=True)
    features = None
    for rows in tqdm(groups, unit="pass"):  # (B, T) of clips, or (1, T) of frames that do not meet
        part = torch.from_numpy(frames[rows.ravel()]).to(device).unflatten(0, rows.shape)  # (B, T, H, W, 3)
        with autocast(device, recipe["precision"]):
            found = model.features(part.permute(0, 4, 1, 2, 3).float() / 255)  # (B, T, C) or (B, T, S, C)
        with np.errstate(over="ignore"):  # said below, with the file's name
            found = found.flatten(0, 1).float().cpu().numpy().astype(recipe["dtype"])
        if not np.isfinite(found).all():
            raise FloatingPointError(f"{weights}: a feature of {index} is no number in {recipe['dtype']}")
        if features is None:
            features = _array(array_out, recipe["dtype"], (len(frames), *found.shape[1:]))
        features[rows.ravel()] = found
    if features is None:
        features = _array(array_out, recipe["dtype"], (0, 0, model.width) if by_clip else (0, model.width))
    features.flush()
    at = table.schema.get_field_index("array")
    name = pa.array([array_out.name] * len(table), pa.string())  # it lies beside its index
    index_out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.set_column(at, table.schema.field(at), name), index_out)


def _array(path: Path, dtype: str, shape: tuple[int, ...]) -> np.memmap:
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)


def frame_groups(num_frames: int, at_once: int) -> list[np.ndarray]:
    """Rows of frames for each pass: (1, at most `at_once`)."""
    return [np.arange(i, min(i + at_once, num_frames))[None] for i in range(0, num_frames, at_once)]


def clip_groups(first: list[int], num_rows: list[int], at_once: int) -> list[np.ndarray]:
    """Rows of clips for each pass, (B, T): clips of one length, at most `at_once` frames or else one clip.

    first, num_rows  of each clip, as its index row has them
    """
    groups = []
    for length in sorted(set(num_rows)):
        starts = np.array(sorted({f for f, n in zip(first, num_rows, strict=True) if n == length}))
        clips = max(1, at_once // length)
        groups += [starts[i : i + clips, None] + np.arange(length) for i in range(0, len(starts), clips)]
    return groups
