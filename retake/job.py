"""What every script needs around its one call: arguments, seed, temporary outputs, a record, a clear end.

A rule NAME runs `python scripts/NAME.py --wildcards JSON --input NAME PATH... --output NAME PATH... --recipe JSON`.
Outputs are written under a temporary name and renamed only when the block ends well. Standard library only:
this is imported by every job.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import random
import resource
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retake.allocation import keep_freed_memory
from retake.compiler import postpone_compiler
from retake.fixed import FIXED, OFFLINE, THREADS, reaches_out
from retake.guard import watch_parent
from retake.planning.code import digests_of, keep, kept_in
from retake.schema.provenance import provenance_of
from retake.schema.record import DECIDES, RecordWriter, digest_of

postpone_compiler()  # here, because a script's next import may be torch

HASHED_UP_TO = (
    256 * 2**20
)  # bytes; larger inputs are named in the record by size alone, their index has digests
LEADER = os.environ.get("RANK", "0") == "0"  # of several processes of one training, the one that writes


@dataclass
class Job:
    """One job as its script sees it."""

    rule: str
    wildcards: dict[str, str]
    input: dict[str, Any]  # name -> Path, or a list of Paths where the rule's input is one
    output: dict[str, Path]  # name -> temporary path, beside the final one
    recipe: dict[str, Any]
    seed: int
    threads: int
    record: RecordWriter
    record_path: str
    digest: str
    scratch: Path  # resume state of exactly this job; emptied when it ends well
    final: dict[str, Path] = field(default_factory=dict)

    @property
    def identity(self) -> dict[str, str]:
        """How a metrics file names the job's record."""
        return {"path": self.record_path, "digest": self.digest}

    def provenance(self, name: str) -> dict[str, Any]:
        """The recipe's identity with the digests that the record among the inputs, `name`, speaks of."""
        return provenance_of(self.recipe["identity"], self.input[name])

    @property
    def machine(self) -> dict[str, Any]:
        """On what and with which packages this job runs."""
        names = (
            "snakemake",
            "torch",
            "torchvision",
            "timm",
            "accelerate",
            "decord",
            "av",
            "numpy",
            "pandas",
            "pycocoevalcap",
        )
        packages = {name: importlib.metadata.version(name) for name in names}
        return {
            "commit": commit(),
            "python": platform.python_version(),
            "machine": platform.platform(),
            "packages": packages,
        }


def _parsed(argv: list[str]) -> dict[str, Any]:
    """The arguments by kind. Raises SystemExit on anything that no rule writes."""
    found: dict[str, Any] = {
        "input": {},
        "output": {},
        "rule": Path(sys.argv[0]).stem,
        "wildcards": {},
        "recipe": {},
        "threads": 1,
        "listed": [],
        "code": [],
    }
    words = iter(argv)
    target: list[str] | None = None
    for word in words:
        match word:
            case "--input" | "--output":
                target = found[word[2:]].setdefault(next(words), [])
            case "--wildcards" | "--recipe" | "--listed" | "--code":
                found[word[2:]], target = json.loads(next(words)), None
            case "--threads":
                found["threads"], target = int(next(words)), None
            case path if target is not None:
                target.append(path)
            case other:
                raise SystemExit(
                    f"{Path(sys.argv[0]).name}: unexpected argument {other!r}; scripts are called by their rule"
                )
    return found


