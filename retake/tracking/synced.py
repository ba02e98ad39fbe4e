"""What a store holds already, by the state of the files that told it: a sync reads what is new, and nothing else.

One JSON file a store, below .snakemake/retake/synced. It speaks of one experiment, by its id and when it was made: a
store that was made anew is filled anew. It is written when a sync has ended well, so that a torn one looks at all
again; deleted, it costs time alone.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from retake.tracking.runs import JobRun

FOLDER = ".snakemake/retake/synced"


class Known(NamedTuple):
    """Of a run that the store holds whole: what other runs of its job and its invocation need to know."""

    job: str
    attempt: str
    sha: str
    path: str
    invocation: str
    status: str
    start: int
    end: int | None
    wall_s: float


class Synced:
    """root: the project's folder. uri: the store's; experiment: what tells it from one of the same address."""

    def __init__(self, root: Path, uri: str, experiment: list[Any]) -> None:
        self.file = Path(root) / FOLDER / f"{hashlib.sha256(uri.encode()).hexdigest()[:16]}.json"
        self.experiment, self.held = experiment, {}  # type: list[Any], dict[str, dict[str, Any]]
        self.open: set[str] = set()  # invocations whose own run was left RUNNING
        self.changed = False
        try:
            said = json.loads(self.file.read_text(encoding="utf-8"))
            if said["experiment"] == experiment:
                self.held, self.open = said["runs"], set(said["open"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # there is none, or none that can be read: all is looked at

    def of(self, record: Path) -> Known | None:
        """What is known of a record's run, if neither it nor a file with its figures has changed since."""
        entry = self.held.get(record.as_posix())
        if entry is None or any(_state(Path(file)) != state for file, state in entry["files"].items()):
            return None
        return Known(*entry["run"])

    def keep(self, record: Path, run: JobRun) -> None:
        files = {Path(file).as_posix(): _state(Path(file)) for file in (record, *run.files)}
        known = Known(
            run.job,
            run.attempt,
            run.sha,
            run.path,
            run.invocation,
            run.status,
            run.start,
            run.end,
            run.wall_s,
        )
        self.held[record.as_posix()] = {"files": files, "run": list(known)}
        self.changed = True

    def leave(self, invocation: str, *, is_open: bool) -> None:
        """How an invocation's own run is left."""
        self.changed |= is_open != (invocation in self.open)
        (self.open.add if is_open else self.open.discard)(invocation)

    def write(self, records: Iterable[Path]) -> None:
        """Written whole or not at all, where anything is new; of records that are gone nothing is kept."""
        there = {record.as_posix() for record in records}
        held = {name: entry for name, entry in self.held.items() if name in there}
        if not self.changed and len(held) == len(self.held):
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        part = self.file.with_name(f".{self.file.name}.{os.getpid()}")
        said = {"experiment": self.experiment, "open": sorted(self.open), "runs": held}
        part.write_text(json.dumps(said), encoding="utf-8")
        part.replace(self.file)


def _state(file: Path) -> list[int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return [found.st_mtime_ns, found.st_size, found.st_ino]
