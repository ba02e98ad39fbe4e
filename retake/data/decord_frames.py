"""Frames of plain files by decord, where it can be trusted to number them as `retake.data.decoding` does.

decord does not tell which stamp a frame had or whether it is damaged, believes headers, and dies of some files.
So a file is given to it only if PyAV's scan finds nothing odd; it is decoded straight from its first frame to
its last, and a frame that is missing anywhere is an error, as is a complaint in the log of its FFmpeg.
`get_batch`, `skip_frames` and jumps to key frames are not used: on AVI clips of MSVD they give other frames than
their indices say. Windows and long files, into which PyAV jumps, are therefore PyAV's.

Frames are decoded at full size and scaled as PyAV's are. decord repeats each chroma sample over the pixels that
share it where PyAV interpolates: colours differ by less than 3 of 255 levels in the mean over a picture, as tests hold.
"""

import ctypes
import math
import time
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from heapq import heappushpop
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Any

import av
import numpy as np

from retake.data.decoding import Limits, Source, Timeline, VideoError

CONTAINERS = {"mov,mp4,m4a,3gp,3g2,mj2", "avi", "matroska,webm"}
CODECS = {"h264", "hevc", "mpeg4", "vp8", "vp9"}
PIXELS = {"yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le"}
# Of AVColorSpace, 2: none stated. With each of these both libraries give like colours.
MATRICES = {1, 2, 4, 5, 6, 7, 9}
NOT_CODED = 19  # bytes; no larger an MPEG-4 packet is a picture left out, as beside packed B pictures
# At the end decord hands out 128 empty frames, then waits for ever: after fewer skipped frames one is read.
STRIDE = 100
# decord decodes ahead while others work: all frames of a file may come to lie in memory at once.
MOST_BYTES = 256 * 2**20
NO_FAULTS = "0.0000001"  # share of frames that decord may replace by their neighbours; 0 would mean any
LOG_INFO = 32  # FFmpeg's level, at which it tells of pictures that it patched up; graver words are lower
# Of each MPEG-4 stream in AVI, whose header stands in its first packet.
HARMLESS = b"Failed to parse extradata\n"
FAILURES = (RuntimeError, AssertionError, IndexError, StopIteration, UnicodeError)  # decord's, beside its own


class DecordError(Exception):
    """decord cannot read a file, or not as it was scanned."""


class _Log:
    """How often the FFmpeg inside decord has complained, of whatever file: the words do not say of which."""

    complaints = 0  # of different words or about different things
    one = Lock()  # that is being read


@cache  # in C: most words are traces that come again and again, thousands a file
def _heard(_object: int | None, level: int, words: int) -> None:
    """Counts what is grave. To be forgotten before each file."""
    if level & 0xFF <= LOG_INFO and ctypes.string_at(words) != HARMLESS:
        _Log.complaints += 1


# What that FFmpeg logs with. Lives as long as the module: a thread of decord's may be in it.
_hear = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(_heard)


def may_read(source: Source) -> bool:
    """Whether the header of an open file is one that decord reads as PyAV does."""
    codec = source.stream.codec_context
    return (
        source.container.format.name in CONTAINERS
        and codec.name in CODECS
        and codec.pix_fmt in PIXELS
        and codec.colorspace in MATRICES
        and len(source.container.streams.video) == 1  # cover pictures included: decord chooses by itself
    )


def can_read(timeline: Timeline, limits: Limits) -> bool:
    """Whether nothing in a scanned file is odd, and it is short and small enough to be decoded whole."""
    look = timeline.look
    return (
        look is not None
        and timeline.exact
        and timeline.has_stamps
        and timeline.missing == 0
        and len(timeline.order) == len(timeline.pts) <= limits.straight
        and len(timeline.pts) * look.height * look.width * 3 <= MOST_BYTES
        and look.steady
        and look.rotation == 0
        and look.pts == timeline.pts[0]
        and rises(timeline.order, look.depth)
        and (look.depth == 0 or not rises(timeline.order, 0))  # B pictures that AVI stamped as they decode
        and (look.form["codec"] != "mpeg4" or look.smallest > NOT_CODED)
        and look.counted <= limits.packets  # decord reserves memory for as many, and aborts if it gets none
    )


