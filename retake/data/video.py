"""One reader for every video and picture: which frames there are, when each is shown, and their pixels.

decord decodes plain files from which frames are picked, PyAV all others and those at which decord fails; a file's
scan decides, never its name (`retake.data.decord_frames`). Numbers and times are the same either way, colours
nearly.

Headers lie about counts, rates and lengths, so none is believed. The packets say which frames to expect,
decoding says whether they came; where the two differ the file is decoded once more, and only what came out
counts. Time 0 is the first frame that is shown, whatever its stamp. Frames without usable stamps are spaced
by the stream's nominal rate. Rotation by quarter turns is applied, sample aspect ratio is not. Of several
video streams FFmpeg's choice is read: the one marked default, then the one with most bits, then the first; a
cover picture is no video.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from retake.data import decord_frames
from retake.data.array_index import window
from retake.data.decoding import (
    LIMITS,
    Limits,
    Timeline,
    VideoError,
    count,
    decoded,
    form,
    open_video,
    quarter_turns,
    scan,
)

__all__ = [
    "LIMITS",
    "EachFrame",
    "Frames",
    "Limits",
    "Placement",
    "Probe",
    "VideoError",
    "everything",
    "probe",
    "read_frames",
    "whole",
]

# Chroma is interpolated, not repeated: the error against the picture that was encoded is a third.
SCALING = (
    Interpolation.BILINEAR
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
)


@dataclass(frozen=True)
class Probe:
    """Facts of a video. Height and width are as shown, after rotation; times in seconds.

    `num_frames` is what decoded, or after `probe` alone what the packets promise (None: they do not say).
    `fps` and `duration_s` come from the stamps where there are any.
    """

    width: int
    height: int
    rotation: int  # degrees, clockwise, that were applied: 0, 90, 180, 270
    codec: str
    container: str
    stream: int
    pixels: str
    has_stamps: bool
    fps: float
    duration_s: float | None = None
    num_frames: int | None = None
    num_damaged: int = 0
    decoder: str = field(default="pyav", compare=False)  # or decord; how it was read is no fact of the video


class Placement(NamedTuple):
    """Where a frame of some size goes: scaled to (height, width), then a window cut out of it."""

    height: int
    width: int
    top: int
    left: int
    out_height: int
    out_width: int


class Frames(NamedTuple):
    """rgb (T, H, W, 3) uint8, times_s (T,) float64 from the first frame of the file, and the file's facts."""

    rgb: np.ndarray
    times_s: np.ndarray
    probe: Probe


Choose = Callable[[np.ndarray], np.ndarray]  # (N,) times of the frames there are -> (T,) indices, ascending
Place = Callable[[int, int], Placement]  # (height, width) -> placement
Cut = tuple[float | None, float | None]


def whole(height: int, width: int) -> Placement:
    """The frame as it is."""
    return Placement(height, width, 0, 0, height, width)


def everything(times_s: np.ndarray) -> np.ndarray:
    """All frames."""
    return np.arange(len(times_s))


def _packets_for(timeline: Timeline, window: tuple[int, int], chosen: list[int], straight: int) -> tuple:
    """Stamps of the packets to decode (None: all), and whether frames between are jumped over.

    The window is decoded whole from the key frame before it; where that is more than `straight` packets, only
    each chosen frame is, from the key frame before it.
    """
    if not timeline.keys or (window == (0, len(timeline.pts)) and len(timeline.order) <= straight):
        return None, False
    place = {pts: n for n, pts in enumerate(timeline.order)}

    def start(pts: int) -> int:
        before = bisect_right(timeline.keys, pts) - 1
        return min(place[timeline.keys[before]], place[pts]) if before >= 0 else 0

    stamps = timeline.pts[slice(*window)]
    run = range(start(stamps[0]), max(place[pts] for pts in stamps) + 1)
    if len(run) <= straight:
        return {timeline.order[n] for n in run}, False
    ends: dict[int, int] = {}  # of each group of pictures, from its key frame to the last that is wanted
    for pts in {timeline.pts[n] for n in chosen}:
        ends[start(pts)] = max(ends.get(start(pts), 0), place[pts])
    return {timeline.order[n] for first, last in ends.items() for n in range(first, last + 1)}, True


def _pixels(frame: av.VideoFrame) -> np.ndarray:
    """(H, W, 3) of an rgb24 frame where it lies: whoever keeps it copies it, once and what is wanted of it."""
    plane = frame.planes[0]
    lines = np.frombuffer(plane, dtype=np.uint8).reshape(-1, plane.line_size)
    return lines[: frame.height, : 3 * frame.width].reshape(frame.height, frame.width, 3)


