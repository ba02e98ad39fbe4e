"""Shards of stream and motion views made of small clips, for the tests of what makes and reads them."""

import re
from pathlib import Path

import numpy as np

from retake.data.array_index import index_arrays
from retake.data.motion_store import extract_motion
from retake.data.transcoding import transcode_video
from retake.schema.manifest import Manifest, entry_of
from tests.unit.data import clips

STREAM = {"kind": "stream", "size": [48, 64], "gop": 12, "quality": 1}
SIGNALS = ("iframe", "motion", "residual", "motion_step", "residual_step")
PACKED = {"blobs_out": "packed.npy", "table_out": "packed_frames.npy"}


def moving(num_frames: int, seed: int = 0, height: int = 48, width: int = 64) -> np.ndarray:
    """(T, H, W, 3) uint8: a textured ground that slides by 2 pixels a frame, so that there is motion to code."""
    rng = np.random.default_rng(seed)
    ground = np.kron(rng.integers(40, 216, (height // 4 + 1, width, 3)), np.ones((4, 4, 1)))
    return np.stack([ground[:height, 2 * t : 2 * t + width] for t in range(num_frames)]).astype(np.uint8)


def release(folder: Path, videos: dict[str, Path]) -> Path:
    """A manifest of `videos` (id -> file under folder/release)."""
    root = folder / "release"
    entries = [entry_of(root, path, video_id) for video_id, path in videos.items()]
    Manifest("clips", str(root), entries).write(folder / "shard000.json")
    return folder / "shard000.json"


def write_clips(folder: Path, lengths: dict[str, int], **given) -> dict[str, Path]:
    """Lossless clips of known frames (`moving`, seeded by their place) under folder/release."""
    (folder / "release").mkdir(parents=True, exist_ok=True)
    return {
        name: clips.write_lossless(folder / f"release/{name}.mkv", moving(length, seed), **given)
        for seed, (name, length) in enumerate(lengths.items())
    }


def outputs(shard: Path, **names: str) -> dict[str, Path]:
    """The outputs of a job that writes into folder `shard`."""
    shard.mkdir(parents=True, exist_ok=True)
    every = names | {"index_out": "index.parquet", "failures_out": "failures.csv"}
    return {key: shard / name for key, name in every.items()}


def transcode(manifest: Path, view_folder: Path, **changes) -> Path:
    """One shard of a stream view; returns its folder."""
    shard = view_folder / "shard000"
    names = outputs(shard, array_out="streams.npy", packets_out="packets.npy")
    transcode_video(view=STREAM | changes, manifest=manifest, **names)
    return shard


def extract(manifest: Path, view_folder: Path, streams: Path | None, signals=SIGNALS) -> Path:
    """One shard of a motion view, of the stream view's shard `streams` or of the files; returns its folder."""
    shard = view_folder / "shard000"
    of = {} if streams is None else {
        "streams": streams / "index.parquet", "streams_failures": streams / "failures.csv",
    }  # fmt: skip
    extract_motion(
        view={"kind": "motion", "of": None if streams is None else "encoded", "signals": list(signals)},
        manifest=manifest,
        **outputs(shard, marked_out="marked.csv", **PACKED),
        **of,
    )
    return shard


def joined(view_folder: Path, beside: str) -> Path:
    """The merged index of a view's shards."""
    shards = sorted(view_folder.glob("shard*/index.parquet"))
    index_arrays(
        shards=shards,
        failures=[path.with_name("failures.csv") for path in shards],
        index_out=view_folder / "index.parquet",
        failures_out=view_folder / "failures.csv",
        max_failures=1.0,
        beside=[beside],
    )
    return view_folder / "index.parquet"


def pictures_in(stream: bytes) -> list[tuple[str, int]]:
    """(I, P or B; quantiser) of each coded picture of an MPEG-4 part 2 stream, read from the bits of its header.

    ISO/IEC 14496-2, 6.2.5, for a clock of 25 ticks a second: start code 1B6, coding type (2 bits), a 1 for each whole
    second and a 0, marker, ticks (5), marker, coded (1), rounding (1, P alone), intra DC threshold (3), quantiser (5).
    """
    found = []
    for start in re.finditer(rb"\x00\x00\x01\xb6", stream):
        bits = "".join(f"{byte:08b}" for byte in stream[start.end() : start.end() + 8])
        kind, rest = "IPBS"[int(bits[:2], 2)], bits[2:].lstrip("1")[1:]
        assert (rest[0], rest[6], rest[7]) == ("1", "1", "1"), "markers and a coded picture"
        rest = rest[8 + (kind == "P") :]
        found.append((kind, int(rest[3:8], 2)))
    return found
