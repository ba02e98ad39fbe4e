"""Makes content decide what Snakemake reruns, whatever a clone, a pull or an editor did to file times.

Snakemake compares an input's checksum with the recorded one only where the input is newer than the output.
So an input that was changed but looks old is accepted in silence, and an unchanged one that looks new is
hashed again each time. `settle` puts file times in an order that says the truth:

* content differs from what the record says was used -> the input is made the newest file: Snakemake reruns;
* content is what was used, yet it looks newer -> the output is made as new as its input: nothing to compare.

Content is hashed once per change: a stamp keeps each file's size, times and inode (a file's ctime cannot be
set by hand, so an unchanged stamp means unchanged bytes). With nothing moved a call is one `stat` per file.
Files whose checksum was not recorded (directories, records of an older threshold) keep their times.

Called by the Snakefile (retake.guard.enter), and by `python -m retake.settle` in dvc.yaml. Standard library
only.
"""

import base64
import hashlib
import json
import os
import stat
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

METADATA = ".snakemake/metadata"
STAMP = ".snakemake/retake/settled.json"  # what was seen last time: a call that finds the same does nothing
DIGESTS = ".snakemake/retake/digests.json"  # sha256 of each input, and the state of the file that had it
RACY_NS = 50_000_000  # a file written this recently may be written again within one tick of its clock
SAY_BYTES = 4_000_000_000  # hashing more than this is announced

State = list[int]  # size, mtime, ctime (ns), inode


@dataclass
class Settled:
    """What one call found and did."""

    files: int = 0
    hashed: int = 0
    touched: int = 0
    changed: list[str] = field(
        default_factory=list
    )  # inputs whose content is not what the record says was used

    def __str__(self) -> str:
        some = ", ".join(self.changed[:5]) + (", ..." if len(self.changed) > 5 else "")
        changed = f"; changed since used: {some}" if self.changed else ""
        return f"settled: {self.files} files, {self.hashed} hashed, {self.touched} file times set{changed}"


@dataclass
class _Output:
    """One of Snakemake's records: an output and the inputs it was made from (path -> sha256)."""

    started: float
    inputs: dict[str, str]
    written_here: bool = False


def settle(root: Path = Path(), *, since: float | None = None) -> Settled:
    """Settles the file times under `root` (the workflow's folder). The caller holds the folder
    (retake.guard).

    `since`: start (epoch seconds) of a run by this very process that has just ended. What its jobs read
    cannot have changed before they read it if the file is older than the job, so its recorded checksum is
    taken, not computed.
    """
    root = Path(root)
    names = record_names(root)
    if not names:
        return Settled()
    stamp = read_kept(root / STAMP)
    seen = stamp.get("files", {})
    if stamp.get("records") == names and all(state_of(root, path) == state for path, state in seen.items()):
        return Settled(files=len(seen))
    outputs = _outputs(root, names, since)
    return _Order(root, outputs).settled(names)


