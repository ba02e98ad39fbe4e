"""A job's record: what it was asked, what it read, what it measured. One JSON object a line.

First line   kind "job": rule, wildcards, params, inputs, digest, code, commit, scale, invocation, started
Then         kind "metric": name, value, step, time
Last         kind "end": status, wall_s, cpu_s, peak_mb  (absent: the job was killed)

The digest covers what decides the outputs (rule, wildcards, params, inputs, code) and no time, no commit.
"""

import json
import math
import time
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, TextIO

DECIDES = ("rule", "wildcards", "params", "inputs", "code")


def digest_of(value: Any) -> str:
    """sha256 of the value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass
class RecordWriter:
    """Appends to a record; every line reaches the file at once, so that a killed job's points are kept."""

    file: TextIO
    started: float = field(default_factory=time.time)

    def line(self, **values: Any) -> None:
        self.file.write(json.dumps(values, ensure_ascii=False, default=str) + "\n")
        self.file.flush()

    def metric(self, name: str, value: float, step: int | None = None) -> None:
        """One point. A value that is no number is an error: a table could otherwise carry it on."""
        value = float(value)
        if math.isinf(value):
            raise ValueError(f"metric {name} at step {step} is {value}")
        self.line(kind="metric", name=name, value=value, step=step, time=round(time.time(), 3))

    def end(self, status: str, *, cpu_s: float, peak_mb: float) -> None:
        """The last line. Wall time counts from the job's first line, processor time from its process's start."""
        spent = {"wall_s": round(time.time() - self.started, 3), "cpu_s": round(cpu_s, 3)}
        self.line(kind="end", status=status, **spent, peak_mb=round(peak_mb, 1))


@dataclass(frozen=True)
class Record:
    """A record as read back. `end` is None while the job runs, or where it was killed."""

    job: dict[str, Any]
    metrics: list[dict[str, Any]]
    end: dict[str, Any] | None

    @classmethod
    def read(cls, path: Path) -> "Record":
        """Raises ValueError on a file that is no record; a torn last line (a killed job) is left out."""
        job: dict[str, Any] | None = None
        metrics: list[dict[str, Any]] = []
        end = None
        lines = Path(path).read_text(encoding="utf-8").split("\n")
        for number, line in enumerate(lines, 1):
            if not line:
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                if number == len(lines):  # no line feed after it: torn off
                    break
                raise ValueError(f"{path}, line {number}: not JSON: {line[:80]!r}") from None
            match row.get("kind"):
                case "job":
                    job = row
                case "metric":
                    metrics.append(row)
                case "end":
                    end = row
                case other:
                    raise ValueError(f"{path}, line {number}: unknown kind {other!r}")
        if job is None:
            raise ValueError(f"{path}: no line of kind 'job'; not a record")
        return cls(job, metrics, end)

    def curve(self, name: str) -> list[tuple[int, float]]:
        """(step, value) of one metric, in order of steps."""
        return sorted((m["step"] or 0, m["value"]) for m in self.metrics if m["name"] == name)
