"""extract_motion: what the codec knows of each frame of a shard's videos, read in one pass and stored packed."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from retake.data.array_index import read_failures, table_of, write_failures
from retake.data.frames import row_of, video_by_video, videos_of
from retake.data.motion import CodedFrame, read_coded
from retake.data.packed import TABLE, Fact, PackedWriter
from retake.data.streams import Stream, Streams
from retake.data.video import VideoError

MARKED = ("video_id", "number", "reason")


class Origin:
    """What a view is made from: the release's files, or the shard of the stream view that its `of` names.

    `streams` and `failures` are that shard's index and failures.csv.
    """

    def __init__(self, view: Mapping[str, Any], streams: Path | None, failures: Path | None):
        if len({view.get("of") is None, streams is None, failures is None}) > 1:
            raise ValueError(f"view: of is {view.get('of')!r}; the job was given the streams {streams}")
        self.streams = None if streams is None else Streams(streams)
        rows = [] if failures is None else read_failures(failures)
        self.failed = {video_id: reason for video_id, _, reason in rows}

    def of(self, video_id: str, path: Path) -> Path | Stream:
        """The file, or the stream. Raises VideoError where the stream view could not have the video."""
        if self.streams is None:
            return path
        if video_id in self.failed:
            raise VideoError(path, self.failed[video_id])
        return self.streams.stream(video_id)

    def about(
        self, video_id: str, times_s: Sequence[float] | np.ndarray, size: tuple[int, int]
    ) -> tuple[np.ndarray, Any]:
        """(times of the frames, facts for the index): the stream view's where there is one.

        `times_s` and `size` (height, width) are what was read. Raises ValueError where the numbers of frames differ.
        """
        times = np.asarray(times_s, dtype=np.float64)
        if self.streams is None:
            fps = (len(times) - 1) / times[-1] if len(times) > 1 and times[-1] > 0 else None
            length = len(times) / fps if fps else 0.0
            return times, SimpleNamespace(duration_s=length, fps=fps, height=size[0], width=size[1])
        segment = self.streams.segment(video_id)
        if len(segment["times_s"]) != len(times):
            raise ValueError(
                f"{self.streams.index}: video {video_id!r}: {len(segment['times_s'])} frames, {len(times)} decode"
            )
        keys = ("duration_s", "fps", "height", "width")
        return segment["times_s"], SimpleNamespace(**{key: segment[key] for key in keys})


def extract_motion(
    *,
    view: Mapping[str, Any],
    manifest: Path,
    blobs_out: Path,
    table_out: Path,
    index_out: Path,
    failures_out: Path,
    marked_out: Path,
    streams: Path | None = None,
    streams_failures: Path | None = None,
    root_override: Path | None = None,
) -> None:
    """Write the signals of a manifest's videos, in the order of their ids.

    `view` is a recipe's entry: kind (motion), of, signals. `streams` and `streams_failures` are the shard's index
    and failures of the stream view that `of` names; left out, the release's own files are read. Writes the packed
    frames and their table, an index row a video (its rows of the table, one a frame), a row of marked.csv for each
    frame whose vectors could not be followed, and a row of failures.csv for each video that cannot be read, that
    the stream view could not have, or in which no frame has one of the signals.
    """
    if view.get("kind") != "motion":
        raise ValueError(f"view: extract_motion makes views of kind motion, not {view.get('kind')!r}")
    origin, signals = Origin(view, streams, streams_failures), tuple(view["signals"])
    writer, marked = PackedWriter(blobs_out, table_out, signals), []

    def made(video_id: str, path: Path) -> dict[str, Any]:
        before = writer.size
        try:
            times, marks, size = _append(origin.of(video_id, path), path, signals, writer)
            times_s, facts = origin.about(video_id, times, size)
        except BaseException:
            writer.cut(before)
            raise
        marked.extend((video_id, number, reason) for number, reason in marks)
        return row_of(video_id, TABLE, (before[0], writer.size[0] - before[0]), times_s, facts)

    rows, failures = video_by_video(videos_of(manifest, root_override), made)
    writer.close()
    pq.write_table(table_of(rows), index_out)
    write_failures(failures, failures_out)
    write_marked(marked, marked_out)


def _append(
    source: Path | Stream, path: Path, signals: Sequence[str], writer: PackedWriter
) -> tuple[list[float], list[tuple[int, str]], tuple[int, int]]:
    """(times of the frames, frames that are marked and why, height and width) of one video. Raises VideoError."""
    times, marks, size = [], [], (0, 0)
    missing = set(signals)
    coded = read_coded(source.data if isinstance(source, Stream) else source, signals)
    for number, frame in enumerate(coded):
        arrays = arrays_of(frame, signals)
        missing -= {name for name, array in arrays.items() if array is not None}
        size = next((array.shape[:2] for array in arrays.values() if array is not None), size)
        writer.append(Fact(frame.kind, frame.gop, frame.position, frame.marked is not None), arrays)
        times.append(frame.time_s)
        if frame.marked is not None:
            marks.append((number, frame.marked))
    if missing:
        name = next(name for name in signals if name in missing)
        raise VideoError(path, f"none of its {len(times)} frames has {name}")
    return times, marks, size


def arrays_of(frame: CodedFrame, signals: Sequence[str]) -> dict[str, np.ndarray | None]:
    """What a frame has of `signals`: rgb of every one, iframe of an I-frame, vectors and residuals if it is none."""
    inner = frame.kind != "I"
    has = {"rgb": True, "iframe": not inner}
    return {
        name: getattr(frame, "rgb" if name == "iframe" else name) if has.get(name, inner) else None
        for name in signals
    }


def write_marked(rows: Sequence[tuple[str, int, str]], path: Path) -> None:
    """marked.csv: video_id, number, reason; only the header where there is none."""
    with Path(path).open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(MARKED)
        writer.writerows(rows)
