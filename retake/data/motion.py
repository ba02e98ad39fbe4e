"""Motion vectors of a video, traced back to the I-frame: displacement and residual of each frame, in one pass.

Definition (METHODS 5.1, the published loader's). A table says for each pixel where in the group's I-frame it
came from; at the I-frame it is the identity. A block with a vector that is not zero takes, for each of its
pixels that lies inside the picture with its source, the source's entry of the table before; where blocks
overlap the later one stands; all other pixels keep their entry, in a frame without vectors all (for which alone
the loader returned zeros: they would not say where its pixels come from). Positions are whole pixels. Displacement
D = x - table(x), residual R = frame(x) - I-frame(table(x)). The frame-to-frame versions use one frame's
vectors only: x - source, zero elsewhere; the residual is against the picture that the frame points into.
The file's last frame is included. Colours are RGB, by swscale as the loader calls it (bicubic, which repeats
chroma between its samples); `rgb` is that too, not the frame reader's picture.

Beyond it: where pictures point into another than the one before, or two, `retake.data.references` tells which.
Of a block's two vectors the one that moves is followed, of two that move the first list's: MPEG-1 and MPEG-2
export what a block uses, H.264 fills the list that a part of a macroblock does not use with zeros. What cannot
be followed is None, with the reason in `marked`, and so is what was traced through it, up to the next I-frame.
Videos with a rotation come out upright, vectors turned with their frames.
"""

import gc
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import Flags2
from av.video.frame import PictureType
from av.video.reformatter import Interpolation, VideoReformatter

from retake.data.decoding import (
    LIMITS,
    NOMINAL_FPS,
    Limits,
    Source,
    VideoError,
    count,
    nominal_fps,
    open_bytes,
    open_video,
    scan,
)
from retake.data.references import EXPORTING, ByAnchors, ByHeaders, Picture, references_of
from retake.data.signals import TRACED, CodedFrame, Tracer
from retake.data.tracing import LARGEST, NO_VECTORS, VECTOR

__all__ = ["SIGNALS", "CodedFrame", "colours", "read_coded"]

SIGNALS = frozenset({"iframe", "rgb"}) | TRACED
KINDS = {PictureType.I: "I", PictureType.SI: "I", PictureType.BI: "I", PictureType.B: "B"}
HELD = 32  # frames that may wait for the one that they point into
STAMPED = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}  # formats that say when a reordered picture is shown
HELD_BACK = "the decoder does not export the vectors of the frame that it holds back to the end"
COLLECTED = 8  # frames between two looks for those that nobody uses any more


def read_coded(
    source: Path | bytes | bytearray | memoryview | np.ndarray,
    signals: Collection[str],
    *,
    only: Collection[int] | None = None,
    limits: Limits = LIMITS,
) -> Iterator[CodedFrame]:
    """The frames of a video in order of showing, one at a time, with the signals asked for.

    source: a file, or the bytes of an MPEG-4 part 2 elementary stream (whole groups of pictures).
    signals: of "motion", "residual" (traced to the I-frame), "motion_step", "residual_step" (one frame's
    vectors), "rgb", "iframe" (colours of all frames, of I-frames).
    only: numbers of the frames that are wanted; others are traced through, not returned, and nothing behind
    the last is read, or checked.
    Raises VideoError where the codec exports no vectors, the size changes, no frame decodes, or more is damaged
    than `limits` allow; the last two when all frames have come, so that frames count once the iterator ends.
    """
    wanted = frozenset(signals)
    if not wanted or wanted - SIGNALS:
        raise ValueError(f"expected some of {sorted(SIGNALS)}, got {sorted(wanted)}")
    return _frames(source, wanted, None if only is None else frozenset(only), limits)


def colours(
    data: bytes | bytearray | memoryview | np.ndarray, only: Collection[int], *, limits: Limits = LIMITS
) -> Iterator[tuple[int, np.ndarray]]:
    """(number, (H, W, 3) uint8) of frames of an MPEG-4 part 2 stream: what `read_coded` gives as "rgb", and raises.

    Nothing is kept that tracing would need, which takes longer than a small picture does to decode.
    """
    last, number, size = max(only, default=-1), 0, None
    scaler = VideoReformatter()
    with open_bytes(data, "mpeg4", limits) as opened:
        for packet in chain(opened.packets(), (None,)):
            for frame in opened.decode(packet):
                size = _checked_size(opened, frame, size, number)
                if number in only:
                    shown = scaler.reformat(
                        frame, format="rgb24", interpolation=Interpolation.BICUBIC, threads=1
                    )
                    plane = np.frombuffer(memoryview(shown.planes[0]), np.uint8).reshape(shown.height, -1)
                    array = plane[:, : 3 * shown.width].reshape(shown.height, -1, 3).copy()
                    array.flags.writeable = False
                    yield number, array
                number += 1
                if number > last:
                    return
        _check_whole(opened, number)


