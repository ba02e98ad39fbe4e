"""Writes the clips that tests read: small, of known frames, in the odd forms that real releases come in."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition

TURNS = {  # clockwise degrees -> the matrix of an mp4 track header
    90: (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30),
    180: (-(1 << 16), 0, 0, 0, -(1 << 16), 0, 0, 0, 1 << 30),
    270: (0, -(1 << 16), 0, 1 << 16, 0, 0, 0, 0, 1 << 30),
    None: (0,) * 9,  # turns nothing into anything
}


def pictures(num_frames: int, height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    """(T, H, W, 3) uint8: soft colours that differ in all corners, and from frame to frame."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    frames = np.empty((num_frames, height, width, 3))
    phases = rng.uniform(0, 2 * np.pi, 3)
    for t in range(num_frames):
        for channel in range(3):
            wave = np.sin(2.5 * x + (1 + channel) * 1.3 * y + 0.7 * t + phases[channel])
            frames[t, :, :, channel] = 128 + 80 * wave
        left = (5 * t) % max(width - 12, 1)
        frames[t, height // 4 : height // 2, left : left + 10] += 40 if t % 2 else -40
    return frames.round().astype(np.uint8)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB."""
    error = np.mean((a.astype(float) - b.astype(float)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def write(
    path: Path,
    frames: np.ndarray,
    *,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    rate: Any = 10,
    stamps_ms: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
    container_format: str | None = None,
    container_options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    target: Any = None,
) -> Path:
    """Encodes `frames` on one thread. `stamps_ms` are the frames' times; left out: evenly by `rate`."""
    with av.open(
        target or str(path), "w", format=container_format, container_options=container_options or {}
    ) as container:
        container.metadata.update(metadata or {})
        stream = _stream(container, codec, pixels, rate, frames.shape[1:3], options)
        if stamps_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for n, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            if stamps_ms is not None:
                picture.pts, picture.time_base = stamps_ms[n], Fraction(1, 1000)
            container.mux(stream.encode(picture.reformat(format=pixels)))
        container.mux(stream.encode())
    return path


def _stream(container: Any, codec: str, pixels: str, rate: Any, size: tuple[int, int], options: Any) -> Any:
    stream = container.add_stream(codec, rate=rate, options=options or {})
    stream.height, stream.width = size
    stream.pix_fmt = pixels
    stream.thread_count = 1
    return stream


def write_lossless(path: Path, frames: np.ndarray, **given: Any) -> Path:
    """Frames that come back to the byte: FFV1 in RGB."""
    return write(path, frames, codec="ffv1", pixels="bgr0", **given)


def write_two_streams(path: Path, small: np.ndarray, large: np.ndarray, default: int) -> Path:
    """Two video streams in one file, the smaller one first."""
    with av.open(str(path), "w") as container:
        streams = [
            _stream(container, "libx264", "yuv420p", 10, f.shape[1:3], {"crf": "1"}) for f in (small, large)
        ]
        for n, stream in enumerate(streams):
            stream.disposition = Disposition.default if n == default else Disposition(0)
        for stream, frames in zip(streams, (small, large), strict=True):
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
    return path


class Pipe:
    """A target that cannot seek, so that a muxer cannot go back and fill in counts and lengths."""

    def __init__(self, path: Path):
        self.file = path.open("wb")

    def write(self, data: bytes) -> int:
        return self.file.write(data)

    def close(self) -> None:
        self.file.close()


def turn(path: Path, degrees: int | None) -> Path:
    """Rewrites the matrix in an mp4's track header: shown turned clockwise by `degrees`."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    data[at : at + 36] = struct.pack(">9i", *TURNS[degrees])
    path.write_bytes(data)
    return path


def packets_of(frames: np.ndarray, codec: str, rate: int, options: dict[str, str]) -> list[bytes]:
    """The encoder's packets in the order of decoding, headers in the stream."""
    encoder = av.CodecContext.create(codec, "w")
    encoder.height, encoder.width = frames.shape[1:3]
    encoder.pix_fmt, encoder.time_base, encoder.options, encoder.thread_count = (
        "yuv420p", Fraction(1, rate), options, 1,
    )  # fmt: skip
    packets = []
    for n, frame in enumerate(frames):
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p")
        picture.pts = n
        packets += encoder.encode(picture)
    packets += encoder.encode()
    return [bytes(packet) for packet in packets]


def write_packed(path: Path, frames: np.ndarray, rate: int = 15) -> Path:
    """MPEG-4 in AVI as DivX packed it: each B picture in the packet of the P picture it needs, and an empty
    picture in its place. The header counts one frame more than there is."""
    raw = packets_of(
        frames, "mpeg4", rate, {"bf": "1", "g": "300", "sc_threshold": "1000000000", "b": "9000000"}
    )
    kind = [packet[packet.index(b"\x00\x00\x01\xb6") + 4] >> 6 for packet in raw]  # 0 I, 1 P, 2 B
    at = raw[0].index(b"\x00\x00\x01\xb6")
    raw[0] = raw[0][:at] + b"\x00\x00\x01\xb2DivX503b1393p" + raw[0][at:]
    chunks = []
    for n, packet in enumerate(raw):
        if kind[n] == 2:
            chunks.append(
                b"\x00\x00\x01\xb6" + bytes([0b01010000, 0b10111111])
            )  # a P picture that is not coded
        elif n + 1 < len(raw) and kind[n + 1] == 2:
            chunks.append(packet + raw[n + 1])
        else:
            chunks.append(packet)
    chunks.append(
        chunks[-1] if len(chunks[-1]) < 10 else b"\x00\x00\x01\xb6" + bytes([0b01010000, 0b10111111])
    )
    with av.open(str(path), "w", format="avi") as container:
        stream = _stream(container, "mpeg4", "yuv420p", rate, frames.shape[1:3], None)
        stream.codec_context.codec_tag = "DX50"
        for n, chunk in enumerate(chunks):
            packet = av.Packet(chunk)
            packet.stream, packet.time_base, packet.dts, packet.pts = stream, Fraction(1, rate), n, n
            packet.duration, packet.is_keyframe = 1, n == 0
            container.mux(packet)
    return path
