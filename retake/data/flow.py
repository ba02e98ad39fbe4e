"""extract_flow: optical flow from a frame to the next, of a shard's videos, stored packed.

The method is TV-L1 with OpenCV's own values (tau 0.25, lambda 0.15, theta 0.3, 5 scales, 5 warps, epsilon 0.01), on
grey frames. A displacement of v pixels is stored as round(v * 127.5 / bound) + 128, clipped to 0..255: 128 is none,
and a mirrored frame's horizontal part is 256 minus the stored one. The last frame has no flow.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq

from retake.data.array_index import table_of, write_failures
from retake.data.frames import row_of, video_by_video, videos_of
from retake.data.motion_store import Origin
from retake.data.packed import TABLE, Fact, PackedWriter
from retake.data.streams import Stream, pictures
from retake.data.video import EachFrame, VideoError

SIGNAL = "flow"  # what a view of this kind stores
METHODS = {"tvl1": cv2.optflow.createOptFlow_DualTVL1}


def quantised(flow: np.ndarray, bound_px: float) -> np.ndarray:
    """(H, W, 2) displacements in pixels, x and y, as uint8."""
    return np.clip(np.rint(flow * (127.5 / bound_px)) + 128, 0, 255).astype(np.uint8)


def extract_flow(
    *,
    view: Mapping[str, Any],
    manifest: Path,
    blobs_out: Path,
    table_out: Path,
    index_out: Path,
    failures_out: Path,
    streams: Path | None = None,
    streams_failures: Path | None = None,
    root_override: Path | None = None,
) -> None:
    """Write the flow of a manifest's videos, in the order of their ids, for frames 0, every, 2 * every, ...

    `view` is a recipe's entry: kind (flow), of, method, bound_px, every. Outputs and sources are extract_motion's.
    A video of one frame fails: it has no next.
    """
    if view.get("kind") != "flow":
        raise ValueError(f"view: extract_flow makes views of kind flow, not {view.get('kind')!r}")
    cv2.setNumThreads(1)
    origin = Origin(view, streams, streams_failures)
    writer = PackedWriter(blobs_out, table_out, (SIGNAL,))

    def made(video_id: str, path: Path) -> dict[str, Any]:
        before = writer.size
        try:
            times, size = _append(origin.of(video_id, path), path, view, writer)
            times_s, facts = origin.about(video_id, times, size)
        except BaseException:
            writer.cut(before)
            raise
        return row_of(video_id, TABLE, (before[0], writer.size[0] - before[0]), times_s, facts)

    rows, failures = video_by_video(videos_of(manifest, root_override), made)
    writer.close()
    pq.write_table(table_of(rows), index_out)
    write_failures(failures, failures_out)


def _append(
    source: Path | Stream, path: Path, view: Mapping[str, Any], writer: PackedWriter
) -> tuple[np.ndarray, tuple[int, int]]:
    """(times of the frames, height and width) of one video, one row of the table a frame. Raises VideoError."""
    before, method, previous, count = writer.size, METHODS[view["method"]](), None, 0
    each = EachFrame(path)
    for n, rgb in enumerate(pictures(source)) if isinstance(source, Stream) else each:
        if n == 0:  # maybe once more: what came before is void
            writer.cut(before)
            previous = None
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        if previous is not None:
            due = (n - 1) % view["every"] == 0
            flow = quantised(method.calc(previous, grey, None), view["bound_px"]) if due else None
            writer.append(Fact(), {SIGNAL: flow})
        previous, count = grey, n + 1
    writer.append(Fact(), {})
    if count < 2:
        raise VideoError(path, "one frame: no other to flow to")
    times_s = np.zeros(count) if isinstance(source, Stream) else each.times_s
    return times_s, previous.shape
