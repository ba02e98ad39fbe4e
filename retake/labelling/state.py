"""What a shard has been labelled with so far: a line a batch, on the disk before the next batch begins.

A killed job loses the batch that it was at. Batches are cut from the clips in their order, so the job that goes
on cuts the rest into the batches that it would have cut without the kill, and its bytes are the same.
"""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

Row = dict[str, Any]


class Batch(NamedTuple):
    """clips: video_id, number, start_s, end_s, time_s, and caption or reason; failures: (video_id, path, reason)
    of videos; videos: those whose clips are all here or before.
    """

    clips: list[Row]
    failures: list[list[str]]
    videos: list[str]


class State:
    """The batches of one shard, kept in a file of JSON lines."""

    def __init__(self, path: Path):
        """Reads what is there; a torn last line is cut off. Raises ValueError on a file that is something else."""
        self.path = Path(path)
        self.clips: list[Row] = []
        self.failures: list[tuple[str, ...]] = []
        self.videos: set[str] = set()
        self.first: dict[
            str, int
        ] = {}  # video -> its first chunk that is not labelled yet, where it is not 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        kept = self._read() if self.path.is_file() else 0
        self.file = self.path.open("ab")
        self.file.truncate(kept)

    def _read(self) -> int:
        """Bytes that hold whole lines."""
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                self._take(Batch(**json.loads(line)))
            except (ValueError, TypeError) as error:
                raise ValueError(
                    f"{self.path}: line {number}: no batch of labels ({error}); delete it"
                ) from None
        return len(whole)

    def _take(self, batch: Batch) -> None:
        self.clips += batch.clips
        self.failures += [tuple(row) for row in batch.failures]
        self.videos |= set(batch.videos)
        self.first |= {row["video_id"]: row["number"] + 1 for row in batch.clips}

    def add(self, batch: Batch) -> None:
        """Returns once the batch is on the disk."""
        self.file.write(json.dumps(batch._asdict(), ensure_ascii=False).encode() + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())
        self._take(batch)

    def close(self) -> None:
        self.file.close()
