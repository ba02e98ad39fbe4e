"""Pseudolabels of the user's own videos: chunk, frame and sentence, as the labeller saw them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from retake.report.figures_captions import picture


def labelled_videos(shown: Sequence[Path]) -> list[dict[str, Any]]:
    """Labeller by labeller, its videos with clips (times in seconds, picture as a data URI, caption).

    shown: files .../pseudolabels/<labeller>/<release>/shard<n>/shown.parquet. A labeller without a clip is left out.
    """
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for path in map(Path, shown):
        for row in pq.read_table(path).to_pylist():
            clips = found.setdefault(path.parts[-4], {}).setdefault(row["video_id"], [])
            clips.append(
                {key: row[key] for key in ("start_s", "end_s", "time_s", "caption")} | {"uri": _uri(row)}
            )
    return [
        {"labeller": name, "videos": [{"video_id": v, "clips": clips} for v, clips in sorted(videos.items())]}
        for name, videos in sorted(found.items())
    ]


def _uri(row: dict[str, Any]) -> str:
    return picture(np.frombuffer(row["rgb"], np.uint8).reshape(row["height"], row["width"], 3))
