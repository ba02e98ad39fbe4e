"""What tracing motion leaves of a residual, over all pixels and over those that moved.

    python benchmarks/residuals.py VIDEO ... [--encode]

For each video, or with --encode for what `transcode_video` makes of it (340x256, an I-frame every 12): the mean of
|R|, the accumulated residual (METHODS 5.1), beside the mean of |frame - I-frame|, the residual if nothing moved, over
the frames that can be traced. Printed: their ratio over all pixels; the ratio over those that are traced to another
place, and their share; the ratio of residuals from frame to frame; the share of the difference that lies where no
vector leads (still ground and its noise, intra blocks); how far pixels moved, and the mean difference. A ratio near 1
over all pixels with a lower one over those that moved says that little of the picture moves.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.motion import stream_of
from retake.data.motion import read_coded
from retake.data.video import VideoError

SIGNALS = {"motion", "residual", "residual_step", "rgb"}


def measured(video: Path | bytes) -> dict[str, float]:
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
        "moved_share": moved_pixels / pixels,
        "moved": sums["traced_moved"] / max(sums["still_moved"], 1.0),
        "step": sums["step"] / max(sums["step_still"], 1.0),
        "unled": 1 - sums["still_moved"] / sums["still"],
        "reach": reach / max(moved_pixels, 1.0),
        "level": sums["still"] / pixels / 3,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", type=Path, nargs="+", metavar="VIDEO")
    parser.add_argument("--encode", action="store_true", help="encode each anew, as transcode_video does")
    given = parser.parse_args()
    print(f"{'video':<44}{'all':>7}{'moved':>8}{'of px':>7}{'step':>7}{'unled':>7}{'px':>7}{'level':>7}")
    for video in given.videos:
        try:
            m = measured(stream_of(video) if given.encode else video)
        except VideoError as error:
            print(f"{video}: {error.reason}", file=sys.stderr)
            continue
        print(
            f"{video.name[:43]:<44}{m['all']:>7.3f}{m['moved']:>8.3f}{m['moved_share']:>7.2f}{m['step']:>7.3f}"
            f"{m['unled']:>7.2f}{m['reach']:>7.1f}{m['level']:>7.1f}"
        )


if __name__ == "__main__":
    main()
