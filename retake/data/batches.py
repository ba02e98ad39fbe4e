"""What a batch holds: media of its examples padded to one length, and what their rows say.

Letters  B examples, T frames, K classes.
"""

from typing import Any

import numpy as np
import torch

from retake.data.sampled import labels_at


def stacked(clips: list[np.ndarray], rows: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """Media of a batch, padded and marked, and what its rows say; every row shows a video of its own."""
    longest = max(len(clip) for clip in clips)
    stacked = np.zeros((len(clips), longest, *clips[0].shape[1:]), dtype=clips[0].dtype)
    keep = np.zeros((len(clips), longest), dtype=bool)
    for number, clip in enumerate(clips):
        stacked[number, : len(clip)] = clip
        keep[number, : len(clip)] = True
    media = torch.from_numpy(stacked)
    return {kind: media.permute(0, 4, 1, 2, 3) if kind == "frames" else media} | told(rows, keep)


def told(rows: list[dict[str, Any]], keep: np.ndarray) -> dict[str, Any]:
    """What a batch has beside its media."""
    return {
        "keep": torch.from_numpy(keep),
        "same_as": torch.arange(len(rows)),
        "item_id": [row["item_id"] for row in rows],
        "text_in": [row["text_in"] or "" for row in rows],
        "text_out": [row["text_out"] or "" for row in rows],
    }


def targets(rows: list[dict[str, Any]], num_classes: int | None) -> dict[str, torch.Tensor]:
    targets = {}
    if num_classes is not None and all(row["labels"] is not None for row in rows):
        labels = torch.zeros(len(rows), num_classes)
        for number, row in enumerate(rows):
            if bad := [label for label in row["labels"] if not 0 <= label < num_classes]:
                raise ValueError(f"{row['ref_id']}: label {bad[0]}, the model has {num_classes} classes")
            labels[number, list(row["labels"])] = 1.0
        targets["labels"] = labels
    if all(row["value"] is not None for row in rows):
        targets["value"] = torch.tensor([row["value"] for row in rows], dtype=torch.float32)
    return targets


def frame_labels(rows: list[dict[str, Any]], times: list[np.ndarray], num_classes: int) -> torch.Tensor:
    """(B, T, K) in {0, 1}: what goes on when each frame is shown."""
    labels = torch.zeros(len(rows), len(times[0]), num_classes)
    for n, (row, shown) in enumerate(zip(rows, times, strict=True)):
        for t, time_s in enumerate(shown):
            labels[n, t, labels_at(row, float(time_s))] = 1.0
    return labels
