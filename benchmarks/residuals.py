"""What tracing motion leaves of a residual: over all pixels, over those that moved, and with half samples kept.

    python benchmarks/residuals.py VIDEO ... [--encode] [--block 8] [--positions]

For each video, or with --encode for what `transcode_video` makes of it (340x256, an I-frame every 12): the mean of
|R|, the accumulated residual (METHODS 5.1), beside the mean of |frame - I-frame|, the residual if nothing moved, over
the frames that can be traced. Printed: their ratio over all pixels; the ratio over those that are traced to another
place, and their share; the ratio of residuals from frame to frame; the share of the difference that lies where no
vector leads (still ground and its noise, intra blocks); how far pixels moved, and the mean difference. A ratio near 1
over all pixels with a lower one over those that moved says that little of the picture moves.

A clip is called moving where more than half of its pixels, over all traced frames, are traced to another place. The
definition does not look at residuals; the last line has the ratio over all pixels of all moving clips, and counts
those whose own is below TARGET.

With --encode also what whole pixels cost: `halves` is the ratio over all pixels if displacements kept half samples and
the I-frame was read between its pixels (the published tracing cuts each vector to whole pixels, frame after frame),
and `bytes` the mean size of a frame. With --positions the ratio at each place in the group of pictures.
"""

import argparse
import sys
from pathlib import Path

import av
import numba
import numpy as np
from av.codec.context import Flags2

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.motion import stream_of
from retake.data.motion import read_coded
from retake.data.tracing import NO_VECTORS, VECTOR
from retake.data.transcoding import QUARTER, WHOLE
from retake.data.video import VideoError

SIGNALS = {"motion", "residual", "residual_step", "rgb"}
COLUMNS = {
    "all": 3,
    "moved": 3,
    "of px": 2,
    "step": 3,
    "unled": 2,
    "px": 1,
    "level": 1,
    "halves": 3,
    "bytes": 0,
}
TARGET = 0.7
Positions = dict[int, list[float]]  # position -> sums of |R| and of |frame - I-frame|


def measured(video: Path | bytes, positions: Positions) -> dict[str, float]:
    """Sums over all P-frames that could be traced, of absolute differences over three colours."""
    sums = dict.fromkeys(("traced", "still", "traced_moved", "still_moved", "step", "step_still"), 0.0)
    pixels = moved_pixels = reach = 0.0
    first = before = None
    for frame in read_coded(video, SIGNALS):
        picture = frame.rgb.astype(np.int16)
        if frame.kind == "I":
            first = picture
        elif first is not None and frame.motion is not None:
            moved = (frame.motion != 0).any(axis=-1)
            traced, still = np.abs(frame.residual).sum(axis=-1), np.abs(picture - first).sum(axis=-1)
            here = positions.setdefault(frame.position, [0.0, 0.0])
            here[:] = here[0] + traced.sum(), here[1] + still.sum()
            sums["traced"] += traced.sum()
            sums["still"] += still.sum()
            sums["traced_moved"] += traced[moved].sum()
            sums["still_moved"] += still[moved].sum()
            sums["step"] += np.abs(frame.residual_step).sum()
            sums["step_still"] += np.abs(picture - before).sum()
            pixels, moved_pixels = pixels + moved.size, moved_pixels + moved.sum()
            reach += np.abs(frame.motion).max(axis=-1).sum()
        before = picture
    if not sums["still"]:
        raise VideoError(Path("video"), "no P-frame that could be traced, or nothing changes")
    return {
        "all": sums["traced"] / sums["still"],
        "moved": sums["traced_moved"] / max(sums["still_moved"], 1.0),
        "of px": moved_pixels / pixels,
        "step": sums["step"] / max(sums["step_still"], 1.0),
        "unled": 1 - sums["still_moved"] / sums["still"],
        "px": reach / max(moved_pixels, 1.0),
        "level": sums["still"] / pixels / 3,
        "traced": sums["traced"],
        "still": sums["still"],
    }