class _Canvas:
    """Turns decoded frames into rows of one array: upright, RGB, scaled and cut as `place` says."""

    def __init__(self, path: Path, num_rows: int, place: Place, limits: Limits):
        self.path, self.num_rows, self.place, self.limits = path, num_rows, place, limits
        self.scaler = VideoReformatter()
        self.rgb: np.ndarray | None = None
        self.height = self.width = self.rotation = 0

    def put(self, rows: list[int], frame: Any) -> None:
        turns = quarter_turns(frame)
        if self.rgb is None:  # the first frame's size and rotation are the video's
            self._begin(frame, turns)
        to = self.placement
        width, height = (to.height, to.width) if turns % 2 else (to.width, to.height)
        try:
            scaled = self.scaler.reformat(frame, width, height, "rgb24", interpolation=SCALING, threads=1)
        except (av.FFmpegError, OSError):  # a matrix that swscale does not know, such as YCgCo
            raise VideoError(self.path, f"no way from {frame.format.name} to RGB with its colours") from None
        upright = np.rot90(_pixels(scaled), turns)
        part = upright[to.top : to.top + to.out_height, to.left : to.left + to.out_width]
        for row in rows:
            self.rgb[row] = part

    def _begin(self, frame: Any, turns: int) -> None:
        size = (frame.width, frame.height) if turns % 2 else (frame.height, frame.width)
        (self.height, self.width), self.rotation = size, -90 * turns % 360
        self.placement = to = self.place(self.height, self.width)
        if (
            to.top < 0
            or to.left < 0
            or to.top + to.out_height > to.height
            or to.left + to.out_width > to.width
        ):
            raise VideoError(
                self.path, f"{to.width}x{to.height} is smaller than the crop {to.out_width}x{to.out_height}"
            )
        shape = (self.num_rows, to.out_height, to.out_width, 3)
        if np.prod(shape, dtype=float) > self.limits.output_bytes:
            raise VideoError(self.path, f"{self.num_rows} frames are over {self.limits.output_bytes} bytes")
        self.rgb = np.empty(shape, dtype=np.uint8)


class _Choice(NamedTuple):
    """What is wanted of a timeline: a window of its frames, and which of them."""

    times_s: np.ndarray  # (N,) of all
    first: int
    last: int  # one past it
    chosen: list[int]  # numbers in the file, ascending


def _choice(timeline: Timeline, choose: Choose, cut: Cut) -> _Choice:
    """Raises ValueError where `choose` returns other than ascending indices."""
    times = timeline.times_s()
    first, last = window(times, *cut)
    chosen = (np.asarray(choose(times[first:last])) + first).tolist()
    if not chosen or chosen != sorted(chosen) or chosen[0] < first or chosen[-1] >= last:
        raise ValueError(
            f"expected ascending indices below {last - first}, got {[n - first for n in chosen]}"
        )
    return _Choice(times, first, last, chosen)


def _read_plain(
    path: Path, timeline: Timeline, choice: _Choice, place: Place, limits: Limits
) -> Frames | None:
    """The chosen frames by decord; None where that is not for this file, or fails."""
    num_frames = len(choice.times_s)
    if choice.last - choice.first < num_frames or not decord_frames.can_read(timeline, limits):
        return None
    rows: dict[int, list[int]] = {}
    for row, n in enumerate(choice.chosen):
        rows.setdefault(n, []).append(row)
    canvas = _Canvas(path, len(choice.chosen), place, limits)
    try:
        for n, rgb in decord_frames.frames(path, rows, num_frames, limits):
            canvas.put(rows[n], rgb)
    except decord_frames.DecordError:
        return None
    about = replace(_about(timeline.look.form, canvas, timeline.facts()), decoder="decord")
    return Frames(canvas.rgb, choice.times_s[choice.chosen], about)


def _read(path: Path, timeline: Timeline, choice: _Choice, place: Place, limits: Limits) -> Frames | None:
    """The chosen frames by PyAV and this timeline; None where decoding does not agree with it.

    Where frames between are jumped over, pictures that none of the chosen needs are not decoded.
    """
    times, first, last, chosen = choice
    feed, jumps = _packets_for(timeline, (first, last), chosen, limits.straight)
    rows: dict[int | None, list[int]] = {}
    for row, n in enumerate(chosen):
        rows.setdefault(timeline.pts[n] if timeline.exact else n, []).append(row)
    canvas, seen, found = _Canvas(path, len(chosen), place, limits), [], set()
    wanted = {pts for pts in rows if pts is not None} if jumps else None
    with open_video(path, limits) as source:
        for n, frame in enumerate(decoded(source, feed, wanted)):
            key = frame.pts if timeline.exact else n
            seen.append(key)
            if key in rows and key not in found:
                if jumps and frame.is_corrupt:  # the key frame was none
                    return None
                canvas.put(rows[key], frame)
                found.add(key)
        damaged, of = source.damaged + timeline.missing, source.num_fed + timeline.missing
        about = _about(form(source), canvas, timeline.facts()) if found else None
    _bear(path, damaged, of, limits)
    if (
        about is None
        or len(found) < len(rows)
        or not (jumps or _agrees(timeline, seen, first, last, feed is None))
    ):
        return None
    return Frames(canvas.rgb, times[chosen], replace(about, num_damaged=damaged))


