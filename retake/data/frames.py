"""extract_frames: the videos of one shard as one array of uint8 frames, with an index and a list of failures.

The array grows on disk video by video, so that memory is that of one video whatever the shard holds.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow.parquet as pq
from tqdm import tqdm

from retake.data.array_index import table_of, write_failures
from retake.data.chunks import Clip, clips_of, frames_in, joined, length_s, named, segments_of
from retake.data.video import Frames, VideoError, read_frames
from retake.data.views import by_clock, frame_size, indices, placement
from retake.schema.manifest import Manifest

ARRAY = "frames.npy"  # the array's name beside its index


class GrowingArray:
    """A .npy file to which rows are appended; its header says how many once it is closed."""

    def __init__(self, path: Path, row_shape: tuple[int, ...], dtype: Any):
        self.path, self.row_shape, self.dtype, self.num_rows = Path(path), row_shape, np.dtype(dtype), 0
        self.file: BinaryIO = self.path.open("wb")
        self._header()

    def _header(self) -> None:
        # numpy leaves room in a header for a first axis of any length: it can be written again in place
        shape = (self.num_rows, *self.row_shape)
        header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self.file, header)

    def append(self, rows: np.ndarray) -> int:
        """Writes `rows` (N, *row_shape) and returns the number of the first of them."""
        if rows.shape[1:] != self.row_shape or rows.dtype != self.dtype:
            raise ValueError(
                f"{self.path}: expected rows of {self.row_shape} {self.dtype}, got {rows.shape[1:]}"
            )
        self.file.write(np.ascontiguousarray(rows).data)
        first, self.num_rows = self.num_rows, self.num_rows + len(rows)
        return first

    def cut(self, num_rows: int) -> None:
        """Takes back all but the first `num_rows`: what was written of a video that then failed."""
        if not 0 <= num_rows <= self.num_rows:
            raise ValueError(f"{self.path}: cannot keep {num_rows} of {self.num_rows} rows")
        self.file.seek(self.file.tell() - (self.num_rows - num_rows) * self._row_bytes())
        self.file.truncate()
        self.num_rows = num_rows

    def _row_bytes(self) -> int:
        return int(np.prod(self.row_shape)) * self.dtype.itemsize

    def close(self) -> None:
        begin = self.file.tell() - self.num_rows * self._row_bytes()
        self.file.seek(0)
        self._header()
        if self.file.tell() != begin:
            raise RuntimeError(f"{self.path}: numpy changed the length of its header while rows were added")
        self.file.close()


def extract_frames(
    *,
    view: Mapping[str, Any],
    manifest: Path,
    array_out: Path,
    index_out: Path,
    failures_out: Path,
    segments: Path | None = None,
    root_override: Path | None = None,
) -> None:
    """Write the frames of a manifest's videos, in the order of their ids.

    `view` is a recipe's entry: kind (frames), count, sampling, every_s, resize, crop, chunk_s, segments_of. Writes
    (rows, H, W, 3) uint8 RGB, one index row a video or clip, and a row of failures.csv for each that gives no frames.
    Of frames that a clock picks the index has the times at which they were looked for, not those of their stamps.
    `segments` is the annotation table of the data set that the view names. `root_override` is a folder to read
    from in place of the manifest's root. Raises ValueError on a view that cannot make one array.
    """
    if view.get("kind") != "frames":
        raise ValueError(f"view: extract_frames makes views of kind frames, not {view.get('kind')!r}")
    if (view.get("segments_of") is None) != (segments is None):
        raise ValueError("segments: expected a table exactly where the view has segments_of")
    array, videos = (
        GrowingArray(array_out, (*frame_size(view), 3), np.uint8),
        videos_of(manifest, root_override),
    )
    if view.get("chunk_s") is None and segments is None:

        def made(video_id: str, path: Path) -> dict[str, Any]:
            frames = frames_of(view, path)
            first = array.append(frames.rgb)
            return row_of(video_id, ARRAY, (first, len(frames.rgb)), frames.times_s, frames.probe)

        rows, failures = video_by_video(videos, made)
    else:
        rows, failures = _clip_by_clip(
            view, videos, array, None if segments is None else segments_of(segments, (v[0] for v in videos))
        )
    array.close()
    pq.write_table(table_of(rows), index_out)
    write_failures(failures, failures_out)


Video = tuple[str, str, Path]  # video_id, the path that a failure names, the file
Rows = list[dict[str, Any]]
Failures = list[tuple[str, ...]]


def _clip_by_clip(
    view: Mapping[str, Any], videos: Sequence[Video], array: GrowingArray, segments: Mapping | None
) -> tuple[Rows, Failures]:
    """(index rows, failures) of clips: each file is read once, whatever its clips; of `segments`, or chunks.

    A video of which the table has no segment is not read.
    """
    held: Rows = []
    lost: Failures = []

    def made(video_id: str, path: Path) -> dict[str, Any]:
        for clip, frames in clips_in(view, segments, video_id, path):
            if frames is None:
                lost.append((video_id, path_of[video_id], f"{named(clip)} holds no frame"))
                continue
            first = array.append(frames.rgb)
            row = row_of(video_id, ARRAY, (first, len(frames.rgb)), frames.times_s, frames.probe)
            held.append(row | {"start_s": clip[0], "end_s": clip[1]})
        return {}

    if segments is not None:
        videos = [video for video in videos if video[0] in segments]
    path_of = {video_id: path for video_id, path, _ in videos}
    _, failures = video_by_video(videos, made)
    return held, failures + lost


def clips_in(
    view: Mapping[str, Any], segments: Mapping | None, video_id: str, path: Path
) -> list[tuple[Clip, Frames | None]]:
    """The clips that a view cuts out of a video and the frames of each, None where a clip holds none.

    The file is read once. Raises VideoError, also where the video is shorter than one chunk.
    """
    clips: list[Clip] = []
    picked: list[np.ndarray] = []

    def choose(times_s: np.ndarray) -> np.ndarray:
        clips[:] = clips_of(view, segments, video_id, length_s(times_s))
        if not clips:
            raise VideoError(path, f"shorter than one chunk of {view['chunk_s']:g} s")
        spans = [frames_in(times_s, clip) for clip in clips]
        sampling = view.get("sampling", "segment_starts")
        picked[:] = [first + indices(view.get("count"), last - first, sampling) for first, last in spans]
        return joined(picked) if any(map(len, picked)) else np.zeros(1, dtype=np.int64)

    frames = read_frames(path, choose, place=partial(placement, view))
    union = joined(picked)
    places = [np.searchsorted(union, numbers) for numbers in picked]
    return [
        (clip, Frames(frames.rgb[at], frames.times_s[at], frames.probe) if len(at) else None)
        for clip, at in zip(clips, places, strict=True)
    ]


def videos_of(manifest: Path, root_override: Path | None = None) -> list[Video]:
    """The videos of a manifest in the order of their ids."""
    listed = Manifest.read(manifest)
    root = Path(root_override or listed.root)
    found = sorted((file.video_id, file.path) for file in listed.files if file.video_id is not None)
    return [(video_id, path, root / path) for video_id, path in found]


def video_by_video(
    videos: Iterable[Video], made: Callable[[str, Path], dict[str, Any]]
) -> tuple[Rows, Failures]:
    """(index rows, failures): what `made(video_id, file)` returns, or the reason of the VideoError it raises."""
    rows: Rows = []
    failures: Failures = []
    for video_id, path, file in tqdm(videos, desc="videos", unit="video", file=sys.stderr, mininterval=1.0):
        try:
            rows.append(made(video_id, file))
        except VideoError as error:
            failures.append((video_id, path, error.reason))
            tqdm.write(f"{path}: {error.reason}", file=sys.stderr)
    return rows, failures


def frames_of(view: Mapping[str, Any], path: Path) -> Frames:
    """One video through a view. Raises VideoError."""
    ticks: list[np.ndarray] = []

    def choose(times_s: np.ndarray) -> np.ndarray:
        if view.get("sampling") == "clock":
            numbers, times = by_clock(times_s, view["every_s"])
            ticks[:] = [times]
            return numbers
        return indices(view.get("count"), len(times_s), view.get("sampling", "segment_starts"))

    frames = read_frames(path, choose, place=partial(placement, view))
    return frames._replace(times_s=ticks[0]) if ticks else frames


def row_of(
    video_id: str, array: str, place: tuple[int, int], times_s: np.ndarray, facts: Any
) -> dict[str, Any]:
    """The index row of a whole video: `place` is its first row in `array` and their number.

    `facts` has duration_s, fps, width and height; and decoder and num_damaged, where pictures were decoded.
    """
    return {
        "video_id": video_id,
        "start_s": 0.0,
        "end_s": None,
        "array": array,
        "row": place[0],
        "num_rows": place[1],
        "times_s": times_s.tolist(),
        "duration_s": facts.duration_s,
        "fps": facts.fps,
        "width": facts.width,
        "height": facts.height,
        "decoder": getattr(facts, "decoder", None),
        "damaged": getattr(facts, "num_damaged", None),
    }