class _Order:
    """The graph of recorded files with their states, and the times that it should have."""

    def __init__(self, root: Path, outputs: dict[str, _Output]) -> None:
        self.root, self.outputs = root, outputs
        self.paths = set(outputs) | {i for o in outputs.values() for i in o.inputs}
        self.states = {p: state_of(root, p) for p in self.paths}
        self.made_from: dict[str, list[str]] = defaultdict(list)  # input -> outputs
        for path, output in outputs.items():
            for i in output.inputs:
                self.made_from[i].append(path)
        self.result = Settled(files=len(self.paths))

    def settled(self, names: dict[str, State]) -> Settled:
        order = self._topological()
        digests = self._digests(self._needed(order))
        stale = {
            p: wrong
            for p, o in self.outputs.items()
            if (wrong := [i for i, was in o.inputs.items() if i in digests and digests[i] != was])
        }
        times = self._times(order, digests, stale)
        must = {i for wrong in stale.values() for i in wrong}
        for path, at in times.items():
            self._touch(path, at, must=path in must)
        self.result.touched = len(times)
        self.result.changed = sorted(must)
        now = time.time_ns()
        for path in self.paths:
            state = self.states[path]
            if path in digests and path not in times and state and state[2] > now - RACY_NS:
                self.states[path] = [-1, -1, -1, -1]  # look again next time
        kept = {p: [*self.states[p], d] for p, d in digests.items() if self.states[p]}
        keep(self.root / DIGESTS, kept)
        keep(self.root / STAMP, {"records": names, "files": self.states})
        return self.result

    def _topological(self) -> list[str]:
        """Inputs before outputs. Files in a circle (records of an older workflow) are left out."""
        waiting = {p: len(o.inputs) for p, o in self.outputs.items()}
        ready = [p for p in sorted(self.paths) if not waiting.get(p)]
        order = []
        while ready:
            path = ready.pop()
            order.append(path)
            for output in self.made_from.get(path, ()):
                waiting[output] -= 1
                if not waiting[output]:
                    ready.append(output)
        return order

    def _needed(self, order: list[str]) -> list[str]:
        """Inputs that are there and from which something that is there was made, be it through missing
        files."""
        there = {p for p in self.paths if self.states[p]}
        alive = set(there)
        for path in reversed(order):
            if path not in alive and any(o in alive for o in self.made_from.get(path, ())):
                alive.add(path)
        return [p for p in self.made_from if p in there and any(o in alive for o in self.made_from[p])]

    def _digests(self, needed: list[str]) -> dict[str, str]:
        """sha256 of each needed input: known from an unchanged state, vouched for by this run, or
        computed."""
        known = read_kept(self.root / DIGESTS)
        found, unknown = {}, []
        for path in needed:
            state = self.states[path]
            entry = known.get(path)
            if entry and entry[:4] == state:
                found[path] = entry[4]
            elif vouched := self._vouched(path):
                found[path] = vouched
            else:
                unknown.append(path)
        size = sum(int(self.states[p][0]) for p in unknown)  # type: ignore[index]
        if size > SAY_BYTES:
            sys.stderr.write(
                f"checking {len(unknown)} files ({size / 1e9:.0f} GB) that moved since last time\n"
            )
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            found |= dict(zip(unknown, pool.map(self._sha256, unknown), strict=True))
        self.result.hashed = len(unknown)
        return found

    def _vouched(self, path: str) -> str | None:
        changed_s = self.states[path][2] / 1e9  # type: ignore[index]
        says = {
            self.outputs[o].inputs[path]
            for o in self.made_from[path]
            if self.outputs[o].written_here and changed_s < self.outputs[o].started
        }
        return says.pop() if len(says) == 1 else None

    def _sha256(self, path: str) -> str:
        with (self.root / path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _times(
        self, order: list[str], digests: dict[str, str], stale: dict[str, list[str]]
    ) -> dict[str, int]:
        """New mtimes (ns) of the files that need one. A missing file passes its inputs' time on."""
        time_of = {p: state[1] if state else 0 for p, state in self.states.items()}
        for path in order:
            output = self.outputs.get(path)
            if output is None or path in stale:
                continue
            same = [time_of[i] for i, was in output.inputs.items() if digests.get(i, was) == was]
            time_of[path] = max([time_of[path], *same])
        ordered = set(order)

        def looks_made_at(
            path: str,
        ) -> int:  # where the file is missing, Snakemake looks at what was made from it
            if self.states[path] or path not in ordered:
                return time_of[path]
            return max(map(looks_made_at, self.made_from.get(path, ())), default=0)

        wrong = {i for p, inputs in stale.items() for i in inputs if time_of[i] <= looks_made_at(p)}
        newest = max(time.time_ns(), *time_of.values()) + 1_000_000
        time_of |= dict.fromkeys(wrong, newest)
        return {p: t for p, t in time_of.items() if (s := self.states[p]) and s[1] != t}

    def _touch(self, path: str, at: int, *, must: bool) -> None:
        """Times that only save Snakemake a comparison are left where they cannot be set (another user's
        file)."""
        try:
            os.utime(self.root / path, ns=(at, at))
        except PermissionError:
            if must:
                raise
        self.states[path] = state_of(self.root, path)


def record_names(root: Path) -> dict[str, State]:
    """Path of every record file below the metadata folder, with its state."""
    found: dict[str, State] = {}
    todo = [(str(root / METADATA), "")]
    while todo:
        folder, prefix = todo.pop()
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:
            continue
        for entry in entries:
            if entry.is_dir():
                todo.append((entry.path, f"{prefix}{entry.name}/"))
            else:
                s = entry.stat()
                found[prefix + entry.name] = [s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino]
    return found


def _target(name: str) -> str:
    """The output that a record file is about. Snakemake cuts long names into folders that begin with '@'."""
    *folders, last = name.split("/")
    return base64.urlsafe_b64decode("".join(f.removeprefix("@") for f in folders) + last).decode()


def _outputs(root: Path, names: dict[str, State], since: float | None) -> dict[str, _Output]:
    outputs = {}
    for name, state in names.items():
        try:
            record = json.loads((root / METADATA / name).read_bytes())
        except ValueError:  # torn by a kill; Snakemake ignores such a record too
            continue
        sums = record.get("input_checksums") or {}
        inputs = {p: d for p, value in sums.items() if (d := _sha256_of(value))}
        here = since is not None and state[2] / 1e9 >= since
        outputs[_target(name)] = _Output(record.get("starttime") or 0.0, inputs, here)
    return outputs


def _sha256_of(recorded: Any) -> str | None:
    algorithm, _, digest = str(recorded or "").rpartition(":")
    return digest if digest and algorithm in ("", "sha256") else None


def state_of(root: Path, path: str) -> State | None:
    """None where there is no such regular file."""
    try:
        s = os.stat(os.path.join(root, path))  # noqa: PTH116, PTH118 -- thousands of times: Path is four times slower
    except (FileNotFoundError, NotADirectoryError):
        return None
    return [s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino] if stat.S_ISREG(s.st_mode) else None


def read_kept(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):  # none yet, or torn by a kill: everything is looked at again
        return {}


def keep(path: Path, value: dict[str, Any]) -> None:
    """Nothing is lost where this fails (disk full, read-only folder): the next call looks at everything
    again."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(value, separators=(",", ":")))
        temporary.replace(path)
    except OSError as error:
        sys.stderr.write(f"retake: {path} could not be kept: {error.strerror}\n")


def main(arguments: Iterable[str]) -> None:
    """`python -m retake.settle [folder]`."""
    from retake import guard

    root = Path(next(iter(arguments), "."))
    try:
        with guard.held(root):
            sys.stdout.write(f"{settle(root)}\n")
    except guard.Busy:
        sys.stdout.write("a workflow is running here; file times are left alone\n")


if __name__ == "__main__":
    main(sys.argv[1:])
