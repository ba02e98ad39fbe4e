"""transcode_video: every video of a shard encoded anew as MPEG-4 part 2, all in groups of pictures of one length.

A stream is elementary (no container), in the form that METHODS 5.1 reads: an I-frame with the headers before it,
then P-frames alone, and so on every `gop` frames. Any group decodes by itself. Times are not in the stream but in
the index: the encoder is told 25 frames a second whatever the video's rate is.
"""

from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
from av.codec.context import Flags
from av.video.reformatter import Interpolation, VideoReformatter

from retake.data.array_index import table_of, write_failures
from retake.data.frames import GrowingArray, row_of, video_by_video, videos_of
from retake.data.video import EachFrame
from retake.data.views import stream_placement

STREAMS, PACKETS = "streams.npy", "packets.npy"  # names beside the index
PACKET = np.dtype([("offset", "<i8"), ("is_key", "?")])  # one a frame: where in the array of bytes it begins
RATE = Fraction(25)  # frames a second, as an elementary stream without stamps is read
WHOLE, QUARTER = 16, 8  # pixels a side of a macroblock, and of the smallest part with a vector of its own
LAMBDA = 118  # FFmpeg's Lagrange multiplier of one step of the quantiser (FF_QP2LAMBDA)
# Half-size chroma is averaged from both columns and rows, with C code that rounds alike everywhere.
SUBSAMPLING = (
    Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INP | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
)


class Encoder:
    """One video's frames as packets, one a frame, with no frame held back for another.

    `quality` is what FFmpeg's command line calls -q:v. The tool hands it on frame by frame, where PyAV cannot
    reach; here it bounds the multiplier from both sides, so that rate control has nothing to choose. The quantiser
    is `quality`, but 2 for quality 1: the encoder's qmin, which the authors' script left as it is (the streams
    that it made say 2 in every picture). A cut makes no I-frame of its own.

    `block` is the side, in pixels, of the smallest block that may have a vector of its own: WHOLE, or QUARTER where
    the four of a macroblock together save bits. The script leaves FFmpeg's default, WHOLE, with which its streams
    agree. All else that steers the search for vectors is FFmpeg's default too.
    """

    def __init__(self, *, size: tuple[int, int], gop: int, quality: int, block: int = WHOLE):
        """`size` is (height, width) in pixels."""
        if block not in (WHOLE, QUARTER):
            raise ValueError(f"block: expected {WHOLE} or {QUARTER}, got {block}")
        self.height, self.width = size
        self.gop, self.num_frames = gop, 0
        self.context: Any = av.CodecContext.create("mpeg4", "w")
        self.context.height, self.context.width = size
        self.context.pix_fmt, self.context.framerate, self.context.time_base = "yuv420p", RATE, 1 / RATE
        self.context.gop_size, self.context.max_b_frames, self.context.thread_count = gop, 0, 1
        self.context.flags |= Flags.bitexact | Flags.closed_gop
        if block == QUARTER:
            self.context.flags |= Flags.four_mv
        self.context.options = {
            "lmin": str(quality * LAMBDA),
            "lmax": str(quality * LAMBDA),
            "i_qfactor": "1",  # an I-frame's share of a P-frame's multiplier
            "sc_threshold": "1000000000",
        }
        self.converter = VideoReformatter()

    def encode(self, rgb: np.ndarray | None) -> list[tuple[bytes, bool]]:
        """(packet, whether it is an I-frame) of what is ready once `rgb` (H, W, 3) uint8 is in; None: the rest."""
        picture = None
        if rgb is not None:
            picture = self.converter.reformat(
                av.VideoFrame.from_ndarray(rgb, format="rgb24"),
                format="yuv420p",
                interpolation=SUBSAMPLING,
                threads=1,
            )
            picture.pts, picture.time_base = self.num_frames, 1 / RATE
            self.num_frames += 1
        return [(bytes(packet), packet.is_keyframe) for packet in self.context.encode(picture)]


def transcode_video(
    *,
    view: Mapping[str, Any],
    manifest: Path,
    array_out: Path,
    packets_out: Path,
    index_out: Path,
    failures_out: Path,
    root_override: Path | None = None,
) -> None:
    """Write the streams of a manifest's videos end to end, in the order of their ids.

    `view` is a recipe's entry: kind (stream), size (height, width) or short_side, gop, quality,
    block (left out: WHOLE). Writes the bytes (uint8), a PACKET for each frame, an index row a video (row: its first
    byte, num_rows: its bytes, times_s: of its frames; rate, length and size are the original's), and a row of
    failures.csv for each video that cannot be read.
    """
    if view.get("kind") != "stream":
        raise ValueError(f"view: transcode_video makes views of kind stream, not {view.get('kind')!r}")
    streams, packets = GrowingArray(array_out, (), np.uint8), GrowingArray(packets_out, (), PACKET)

    def made(video_id: str, path: Path) -> dict[str, Any]:
        first = (streams.num_rows, packets.num_rows)
        try:
            frames = _append(view, path, streams, packets)
        except BaseException:
            streams.cut(first[0])
            packets.cut(first[1])
            raise
        place = (first[0], streams.num_rows - first[0])
        return row_of(video_id, STREAMS, place, frames.times_s, frames.probe)

    rows, failures = video_by_video(videos_of(manifest, root_override), made)
    streams.close()
    packets.close()
    pq.write_table(table_of(rows), index_out)
    write_failures(failures, failures_out)


def _append(view: Mapping[str, Any], path: Path, streams: GrowingArray, packets: GrowingArray) -> EachFrame:
    """Encodes one video onto the end of both arrays; memory is that of one frame. Raises VideoError."""
    first = (streams.num_rows, packets.num_rows)
    frames = EachFrame(path, place=partial(stream_placement, view))
    encoder: Encoder | None = None

    def put(rgb: np.ndarray | None) -> None:
        for data, is_key in encoder.encode(rgb):
            number = packets.num_rows - first[1]
            if is_key != (number % encoder.gop == 0):
                raise RuntimeError(
                    f"{path}: the encoder made frame {number} {'an I' if is_key else 'a P'}-frame"
                )
            packets.append(np.array([(streams.num_rows, is_key)], PACKET))
            streams.append(np.frombuffer(data, np.uint8))

    for n, rgb in frames:
        if n == 0:  # maybe once more: what came before is void
            streams.cut(first[0])
            packets.cut(first[1])
            encoder = Encoder(
                size=rgb.shape[:2],
                gop=view["gop"],
                quality=view["quality"],
                block=view.get("block", WHOLE),
            )
        put(rgb)
    put(None)
    if packets.num_rows - first[1] != len(frames.times_s):
        made = packets.num_rows - first[1]
        raise RuntimeError(f"{path}: the encoder made {made} packets of {len(frames.times_s)} frames")
    return frames