def rises(stamps: Sequence[int], depth: int) -> bool:
    """Whether stamps in the order of decoding rise once they went through a decoder that holds `depth` back."""
    held = sorted(stamps[:depth])
    shown = [heappushpop(held, stamp) for stamp in stamps[depth:]]
    return all(a < b for a, b in pairwise(shown + sorted(held)))


def frames(
    path: Path, wanted: Collection[int], num_frames: int, limits: Limits
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Numbers and pictures (rgb24, full size) of the `wanted` frames of a file that has `num_frames`, ascending.

    Each picture is overwritten by the next.

    Decodes the whole file on one thread, at times ahead of who takes the frames; one file at a time. Raises
    DecordError where decord fails or finds another number of frames, at the latest after the last of them:
    only what a loop to the end gave is sound. VideoError after `limits.seconds`.
    """
    import decord  # late: half of what reads videos never needs it; after PyAV always, whose FFmpeg is newer
    from decord._ffi.base import _LIB  # has the symbols of the FFmpeg that decord came with

    decord.logging.set_level(decord.logging.QUIET)  # where something is wrong, PyAV says what
    _Log.one.acquire()
    _heard.cache_clear()
    until, at, before, reader = time.monotonic() + limits.seconds, 0, _Log.complaints, None
    picture = None
    try:
        reader = decord.VideoReader(f"file:{path}", ctx=decord.cpu(0), num_threads=1, fault_tol=NO_FAULTS)
        if len(reader) != num_frames:
            raise DecordError(f"{len(reader)} frames, expected {num_frames}")
        _LIB.av_log_set_callback(_hear)  # not before: on opening there are thousands of words, none grave
        for n in stops(reader.get_key_indices(), wanted, num_frames):
            if time.monotonic() > until:
                raise VideoError(path, f"not decoded within {limits.seconds:g} s")
            if n > at:
                reader.seek_accurate(n)  # within one group of pictures: decodes, but does not convert
            frame, at = reader.next(), n + 1
            if _Log.complaints > before:
                break
            if n in wanted:
                picture = picture or _Picture(frame.shape)
                yield n, picture.of(frame)
        del frame
        reader = None  # its thread has ended when it is gone: all complaints are in
        if _Log.complaints > before:
            raise DecordError("complains of damage")
    except (decord.DECORDError, decord.DECORDLimitReachedError, *FAILURES) as error:
        raise DecordError(f"{type(error).__name__}: {error}") from None
    finally:
        reader = None
        _LIB.av_log_set_callback(_LIB.av_log_default_callback)
        _Log.one.release()


class _Picture:
    """A frame of PyAV's into which frames of decord are copied, each once."""

    PAST_END = 64  # bytes that swscale may touch behind the last row

    def __init__(self, shape: tuple[int, int, int]):
        self.shape, self.size = shape, math.prod(shape)
        self.data = np.zeros(self.size + self.PAST_END, dtype=np.uint8)
        self.frame = av.VideoFrame.from_numpy_buffer(self.data[: self.size].reshape(shape), format="rgb24")

    def of(self, frame: Any) -> av.VideoFrame:
        """`frame` (decord's NDArray) as a picture, until the next call. Raises DecordError where the size changes."""
        from decord._ffi.base import _LIB, check_call

        if frame.shape != self.shape or frame.dtype != "uint8":
            raise DecordError(f"a frame of {frame.shape} {frame.dtype}, expected {self.shape} uint8")
        to = self.data.ctypes.data_as(ctypes.c_void_p)
        check_call(_LIB.DECORDArrayCopyToBytes(frame.handle, to, ctypes.c_size_t(self.size)))
        return self.frame


def stops(keys: list[int], wanted: Collection[int], num_frames: int) -> list[int]:
    """Frames to be read so that decord skips to each from the one before, and never jumps to a key frame.

    `keys` are the numbers that decord has for key frames. It jumps where one parts two frames: so the last
    before each is read. Raises DecordError where the first frame is none.
    """
    if keys[:1] != [0]:
        raise DecordError("does not start with a key frame")
    needed = sorted({*wanted, *(key - 1 for key in keys[1:]), num_frames - 1})
    between = [n for before, after in pairwise([-1, *needed]) for n in range(before + STRIDE, after, STRIDE)]
    return sorted(needed + between)
