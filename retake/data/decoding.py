"""Opening a video file: its packets, the stamps they promise, and the frames that really come out.

Everything here is bounded: bytes are read from one regular file, packets and seconds are counted. Decoding
uses one thread, so that bytes never depend on the machine's load. Users want `retake.data.video`.
"""

import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition

PLAYLISTS = {"concat", "hls", "dash", "tty", "sdp", "rtsp"}  # formats that point at other files, or are text
# Here the header's frame count is the length of a table of byte offsets: fewer packets are a file cut off.
INDEXED = {"mov,mp4,m4a,3gp,3g2,mj2"}
SEEKABLE = {"h264", "hevc", "vp9", "av1", "libdav1d"}  # decoding may start at a key frame, to the bit
NOMINAL_FPS = 25.0  # FFmpeg's rate for streams that state none


class VideoError(Exception):
    """A file from which frames cannot be read, and why. `reason` names no path."""

    def __init__(self, path: Path, reason: str):
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = Path(path), reason


@dataclass(frozen=True)
class Limits:
    """What one file may cost, and how broken it may be, before it is given up."""

    frame_pixels: int = 8192 * 8192
    output_bytes: int = 4 * 2**30
    packets: int = 4_000_000  # 37 hours at 30 fps
    seconds: float = 3600.0
    damaged: float = 0.1  # share of pictures that are missing, do not decode, or decode with errors
    straight: int = 3000  # packets up to which all are decoded and counted; beyond, only from key frames on


LIMITS = Limits()


@dataclass
class Source:
    """An open file: its container, the stream that is read, and what may be spent on it."""

    path: Path
    container: Any
    stream: Any
    limits: Limits
    until: float
    num_packets: int = 0
    num_fed: int = 0
    damaged: int = 0  # packets that do not decode, frames that decode with errors

    def packets(self) -> Iterator[Any]:
        """Packets of the stream in file order, without the empty ones at the end. Read errors end them."""
        demux = self.container.demux(self.stream)
        while True:
            try:
                packet = next(demux, None)
            except (av.FFmpegError, OSError):
                self.damaged += 1
                return
            if packet is None:
                return
            self.num_packets += 1
            if self.num_packets > self.limits.packets:
                raise VideoError(self.path, f"more than {self.limits.packets} packets")
            if time.monotonic() > self.until:
                raise VideoError(self.path, f"not decoded within {self.limits.seconds:g} s")
            if packet.size:
                yield packet

    def decode(self, packet: Any | None) -> list[Any]:
        """Frames that come out when `packet` goes in (None: what the decoder still holds)."""
        self.num_fed += packet is not None
        try:
            frames = self.stream.codec_context.decode(packet)
        except (av.FFmpegError, OSError):
            self.damaged += 1
            return []
        self.damaged += sum(frame.is_corrupt for frame in frames)
        return frames


