"""Opening a video file: its packets, the stamps they promise, and the frames that really come out. By PyAV.

Everything here is bounded: bytes are read from one regular file, packets and seconds are counted. Decoding
uses one thread, so that bytes never depend on the machine's load. Users want `retake.data.video`.
"""

import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
from av.stream import Disposition

PLAYLISTS = {"concat", "hls", "dash", "tty", "sdp", "rtsp"}  # formats that point at other files, or are text
# Here the header's frame count is the length of a table of byte offsets: fewer packets are a file cut off.
INDEXED = {"mov,mp4,m4a,3gp,3g2,mj2"}
NEW_HEADERS = ("new_extradata", "param_change")  # what a packet carries where the stream changes
SEEKABLE = {"h264", "hevc", "vp9", "av1", "libdav1d"}  # decoding may start at a key frame, to the bit
CHECKED = {"ffv1"}  # pictures carry checksums; of one that is wrong FFmpeg speaks in its log alone
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
    checked: bool = False  # its pictures carry checksums

    def demux(self) -> Iterator[Any]:
        """Packets of the stream in file order."""
        return self.container.demux(self.stream)

    def packets(self) -> Iterator[Any]:
        """Packets of the stream in file order, without the empty ones at the end. Read errors end them."""
        demux = self.demux()
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

    def missing(self, found: int) -> int:
        """Pictures that the header's table lists beyond the file's end, where `found` came."""
        promised = self.stream.frames if self.container.format.name in INDEXED else 0
        return max(0, promised - found)

    def decode(self, packet: Any | None) -> list[Any]:
        """Frames that come out when `packet` goes in (None: what the decoder still holds)."""
        self.num_fed += packet is not None
        try:
            frames, sound = self._decoded(packet)
        except (av.FFmpegError, OSError):
            frames, sound = [], False
        if not sound:
            self.damaged += 1
            return []
        self.damaged += sum(frame.is_corrupt for frame in frames)
        return frames

    def _decoded(self, packet: Any | None) -> tuple[list[Any], bool]:
        """(frames, whether their checksums are right); a frame without any is taken to be."""
        codec = self.stream.codec_context
        if not self.checked:
            return codec.decode(packet), True
        level = av.logging.get_level()
        av.logging.set_level(av.logging.ERROR)
        try:
            with av.logging.Capture() as said:
                frames = codec.decode(packet)
        finally:
            av.logging.set_level(level)
        return frames, not any("mismatch" in message for _, _, message in said)


class Bytes(Source):
    """An elementary stream that lies in memory: `container` is its bytes, cut into packets by the parser."""

    def demux(self) -> Iterator[Any]:
        codec = self.stream.codec_context
        yield from codec.parse(self.container)
        yield from codec.parse(b"")

    def missing(self, found: int) -> int:  # noqa: ARG002
        return 0


@contextmanager
def open_bytes(data: Any, codec: str, limits: Limits) -> Iterator[Source]:
    """Opens an elementary stream of `codec` in memory: any buffer of bytes. Raises VideoError."""
    path, data = Path("bytes in memory"), bytes(data)
    if b"\x00\x00\x01" not in data:
        raise VideoError(path, f"no {codec} stream: no start code in {len(data)} bytes")
    context = av.CodecContext.create(codec, "r")
    _bound(context, limits)
    yield Bytes(path, data, SimpleNamespace(codec_context=context), limits, time.monotonic() + limits.seconds)


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
        _bound(codec, limits)
        until = time.monotonic() + limits.seconds
        yield Source(path, container, stream, limits, until, checked=codec.name in CHECKED)


def _bound(codec: Any, limits: Limits) -> None:
    """One thread, and a limit on frames that the header does not tell of."""
    codec.options = {"max_pixels": str(limits.frame_pixels)}
    codec.thread_type = "NONE"
    codec.thread_count = 1


def quarter_turns(frame: Any) -> int:
    """Counter-clockwise quarter turns that show the frame upright; a matrix that is none counts as 0."""
    return int(frame.rotation) // 90 % 4 if frame.rotation % 90 == 0 else 0


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__