@numba.njit(cache=True)
def followed(old, vectors):
    """(H, W, 2) float64, where pixels came from less where they are: `old`, one frame's vectors later, uncut.

    A block takes the entries of the pixels nearest to its source; what points out of the picture, those of its edge.
    """
    height, width = old.shape[:2]
    new = old.copy()
    for n in range(len(vectors)):
        one = vectors[n]
        across, down = one.motion_x / one.motion_scale, one.motion_y / one.motion_scale
        if across == 0 and down == 0:
            continue
        for y in range(max(one.dst_y - one.h // 2, 0), min(one.dst_y + one.h // 2, height)):
            for x in range(max(one.dst_x - one.w // 2, 0), min(one.dst_x + one.w // 2, width)):
                by = min(max(int(np.floor(y + down + 0.5)), 0), height - 1)
                at = min(max(int(np.floor(x + across + 0.5)), 0), width - 1)
                new[y, x, 0] = old[by, at, 0] + across
                new[y, x, 1] = old[by, at, 1] + down
    return new


@numba.njit(cache=True)
def left(picture, first, shift):
    """Sums of |picture - first| where the shift leads, read bilinearly, and at the same place."""
    height, width = picture.shape[:2]
    traced = still = 0.0
    for y in range(height):
        for x in range(width):
            row = min(max(y + shift[y, x, 1], 0.0), height - 1.0)
            column = min(max(x + shift[y, x, 0], 0.0), width - 1.0)
            top, near = int(row), int(column)
            down, across = row - top, column - near
            bottom, far = min(top + 1, height - 1), min(near + 1, width - 1)
            for c in range(3):
                above = (1 - across) * first[top, near, c] + across * first[top, far, c]
                below = (1 - across) * first[bottom, near, c] + across * first[bottom, far, c]
                traced += abs(picture[y, x, c] - (1 - down) * above - down * below)
                still += abs(np.float64(picture[y, x, c]) - first[y, x, c])
    return traced, still


def halves_kept(stream: bytes) -> float:
    """The ratio over all pixels of an MPEG-4 stream of I- and P-frames, with displacements in half samples."""
    codec = av.CodecContext.create("mpeg4", "r")
    codec.thread_count = 1
    codec.flags2 |= Flags2.export_mvs
    total, first, shift = np.zeros(2), None, None
    pictures = read_coded(stream, {"rgb"})
    for packet in [*codec.parse(stream), *codec.parse(b""), None]:
        for frame in codec.decode(packet):
            shown = next(pictures)
            if shown.kind == "I":
                first, shift = shown.rgb, np.zeros((*shown.rgb.shape[:2], 2))
                continue
            side = frame.side_data.get("MOTION_VECTORS")
            shift = followed(shift, NO_VECTORS if side is None else np.frombuffer(side, VECTOR))
            total += left(shown.rgb, first, shift)
    return total[0] / max(total[1], 1.0)


def row_of(video: Path, given: argparse.Namespace) -> tuple[dict[str, float], Positions]:
    """A video's columns, and its sums by position."""
    positions: Positions = {}
    if not given.encode:
        return measured(video, positions), positions
    stream = stream_of(video, given.block)
    row = measured(stream, positions)
    size = len(stream) / sum(1 for _ in read_coded(stream, {"rgb"}))
    return row | {"halves": halves_kept(stream), "bytes": size}, positions


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", type=Path, nargs="+", metavar="VIDEO")
    parser.add_argument("--encode", action="store_true", help="encode each anew, as transcode_video does")
    parser.add_argument("--block", type=int, default=WHOLE, choices=(WHOLE, QUARTER), help="of --encode")
    parser.add_argument("--positions", action="store_true", help="the ratio at each place in a group, too")
    given = parser.parse_args()
    columns = {
        name: places for name, places in COLUMNS.items() if given.encode or name not in ("halves", "bytes")
    }
    print(f"{'video':<44}" + "".join(f"{name:>8}" for name in columns))
    moving = []
    for video in given.videos:
        try:
            row, positions = row_of(video, given)
        except VideoError as error:
            print(f"{video}: {error.reason}", file=sys.stderr)
            continue
        print(
            f"{video.name[:43]:<44}"
            + "".join(f"{row[name]:>8.{places}f}" for name, places in columns.items())
        )
        if given.positions:
            print("    " + " ".join(f"{n}: {r / max(s, 1.0):.2f}" for n, (r, s) in sorted(positions.items())))
        if row["of px"] > 0.5:
            moving.append(row)
    below = sum(row["all"] < TARGET for row in moving)
    together = sum(row["traced"] for row in moving) / max(sum(row["still"] for row in moving), 1.0)
    print(f"{len(moving)} moving clips: {together:.3f} together; {below} of them below {TARGET}")


if __name__ == "__main__":
    main()
