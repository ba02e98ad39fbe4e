"""A manifest: which files a part of a release consists of, with size and sha256.

It stands for the bytes it names: rules depend on manifests, DVC versions them, and a video that changes
changes its shard's manifest and nothing else.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from hashlib import file_digest
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One file. `path` is relative to the release's root; `video_id` is None for annotation files."""

    path: str
    size: int
    sha256: str
    video_id: str | None = None


@dataclass(frozen=True)
class Manifest:
    """The files of one release (annotations) or of one of its shards (media), sorted by path."""

    release: str
    root: str
    files: list[Entry] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Raises ValueError that names the file where it is no manifest."""
        try:
            raw = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(raw["release"], raw["root"], [Entry(**entry) for entry in raw["files"]])
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path}: not a manifest ({error!r}); delete it and run again") from None

    def text(self) -> str:
        rows = sorted((asdict(entry) for entry in self.files), key=lambda row: row["path"])
        head = json.dumps({"release": self.release, "root": self.root}, ensure_ascii=False)[1:-1]
        body = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        return f'{{{head}, "files": [\n{body}\n]}}\n'

    def write(self, path: Path) -> None:
        """Written whole or not at all."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        part.write_text(self.text(), encoding="utf-8")
        part.replace(path)

    def videos(self) -> dict[str, Path]:
        """video_id -> path (root included), sorted by video_id."""
        found = {e.video_id: Path(self.root) / e.path for e in self.files if e.video_id is not None}
        return dict(sorted(found.items()))


def entry_of(root: Path, path: Path, video_id: str | None = None) -> Entry:
    """The entry of `path`, which lies under `root`; reads the file once."""
    path = Path(path)
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    return Entry(path.relative_to(root).as_posix(), path.stat().st_size, digest, video_id)
