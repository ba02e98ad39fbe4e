"""Small pictures of some clips, for the report: what the labeller saw, and when."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from retake.data.video import VideoError
from retake.labelling.clips import read_clips, thumbnail

VIDEOS, CLIPS, HEIGHT = 12, 4, 72  # videos of a shard, clips of each, pixels
SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("time_s", pa.float64()),  # of the frame
        ("caption", pa.string()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("rgb", pa.binary()),  # (height, width, 3) uint8
    ]
)


def write_shown(rows: Sequence[dict[str, Any]], files: Mapping[str, Path], chunk_s: float, out: Path) -> None:
    """The first clips of the first videos, by their ids. rows: video_id, number, start_s, end_s, time_s, caption."""
    shown: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: (row["video_id"], row["number"])):
        shown.setdefault(row["video_id"], []).append(row)
    made = []
    for video_id in sorted(shown)[:VIDEOS]:
        wanted = {row["number"]: row for row in shown[video_id][:CLIPS]}
        small = partial(thumbnail, height=HEIGHT)
        try:
            clips = read_clips(video_id, files[video_id], chunk_s, small, min(wanted), max(wanted) + 1)
            made.extend(_row(wanted[clip.number], clip.picture) for clip in clips if clip.number in wanted)
        except VideoError:  # of a later part of the file; it stands in failures.csv
            continue
    pq.write_table(pa.Table.from_pylist(made, schema=SCHEMA), out, compression="zstd")


def _row(row: dict[str, Any], picture: Any) -> dict[str, Any]:
    told = {key: row[key] for key in ("video_id", "start_s", "end_s", "time_s", "caption")}
    return told | {"height": len(picture), "width": picture.shape[1], "rgb": picture.tobytes()}
