"""What MLflow is told of a job: from its record, its costs, its table's figures. No mlflow here."""

import csv
import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from retake.schema.record import Record, digest_of
from retake.schema.strict import read_yaml

MAX_KEY = 250
MAX_VALUE = 500
ASIDE = re.compile(r"[^\w./: -]")  # what MLflow refuses in a name
SECRET_NAME = re.compile(
    r"passw(or)?d|passphrase|secret|credential|(api|access|private|account)_?key|authorization"
    r"|(access|auth|api|bearer|refresh|session|hf|hub)_?token|^token$",
    re.IGNORECASE,
)
SECRET_VALUE = re.compile(r"(?<=://)[^/@\s]+@")  # user:password@ in an address
HIDDEN = "(hidden)"
WILDCARDS = (
    "method",
    "variant",
    "dataset",
    "seed",
    "stage",
    "protocol",
    "split",
    "table",
    "figure",
    "release",
)


class Point(NamedTuple):
    """One point of a curve; time in milliseconds since the epoch, from the record, so that replays are
    equal."""

    name: str
    value: float
    time: int
    step: int


@dataclass(frozen=True)
class JobRun:
    """One attempt at one job, as it stands in a record."""

    job: str  # scale, rule, wildcards: what a later attempt supersedes
    attempt: str  # digest of job, invocation and start
    path: str  # of the record, relative to the project
    sha: str  # of the record's bytes
    name: str
    invocation: str
    status: str  # RUNNING | FINISHED | FAILED | KILLED
    start: int  # ms
    end: int | None  # ms
    params: dict[str, str]
    tags: dict[str, str]
    points: list[Point]
    extras: list[Point]  # from files beside the record: costs, a table's figures
    extras_sha: str
    files: list[Path]  # that the extras are of, or would be

    @property
    def wall_s(self) -> float:
        return sum(p.value for p in self.extras if p.name == "wall_s")

    @property
    def complete(self) -> bool:
        return self.status != "RUNNING"


def records_of(results: Path) -> Iterator[Path]:
    """Every record below one scale's results, those of jobs under way last."""
    results = Path(results)
    yield from sorted((results / "records").rglob("*.jsonl"))
    yield from sorted((results / "training").rglob("record.jsonl"))
    yield from sorted((results / "running").glob("*.jsonl"))


def run_of(path: Path, results: Path, live: str | None) -> JobRun | None:
    """The run that a record tells of. `live`: the invocation whose jobs may still be at work, or None.

    None where the record has not got its first line yet. Raises ValueError on a file that is no record.
    """
    raw = path.read_bytes()
    if b"\n" not in raw:
        return None
    record = Record.read(path)
    head = record.job
    own = str(head.get("path") or path.as_posix())
    scale = str(head.get("scale") or results.name)
    wildcards = {k: str(v) for k, v in head["wildcards"].items()}
    invocation = str(head.get("invocation") or f"commit-{str(head.get('commit'))[:12]}")
    start = _ms(head)
    points = [
        Point(_name(m["name"]), float(m["value"]), int(m["time"] * 1000), int(m["step"] or 0))
        for m in record.metrics
    ]
    under_way = path.parent.name == "running"
    status = _status(record, invocation == live and under_way)
    end = None if status == "RUNNING" else _end(record, start, points)
    extras, beside = [], _beside(own, head, results)
    if record.end is not None:
        at = end or start
        extras = [
            Point(n, float(record.end[n]), at, 0) for n in ("wall_s", "cpu_s", "peak_mb") if n in record.end
        ]
        extras += [Point(n, v, at, 0) for f in beside if f.is_file() for n, v in _numbers(f)]
    return JobRun(
        job=" ".join([scale, head["rule"], *(f"{k}={v}" for k, v in sorted(wildcards.items()))]),
        attempt=digest_of([scale, head["rule"], wildcards, invocation, start, head.get("digest")]),
        path=own,
        sha=hashlib.sha256(raw).hexdigest(),
        name=" ".join([head["rule"], *wildcards.values()])[:MAX_KEY],
        invocation=invocation,
        status=status,
        start=start,
        end=end,
        params=_params(head.get("params") or {}, wildcards),
        tags=_tags(head, scale, wildcards) | _paper(results.parent.parent, wildcards.get("method")),
        points=points,
        extras=extras,
        extras_sha=digest_of(extras),
        files=beside,
    )


def _ms(head: dict[str, Any]) -> int:
    if "time" in head:
        return int(float(head["time"]) * 1000)
    return int(datetime.fromisoformat(head["started"]).timestamp() * 1000)


def _status(record: Record, at_work: bool) -> str:
    if record.end is not None:
        return "FINISHED" if record.end.get("status") == "finished" else "FAILED"
    return "RUNNING" if at_work else "KILLED"


def _end(record: Record, start: int, points: list[Point]) -> int:
    if record.end is not None:
        return start + int(float(record.end.get("wall_s", 0)) * 1000)
    return max([start, *(p.time for p in points)])  # killed: the last sign of life