@dataclass(frozen=True)
class Look:
    """What another library must be spared, or told, before it opens the file: header, packets, first frame."""

    form: dict[str, Any]  # codec, container, stream and pixels of a Probe
    height: int
    width: int
    rotation: int  # degrees, as the first frame has it
    pts: int | None  # of the first frame
    steady: bool  # all packets could be read; none is marked damaged or brings a new header; size as in the header
    smallest: int  # packet, in bytes
    depth: int  # frames that the decoder holds back to put them in order
    counted: float  # frames that the header counts, or that its length has room for at its rate or at 1000 Hz


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
    look: Look | None = None  # where it was asked for, and a frame came

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


def nominal_fps(stream: Any) -> float:
    """The rate that a stream states, where that can be one."""
    rate = stream.average_rate or stream.guessed_rate or 0
    return float(rate) if 0 < rate <= 1000 else NOMINAL_FPS


def form(source: Source) -> dict[str, Any]:
    """The part of a Probe that the open file tells."""
    codec = source.stream.codec_context
    return {
        "codec": codec.name,
        "container": source.container.format.name,
        "stream": source.stream.index,
        "pixels": codec.pix_fmt or "",
    }


def scan(path: Path, limits: Limits, look: Callable[[Source], bool] = lambda _: False) -> Timeline:
    """What the packets promise. Decodes nothing, unless `look` says of the open file that its Look is wanted."""
    with open_video(path, limits) as source:
        stream = source.stream
        shown, order, keys, sizes = [], [], [], []
        wanted, first, steady = look(source), None, True
        size = (stream.codec_context.height, stream.codec_context.width)  # decoding may change it
        for packet in source.packets():
            order.append(packet.pts)
            sizes.append(packet.size)
            if not packet.is_discard:  # what an edit list cuts away is decoded, not shown
                shown.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
            if wanted:
                steady = steady and not (packet.is_corrupt or _new_header(packet))
                first = first or next(iter(source.decode(packet)), None)
        if wanted and first is None:
            first = next(iter(source.decode(None)), None)
        steady = steady and not source.damaged and first is not None and size == (first.height, first.width)
        exact = bool(shown) and None not in order and len(set(order)) == len(order)
        seekable = exact and stream.codec_context.name in SEEKABLE
        return Timeline(
            pts=sorted(shown) if exact else shown,
            exact=exact,
            unit_s=float(stream.time_base or 0),
            nominal_fps=nominal_fps(stream),
            missing=source.missing(len(order)),
            order=tuple(order),
            keys=tuple(sorted(keys)) if seekable else (),
            look=_look(source, first, steady, min(sizes)) if first else None,
        )


def _new_header(packet: Any) -> bool:
    """Whether the stream changes at a packet. Asked of each, most of which carry nothing beside their picture."""
    beside = next(packet.iter_sidedata(), None)
    return beside is not None and any(map(packet.has_sidedata, NEW_HEADERS))


def _look(source: Source, first: Any, steady: bool, smallest: int) -> Look:
    stream = source.stream
    length_s = (source.container.duration or 0) / av.time_base
    rate = max(1000.0, float(stream.average_rate or 0), float(stream.guessed_rate or 0))
    return Look(
        form=form(source),
        height=first.height,
        width=first.width,
        rotation=int(first.rotation),
        pts=first.pts,
        steady=steady,
        smallest=smallest,
        depth=stream.codec_context.reorder_depth,
        counted=max(stream.frames, length_s * rate),
    )


def count(path: Path, scanned: Timeline, limits: Limits) -> Timeline:
    """What really comes out: every frame decoded once, none kept."""
    with open_video(path, limits) as source:
        pts = [frame.pts for frame in decoded(source, None)]
        if not pts:
            raise VideoError(path, f"no frame decodes ({source.num_fed} packets)")
    return replace(scanned, pts=pts, exact=False, keys=())


def decoded(source: Source, feed: set[int] | None, wanted: set[int] | None = None) -> Iterator[Any]:
    """Frames in order of showing: of all packets, or of those stamped as in `feed`, each run by itself.

    wanted  stamps: of the other pictures, those that no picture points into are not decoded (None: all are)
    """
    running, left = False, len(feed or ())
    codec = source.stream.codec_context
    for packet in source.packets():
        if feed is None or packet.pts in feed:
            if wanted is not None:  # one thread: it holds from this packet on
                codec.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
            yield from source.decode(packet)
            running, left = True, left - 1
        elif running:
            yield from source.decode(None)
            source.stream.codec_context.flush_buffers()
            running = False
            if left == 0:
                return
    yield from source.decode(None)