def _frames(source: Any, wanted: frozenset, only: frozenset | None, limits: Limits) -> Iterator[CodedFrame]:
    with _opened(source, limits) as (opened, time_of):
        codec = opened.stream.codec_context
        if wanted & TRACED:
            if codec.name not in EXPORTING:
                raise VideoError(opened.path, f"motion vectors: codec {codec.name} exports none")
            codec.flags2 |= Flags2.export_mvs
        tracer, references = Tracer(wanted, only), references_of(codec)
        pending: deque[Picture] = deque()
        last = None if only is None else max(only, default=-1)
        for picture in _arrivals(opened, references, time_of):
            if picture is not None:
                pending.append(picture)
                references.arrived(picture)
            if picture is None or len(pending) > HELD:
                references.ended()
            _settle(pending, tracer)
            while pending and pending[0].done:
                first = pending.popleft()
                if first.shown is not None:
                    yield first.handed_over()
                if last is not None and first.number >= last:
                    return


def _settle(pending: deque[Picture], tracer: "Tracer") -> None:
    """Traces whatever has what it points into."""
    while ready := [one for one in pending if not one.done and one.is_ready]:
        for one in ready:
            tracer.trace(one)


@contextmanager
def _opened(source: Any, limits: Limits) -> Iterator[tuple[Source, Callable[[int, Any], float]]]:
    """The open stream, and when its frames are shown."""
    if isinstance(source, str | Path):
        with open_video(Path(source), limits) as opened:
            yield opened, _times(opened)
    else:
        with open_bytes(source, "mpeg4", limits) as opened:
            yield opened, lambda number, _pts: number / NOMINAL_FPS


def _times(opened: Source) -> Callable[[int, Any], float]:
    """(number, stamp) -> seconds since the first frame, as `read_frames` has them.

    Where packets may be stamped in another order than they are shown in, only decoding tells whether stamps are
    to be believed.
    """
    stream, form = opened.stream, opened.container.format
    reorders = bool(stream.codec_context.has_b_frames)
    unit, fps, stamped = float(stream.time_base or 0), nominal_fps(stream), True
    if reorders or not form.flags & av.format.Flags.no_timestamps.value:
        timeline = scan(opened.path, opened.limits)
        if not timeline.exact or (reorders and form.name not in STAMPED):
            timeline = count(opened.path, timeline, opened.limits)
        stamped = timeline.has_stamps
    begin = None

    def time_of(number: int, pts: Any) -> float:
        nonlocal begin
        begin = pts if number == 0 else begin
        return (pts - begin) * unit if stamped and None not in {pts, begin} else number / fps

    return time_of


def _arrivals(
    opened: Source, references: ByAnchors | ByHeaders, time_of: Callable[[int, Any], float]
) -> Iterator[Picture | None]:
    """Frames as the decoder gives them, in order of showing; None at the end."""
    number, gop, start, broken, size = 0, -1, None, None, None
    for packet in chain(opened.packets(), (None,)):
        if packet is not None:
            references.feed(packet)
            if packet.is_discard:
                broken = "it follows frames that the file does not show"
        damaged = opened.damaged
        frames = opened.decode(packet)
        if opened.damaged > damaged and not frames:
            broken = "it follows a picture that does not decode"
        for frame in frames:
            size = _checked_size(opened, frame, size, number)
            side = frame.side_data.get("MOTION_VECTORS")
            vectors = NO_VECTORS if side is None else np.frombuffer(side, VECTOR)
            kind = KINDS.get(frame.pict_type, "P")
            if kind == "I" and len(vectors):  # one slice of it is
                kind = "P"
            if kind == "I":
                gop, start, broken = gop + 1, number, None
            picture = Picture(
                number, kind, gop, number - (-1 if start is None else start), time_of(number, frame.pts),
                frame.opaque and frame.opaque.number, frame, vectors, start,
            )  # fmt: skip
            picture.mark = _mark(frame, broken)
            if packet is None and side is None and not references.exports_held:
                picture.mark = picture.mark or HELD_BACK
            yield picture
            number += 1
            if number % COLLECTED == 0:
                gc.collect(0)  # side data and frame hold each other, and megabytes of pixels
    if number == 0:
        raise _nothing(opened)
    yield None
    _check_whole(opened, number)


def _nothing(opened: Source) -> VideoError:
    return VideoError(opened.path, f"no frame decodes ({opened.num_fed} packets)")


def _check_whole(opened: Source, number: int) -> None:
    """Raises VideoError where none of the `number` frames that came, or too few of the pictures, are sound."""
    if number == 0:
        raise _nothing(opened)
    missing = opened.missing(opened.num_fed)
    damaged, of = opened.damaged + missing, opened.num_fed + missing
    if damaged > opened.limits.damaged * max(of, 1):
        raise VideoError(
            opened.path, f"damaged or truncated: {damaged} of {of} pictures are missing or broken"
        )


def _checked_size(opened: Source, frame: Any, size: tuple | None, number: int) -> tuple[int, int]:
    """The frame's width and height, which are all frames'."""
    now = (frame.width, frame.height)
    if size is not None and now != size:
        raise VideoError(
            opened.path, f"frame {number} is {now[0]}x{now[1]}, those before {size[0]}x{size[1]}"
        )
    if max(now) > LARGEST:
        raise VideoError(opened.path, f"{now[0]}x{now[1]}: vectors reach over {LARGEST} pixels")
    return now


def _mark(frame: Any, broken: str | None) -> str | None:
    """Why a frame's vectors are not what they are taken for, as far as it shows by itself."""
    if frame.is_corrupt:
        return "it decodes with errors"
    if frame.interlaced_frame:
        return "it is interlaced"
    if frame.pict_type == PictureType.S:
        return "the whole picture moves by a vector that is not exported"
    return broken