def _params(params: dict[str, Any], wildcards: dict[str, str]) -> dict[str, str]:
    flat = {f"wildcard.{k}": v for k, v in wildcards.items()} | dict(_flat(params, ""))
    return {_name(k): hide(k, v)[:MAX_VALUE] for k, v in flat.items()}


def _flat(value: Any, prefix: str) -> Iterator[tuple[str, str]]:
    """Nested mappings as dotted names; a list of plain values is one value, a list of mappings is
    numbered."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list) and any(isinstance(v, dict) for v in value):
        for number, inner in enumerate(value):
            yield from _flat(inner, f"{prefix}.{number}")
    else:
        yield prefix, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def hide(name: str, value: str) -> str:
    """The value without secrets: of a telling name, in an address, or held by the environment."""
    if _telling(name.rpartition(".")[2]):
        return HIDDEN
    value = SECRET_VALUE.sub(f"{HIDDEN}@", value)
    for variable, secret in os.environ.items():
        if len(secret) >= 8 and _telling(variable):
            value = value.replace(secret, HIDDEN)
    return value


@lru_cache(maxsize=4096)
def _telling(name: str) -> bool:
    return SECRET_NAME.search(name) is not None


def _tags(head: dict[str, Any], scale: str, wildcards: dict[str, str]) -> dict[str, str]:
    inputs = head.get("inputs") or {}
    data = {p: d for p, d in inputs.items() if p.split("/")[0] in ("data", "results")}
    tags = {
        "rule": head["rule"],
        "scale": scale,
        "commit": head.get("commit"),
        "code": head.get("code"),
        "digest": head.get("digest"),
        "config": digest_of(head.get("params") or {}),
        "data": digest_of(data) if data else None,
    }
    tags |= {k: wildcards[k] for k in WILDCARDS if k in wildcards}
    tags |= {f"data/{p}"[:MAX_KEY]: str(d) for p, d in sorted(data.items())[:20]}
    tags |= {f"output/{n}": p for n, p in enumerate(head.get("outputs") or [])}
    return {k: hide(k, str(v))[:MAX_VALUE] for k, v in tags.items() if v is not None}


@lru_cache
def _paper(root: Path, method: str | None) -> dict[str, str]:
    """The tag that names a method's paper, by its recipe; none where the recipe is not there."""
    recipe = root / f"retake/methods/{method}/recipe.yaml"
    return {"paper": read_yaml(recipe)["paper"]["key"]} if recipe.is_file() else {}


def _name(name: str) -> str:
    """A name that MLflow takes: its letters, and the form of a relative path."""
    parts = ASIDE.sub("_", name.replace("%", "pct")).split("/")
    return (
        "/".join(p.replace(".", "_") if p in (".", "..") else p for p in parts if p)[:MAX_KEY].rstrip("/")
        or "_"
    )


def _beside(path: str, head: dict[str, Any], results: Path) -> list[Path]:
    """Files with figures of this job, there or not: what Snakemake measured, and tables that it wrote."""
    root = results.parent.parent
    inner = Path(*Path(path).parts[2:])
    if inner.parts[:1] == ("records",):
        costs = results / "costs" / Path(*inner.parts[1:])
    else:  # training/<run>/<stage>/record.jsonl
        costs = results / "costs" / head["rule"] / Path(*inner.parts[1:-1]).with_suffix(".jsonl")
    tables = [root / p for p in head.get("outputs") or [] if "/tables/" in p and p.endswith(".csv")]
    return [costs, *tables]


def _numbers(file: Path) -> list[tuple[str, float]]:
    return _costs(file) if file.suffix == ".jsonl" else _figures(file)


def _costs(file: Path) -> list[tuple[str, float]]:
    """Snakemake's benchmark file: one object a line, the last line counts. Wall time is all that it knows of a job."""
    lines = [line for line in file.read_text().splitlines() if line.strip()]
    row = json.loads(lines[-1]) if lines else {}
    return [("cost/s", float(row["s"]))] if _number(row.get("s")) is not None else []


def _figures(file: Path) -> list[tuple[str, float]]:
    """Every number of a table, named `<table>/<words of its row>/<column>`."""
    with file.open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    columns = list(rows[0]) if rows else []
    numeric = [c for c in columns if all(_number(r[c]) is not None or not r[c] for r in rows)]
    numeric = [c for c in numeric if any(r[c] for r in rows)]
    found: dict[str, float] = {}
    for number, row in enumerate(rows):
        words = " ".join(row[c] for c in columns if c not in numeric and row[c]) or f"row {number}"
        if any(
            other is not row and all(other[c] == row[c] for c in columns if c not in numeric)
            for other in rows
        ):
            words = f"{words} {number}"
        for column in numeric:
            if (value := _number(row[column])) is not None:
                found[
                    _name(
                        f"{file.stem}/{words.replace('/', ' ')}"[: MAX_KEY - len(column) - 1] + f"/{column}"
                    )
                ] = value
    return list(found.items())


def _number(text: Any) -> float | None:
    if isinstance(text, bool) or text is None:
        return None
    try:
        return float(text)
    except (TypeError, ValueError):
        return None