def _bear(path: Path, damaged: int, of: int, limits: Limits) -> None:
    """Raises VideoError where more of a file is broken than `limits` allow."""
    if damaged > limits.damaged * max(of, 1):
        raise VideoError(path, f"damaged or truncated: {damaged} of {of} pictures are missing or broken")


def _about(form: dict[str, Any], canvas: _Canvas, facts: dict[str, Any]) -> Probe:
    return Probe(height=canvas.height, width=canvas.width, rotation=canvas.rotation, **form, **facts)


def _agrees(timeline: Timeline, seen: list, first: int, last: int, complete: bool) -> bool:
    """Whether exactly the expected frames came, in order: all of the file's, or those of the window."""
    if not timeline.exact:
        return True
    expected = timeline.pts if complete else timeline.pts[first:last]
    return expected == (seen if complete else [p for p in seen if expected[0] <= p <= expected[-1]])


def read_frames(
    path: Path,
    choose: Choose = everything,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    place: Place = whole,
    limits: Limits = LIMITS,
    seek: bool = False,
) -> Frames:
    """The frames that `choose` picks of those shown in [start_s, end_s), placed as `place` says.

    `choose` gets the times (N,) of the frames there are (N >= 1) and returns ascending indices (T,); an index
    may repeat. A window without a frame has the one that is up at start_s, so that an image is a video with
    start_s = end_s = 0.
    seek  by PyAV, each chosen frame from the key frame before it on, however short the file, and of what lies
          between only the pictures that it needs: for a few frames of many. Damage elsewhere is not seen
    Raises VideoError where the file has no frames to give, is over `limits`, or is damaged beyond them.
    """
    limits = replace(limits, straight=0) if seek else limits
    timeline = scan(Path(path), limits, *([] if seek else [decord_frames.may_read]))
    if timeline.exact:
        choice = _choice(timeline, choose, (start_s, end_s))
        for read in (_read,) if seek else (_read_plain, _read):
            frames = read(path, timeline, choice, place, limits)
            if frames is not None:
                return frames
    timeline = count(path, timeline, limits)
    frames = _read(path, timeline, _choice(timeline, choose, (start_s, end_s)), place, limits)
    if frames is None:
        raise VideoError(path, "decodes to other frames each time")
    return frames


class EachFrame:
    """All frames of a file one at a time, so that memory is that of one: what `read_frames` gives, as it decodes.

    By PyAV always: decord decodes ahead of who is slow to take its frames, to the end of the file.

    Iterating gives (n, rgb), rgb (H, W, 3) uint8 a buffer that the next frame overwrites. Where decoding turns
    out not to agree with the packets, n is 0 once more: what came before is void, and all frames come again.
    `times_s` (N,) and `probe` are those of the frames that came, once there are no more.
    Raises VideoError as `read_frames` does; some damage is known only at the end.
    """

    def __init__(self, path: Path, *, place: Place = whole, limits: Limits = LIMITS):
        self.path, self.place, self.limits = Path(path), place, limits
        self.times_s: np.ndarray = np.zeros(0)
        self.probe: Probe | None = None

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        timeline, self.probe = scan(self.path, self.limits), None
        if timeline.exact:
            yield from self._decoded(timeline)
        if self.probe is None:
            yield from self._decoded(count(self.path, timeline, self.limits))
        if self.probe is None:
            raise VideoError(self.path, "decodes to other frames each time")

    def _decoded(self, timeline: Timeline) -> Iterator[tuple[int, np.ndarray]]:
        """The frames as far as they are the timeline's; `probe` is set where they are all of it."""
        canvas, n = _Canvas(self.path, 1, self.place, self.limits), -1
        with open_video(self.path, self.limits) as source:
            for n, frame in enumerate(decoded(source, None)):
                if n == len(timeline.pts) or (timeline.exact and frame.pts != timeline.pts[n]):
                    return
                canvas.put([0], frame)
                yield n, canvas.rgb[0]
            damaged, of = source.damaged + timeline.missing, source.num_fed + timeline.missing
            about = _about(form(source), canvas, timeline.facts()) if n >= 0 else None
        _bear(self.path, damaged, of, self.limits)
        if about is not None and n + 1 == len(timeline.pts):
            self.times_s, self.probe = timeline.times_s(), replace(about, num_damaged=damaged)


def probe(path: Path, limits: Limits = LIMITS) -> Probe:
    """Facts of a video at the cost of its first frame; `read_frames` returns those that decoding confirmed.

    Raises VideoError as `read_frames` does, but for damage behind the first frame.
    """
    timeline = scan(Path(path), limits)
    facts = timeline.facts() if timeline.exact else {"fps": timeline.nominal_fps, "has_stamps": False}
    with open_video(path, limits) as source:
        frame = next(decoded(source, None), None)
        if frame is None:
            raise VideoError(path, f"no frame decodes ({source.num_fed} packets)")
        canvas = _Canvas(path, 1, whole, limits)
        canvas.put([0], frame)
        return _about(form(source), canvas, facts)
