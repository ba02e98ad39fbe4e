"""Frames to files: H.264 and MPEG-4 part 2 videos, JPEG pictures. The same frames give the same bytes.

One encoder thread, no version strings and no times in the file. Also a tone for a spoken line.
"""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CODECS = {"h264": "libx264", "mpeg4": "mpeg4"}
_QUANTISER = 118  # one step of the quantiser in the encoders' own unit
SOUND_RATE = 16_000  # Hz
_SOUND = {  # container -> codec and its options
    ".mp4": ("aac", {"flags": "+bitexact", "aac_coder": "fast"}),
    ".avi": ("mp3", {"flags": "+bitexact"}),
}


def encode(
    frames: np.ndarray,
    path: Path,
    *,
    codec: str,
    fps: Fraction,
    b_frames: int = 0,
    gop: int = 12,
    sound: np.ndarray | None = None,
    tag: str | None = None,
) -> None:
    """Write (T, H, W, 3) uint8 RGB frames, and mono int16 `sound` at SOUND_RATE; `path` says the container.

    tag  the four letters by which an AVI calls its codec, where they are to be others than the writer's
    Raises ValueError on an unknown codec and on odd sizes (their colour planes are halved).
    """
    if codec not in CODECS:
        raise ValueError(f"codec {codec!r}; expected {' or '.join(CODECS)}")
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.shape[1] % 2 or frames.shape[2] % 2:
        raise ValueError(f"frames of shape {frames.shape}; expected (T, H, W, 3), H and W even")
    with av.open(str(path), "w") as container:
        container.flags |= av.container.Flags.bitexact.value
        stream = container.add_stream(CODECS[codec], rate=fps, options=_options(codec, b_frames))
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        context = stream.codec_context
        context.thread_count, context.gop_size, context.max_b_frames = 1, gop, b_frames
        if tag is not None:
            context.codec_tag = tag
        voice = _sound_stream(container, Path(path)) if sound is not None else None
        for number, planes in enumerate(_yuv420(frames)):
            picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            picture.pts, picture.time_base = number, 1 / Fraction(fps)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        if voice is not None:
            _write_sound(container, voice, sound)


def _options(codec: str, b_frames: int) -> dict[str, str]:
    shared = {"flags": "+bitexact", "threads": "1"}
    if codec == "mpeg4":
        return {**shared, "flags": "+bitexact+qscale", "global_quality": str(4 * _QUANTISER)}
    return {
        **shared,
        "preset": "veryfast",
        "crf": "19",
        # Adaptive quantisers read memory that nobody wrote: with B-frames one in four encodes differed.
        "x264-params": f"threads=1:bframes={b_frames}:b-adapt=0:aq-mode=0:mbtree=0:cpu-independent=1",
    }


def _yuv420(frames: np.ndarray) -> np.ndarray:
    """(T, H, W, 3) RGB to (T, H * 3 / 2, W) uint8: BT.601 planes below each other, colour at half the size.

    In whole numbers, all frames at once: the library's own converter starts threads for every small frame.
    """
    count, height, width, _ = frames.shape
    red, green, blue = np.ascontiguousarray(np.moveaxis(frames, -1, 0)).astype(np.uint16)
    luma = ((66 * red + 129 * green + 25 * blue + 128) >> 8) + 16
    fours = [
        ((c[:, ::2, ::2] + c[:, ::2, 1::2] + c[:, 1::2, ::2] + c[:, 1::2, 1::2] + 2) >> 2).astype(np.int16)
        for c in (red, green, blue)
    ]
    u = ((-38 * fours[0] - 74 * fours[1] + 112 * fours[2] + 128) >> 8) + 128
    v = ((112 * fours[0] - 94 * fours[1] - 18 * fours[2] + 128) >> 8) + 128
    flat = np.concatenate([plane.astype(np.uint8).reshape(count, -1) for plane in (luma, u, v)], axis=1)
    return flat.reshape(count, height * 3 // 2, width)


def _sound_stream(container: av.container.OutputContainer, path: Path) -> av.AudioStream:
    codec, options = _SOUND[path.suffix]
    stream = container.add_stream(codec, rate=SOUND_RATE, layout="mono", options=options)
    stream.codec_context.thread_count, stream.codec_context.bit_rate = 1, 32_000
    return stream


def _write_sound(container: av.container.OutputContainer, stream: av.AudioStream, sound: np.ndarray) -> None:
    frame = av.AudioFrame.from_ndarray(sound[None, :].astype(np.int16), format="s16", layout="mono")
    frame.sample_rate, frame.pts = SOUND_RATE, 0
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def tone(line: str, duration_s: float) -> np.ndarray:
    """A spoken line as a melody: int16 mono at SOUND_RATE, one pitch a word, the same for the same word."""
    words = line.replace(",", "").split()
    count = round(duration_s * SOUND_RATE)
    time = np.arange(count) / SOUND_RATE
    word = np.minimum((np.arange(count) * len(words)) // max(count, 1), len(words) - 1)
    pitch = np.array([220.0 * 2 ** ((sum(map(ord, w)) % 24) / 12) for w in words])[word]
    loudness = 6000 * (0.6 + 0.4 * np.sin(20 * time))
    return (loudness * np.sin(2 * np.pi * np.cumsum(pitch) / SOUND_RATE)).astype(np.int16)


def write_jpeg(frame: np.ndarray, path: Path, quality: int = 3) -> None:
    """Write (H, W, 3) uint8 RGB as a JPEG; `quality` is the encoder's quantiser, 2 best to 31 worst."""
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt = frame.shape[1], frame.shape[0], "yuvj444p"
    context.time_base, context.thread_count = Fraction(1, 25), 1
    context.options = {"flags": "+bitexact+qscale", "global_quality": str(quality * _QUANTISER)}
    context.open()
    red, green, blue = frame.astype(np.float32).transpose(2, 0, 1)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    planes = np.stack([y, 128 + (blue - y) / 1.772, 128 + (red - y) / 1.402])
    picture = av.VideoFrame.from_ndarray(np.clip(planes + 0.5, 0, 255).astype(np.uint8), format="yuvj444p")
    picture.pts = 0
    packets = [*context.encode(picture), *context.encode(None)]
    Path(path).write_bytes(b"".join(bytes(packet) for packet in packets))