def _sha256(path: Path) -> str:
    size = path.stat().st_size
    if size > HASHED_UP_TO:
        return f"size:{size}"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def commit() -> str | None:
    """The checkout's commit, read without starting git; None outside a checkout."""
    try:
        head = Path(".git/HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        ref = head.removeprefix("ref: ")
        if (loose := Path(".git") / ref).is_file():
            return loose.read_text().strip()
        rows = Path(".git/packed-refs").read_text().splitlines()
        return next((row.split()[0] for row in rows if row.endswith(f" {ref}")), None)
    except OSError:
        return None


def _part(path: Path) -> Path:
    """Where an output is written first: the same name, in a folder of its own beside the final place."""
    return path.parent / f".part-{path.name}" / path.name


def _code(plugins: list[str]) -> str:
    """The digest of the code that this job runs; where Snakemake finds it, it stands as it is now."""
    digests, kept = digests_of(sys.argv[0], *plugins), kept_in(sys.argv[0], *plugins)
    if LEADER and Path(kept).exists():  # else nobody watches it
        keep(kept, digests)
    return digest_of(digests)


def _start(arguments: dict[str, Any]) -> tuple[Job, Path]:
    rule, wildcards, recipe = arguments["rule"], arguments["wildcards"], arguments["recipe"]
    lists = set(arguments["listed"])
    inputs = {
        n: [Path(p) for p in paths] if n in lists else Path(paths[0])
        for n, paths in arguments["input"].items()
    }
    final = {name: Path(paths[0]) for name, paths in arguments["output"].items() if name != "record"}
    record_path = Path(arguments["output"]["record"][0])
    seed = int(digest_of([rule, wildcards])[:15], 16) % 2**31
    random.seed(seed)
    read = {
        str(p): _sha256(p)
        for value in inputs.values()
        for p in (value if isinstance(value, list) else [value])
    }
    code = _code(arguments["code"])
    head = {"rule": rule, "wildcards": wildcards, "params": recipe, "inputs": read, "code": code}
    digest = digest_of({key: head[key] for key in DECIDES})
    results = Path(*record_path.parts[:2])
    running = results / "running" / f"{digest}-{os.getpid()}.jsonl" if LEADER else Path(os.devnull)
    running.parent.mkdir(parents=True, exist_ok=True)
    for path in final.values():
        if LEADER:
            _empty(_part(path).parent)  # of an attempt that was killed: its side files must not come along
        _part(path).parent.mkdir(parents=True, exist_ok=True)
    writer = RecordWriter(running.open("w", encoding="utf-8"))
    writer.line(
        kind="job",
        **head,
        digest=digest,
        commit=commit(),
        scale=results.name,
        invocation=os.environ.get("RETAKE_INVOCATION"),
        pid=os.getpid(),
        path=record_path.as_posix(),
        outputs=[p.as_posix() for p in final.values()],
        started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(writer.started)),
        time=round(writer.started, 3),
    )
    job = Job(
        rule=rule,
        wildcards=wildcards,
        input=inputs,
        output={name: _part(path) for name, path in final.items()},
        recipe=recipe,
        seed=seed,
        threads=arguments["threads"],
        record=writer,
        record_path=record_path.as_posix(),
        digest=digest,
        scratch=results / "resume" / digest,
        final=final,
    )
    return job, running


def _finish(job: Job, running: Path) -> None:
    """Give every output its final name; one that was not written is an error."""
    if not LEADER:
        return
    for name, part in job.output.items():
        if not part.exists():
            raise FileNotFoundError(f"the script wrote no output {name!r} ({job.final[name]})")
    for name, part in job.output.items():
        part.replace(job.final[name])
        for side in sorted(part.parent.iterdir()):  # what was written beside an output stays beside it
            side.replace(job.final[name].parent / side.name)
        _empty(part.parent)
    job.record.end("finished", **_spent())
    job.record.file.close()
    path = Path(job.record_path)
    path.parent.mkdir(parents=True, exist_ok=True)
    running.replace(path)
    _empty(job.scratch)


def _empty(folder: Path) -> None:
    if folder.is_dir():
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        folder.rmdir()


def _spent() -> dict[str, float]:
    """Processor time of this process and its children, imports included; peak resident memory of the largest, in MB.

    A job forked from the server (retake/server) counts the memory that it shares with it.
    """
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "cpu_s": sum(u.ru_utime + u.ru_stime for u in used),
        "peak_mb": max(u.ru_maxrss for u in used) / 1024,
    }


@contextmanager
def job() -> Iterator[Job]:
    """The block in which a script does its one call.

    On an exception: nothing gets its final name, the traceback is in the log, and the last line says rule,
    wildcards and cause; exit status 1.
    """
    watch_parent()
    keep_freed_memory()
    arguments = _parsed(sys.argv[1:])
    os.environ.update({k: v for k, v in FIXED.items() if k not in os.environ or k == "PYTHONHASHSEED"})
    os.environ.update(dict.fromkeys(THREADS, str(arguments["threads"])))
    if not reaches_out(arguments["rule"]):
        os.environ.update(OFFLINE)
    current, running = _start(arguments)
    try:
        yield current
        _finish(current, running)
    except BaseException as error:
        for part in current.output.values():
            _empty(part.parent)
        if not isinstance(error, Exception) and not isinstance(error, SystemExit):
            raise  # interrupted: the record has no end, which says so
        current.record.end("failed", **_spent())
        traceback.print_exc()
        where = ", ".join(f"{k}={v}" for k, v in current.wildcards.items())
        sys.stderr.write(f"\nretake: {current.rule} ({where}) failed: {type(error).__name__}: {error}\n")
        sys.exit(1)
