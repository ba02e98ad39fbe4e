"""index_rows: the shards of a bank of rows as one index, which says what they were made of."""

import json
from collections.abc import Sequence
from functools import cache
from hashlib import file_digest
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from retake.data.array_index import index_arrays

MADE_OF = "made_of"  # keys of a bank's metadata: digests of what filled it,
EVERY_S = "every_s"  # and the seconds of a step
BOXES = "boxes.npy"  # beside an array of rows: the boxes that they are of, and their scores


def sha256_of(path: Path) -> str:
    """A file's digest; taken once as long as the file stays what it is."""
    state = path.stat()
    return _sha256(path, state.st_mtime_ns, state.st_size)


@cache
def _sha256(path: Path, _changed: int, _size: int) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def said_of(index: Path) -> tuple[str, dict[str, str]]:
    """(seconds of a step, digests of what it was made of) of a shard's index. Raises ValueError where it is none."""
    with pq.ParquetFile(index) as file:
        said = {k.decode(): v.decode() for k, v in (file.metadata.metadata or {}).items()}
    if EVERY_S not in said or MADE_OF not in said:
        raise ValueError(f"{index}: no shard of a bank of rows: its metadata lack {EVERY_S}, {MADE_OF}")
    return said[EVERY_S], json.loads(said[MADE_OF])


def index_rows(
    *, shards: Sequence[Path], media: Path, index_out: Path, checkpoint: Path | None = None,
    detections: Path | None = None,
) -> None:  # fmt: skip
    """Merge the indices of a bank's shards; the metadata hold digests of media, checkpoint and detections.

    media       the merged index of the view that was looked through
    checkpoint  that filled the bank; detections: the merged table of its boxes
    Raises ValueError that names the shard that another checkpoint filled, that has other steps or rows of another
    width, and where there is not one row.
    """
    paths = sorted(map(Path, shards))
    made_of = {
        name: sha256_of(Path(path))
        for name, path in (("checkpoint", checkpoint), ("detections", detections), ("media", media))
        if path is not None
    }
    steps: dict[str, Path] = {}
    forms: dict[tuple, Path] = {}
    for path in paths:
        every_s, by = said_of(path)
        if by.get("checkpoint") != made_of.get("checkpoint"):
            have, wanted = str(by.get("checkpoint"))[:12], str(made_of.get("checkpoint"))[:12]
            raise ValueError(
                f"{path}: was filled by checkpoint {have}, expected {wanted}, that of {checkpoint}"
            )
        steps.setdefault(every_s, path)
        array = np.load(path.parent / "features.npy", mmap_mode="r", allow_pickle=False)
        if len(array):
            forms.setdefault((array.shape[1:], array.dtype.str), path)
    for what, seen in (("steps", steps), ("widths", forms)):
        if len(seen) > 1:
            said = ", ".join(f"{value} ({path})" for value, path in seen.items())
            raise ValueError(f"{paths[0].parent.parent}: its shards have several {what}: {said}")
    if not forms:
        raise ValueError(f"{paths[0].parent.parent}: holds not one row of features")
    about = {MADE_OF: json.dumps(made_of, sort_keys=True), EVERY_S: next(iter(steps))}
    index_arrays(shards=paths, index_out=index_out, beside=[BOXES], said=about)