@contextmanager
def open_video(path: Path, limits: Limits) -> Iterator[Source]:
    """Opens a regular local file and nothing that it points at. Raises VideoError."""
    path = Path(path)
    try:
        status = path.stat()
    except OSError as error:
        raise VideoError(path, f"cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode):
        raise VideoError(path, "not a file")
    if status.st_size == 0:
        raise VideoError(path, "empty file (zero bytes)")
    try:
        container = av.open(
            f"file:{path}",
            metadata_errors="replace",
            container_options={"protocol_whitelist": "file", "pattern_type": "none"},
            timeout=limits.seconds,
        )
    except av.error.ExitError:
        raise VideoError(path, f"not opened within {limits.seconds:g} s") from None
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(path, f"not a video: {_words(error)}") from None
    with container:
        if container.format.name in PLAYLISTS:
            raise VideoError(path, f"not a video: a file of format {container.format.name}")
        stream = container.streams.best("video")
        if stream is None or stream.disposition & Disposition.attached_pic:
            raise VideoError(path, "no video stream")
        if stream.codec_context is None:
            raise VideoError(path, "no decoder for its video stream")
        codec = stream.codec_context
        if codec.width * codec.height > limits.frame_pixels:
            raise VideoError(path, f"{codec.width}x{codec.height} is over {limits.frame_pixels} pixels")
        codec.options = {
            "max_pixels": str(limits.frame_pixels)
        }  # and of frames that the header does not tell of
        stream.thread_type = "NONE"
        codec.thread_count = 1
        yield Source(path, container, stream, limits, time.monotonic() + limits.seconds)


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


@dataclass(frozen=True)
class Timeline:
    """The frames that a file holds: their stamps in order of showing, and how to get at them."""

    pts: list[int | None]
    exact: bool  # from packets, stamped, no stamp twice; else from the decoder, told apart by number
    unit_s: float  # of a tick of the stamps
    nominal_fps: float
    missing: int = 0  # pictures that the header's table lists beyond the file's end
    order: tuple[int, ...] = ()  # stamps in the order of the packets
    keys: tuple[int, ...] = ()  # stamps of key frames at which decoding may start, ascending

    @property
    def has_stamps(self) -> bool:
        known = [pts for pts in self.pts if pts is not None]
        rising = all(a < b for a, b in pairwise(known))
        return rising and len(known) == len(self.pts) > 1 and self.unit_s > 0

    def times_s(self) -> np.ndarray:
        """(N,) seconds since the first frame, ascending."""
        if self.has_stamps:
            stamps = np.asarray(self.pts, dtype=np.int64)
            return (stamps - stamps[0]) * self.unit_s
        return np.arange(len(self.pts)) / self.nominal_fps

    def facts(self) -> dict[str, Any]:
        """The part of a Probe that the stamps tell. A single frame lasts 0 s: it is a picture."""
        times = self.times_s()
        fps = (len(times) - 1) / float(times[-1]) if len(times) > 1 else self.nominal_fps
        length = len(times) / fps if len(times) > 1 else 0.0
        return {"fps": fps, "duration_s": length, "num_frames": len(times), "has_stamps": self.has_stamps}


def scan(path: Path, limits: Limits) -> Timeline:
    """What the packets promise. Decodes nothing."""
    with open_video(path, limits) as source:
        stream = source.stream
        shown, order, keys = [], [], []
        for packet in source.packets():
            order.append(packet.pts)
            if not packet.is_discard:  # what an edit list cuts away is decoded, not shown
                shown.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
        exact = bool(shown) and None not in order and len(set(order)) == len(order)
        seekable = exact and stream.codec_context.name in SEEKABLE
        promised = stream.frames if source.container.format.name in INDEXED else 0
        rate = stream.average_rate or stream.guessed_rate or 0
        return Timeline(
            pts=sorted(shown) if exact else shown,
            exact=exact,
            unit_s=float(stream.time_base or 0),
            nominal_fps=float(rate) if 0 < rate <= 1000 else NOMINAL_FPS,
            missing=max(0, promised - len(order)),
            order=tuple(order),
            keys=tuple(sorted(keys)) if seekable else (),
        )


def count(path: Path, scanned: Timeline, limits: Limits) -> Timeline:
    """What really comes out: every frame decoded once, none kept."""
    with open_video(path, limits) as source:
        pts = [frame.pts for frame in decoded(source, None)]
        if not pts:
            raise VideoError(path, f"no frame decodes ({source.num_fed} packets)")
    return replace(scanned, pts=pts, exact=False, keys=())


def decoded(source: Source, feed: set[int] | None) -> Iterator[Any]:
    """Frames in order of showing: of all packets, or of those stamped as in `feed`, each run by itself."""
    running, left = False, len(feed or ())
    for packet in source.packets():
        if feed is None or packet.pts in feed:
            yield from source.decode(packet)
            running, left = True, left - 1
        elif running:
            yield from source.decode(None)
            source.stream.codec_context.flush_buffers()
            running = False
            if left == 0:
                return
    yield from source.decode(None)
