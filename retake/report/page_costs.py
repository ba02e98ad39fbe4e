"""What each job cost, grouped by rule, and which videos could not be read."""

import csv
import json
from pathlib import Path
from typing import Any

from retake.schema.record import Record


def _value(text: Any) -> float | None:
    """Snakemake writes null, "-" or "NA" for what it had no time to measure."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _from_benchmarks(costs: Path) -> list[dict[str, Any]]:
    jobs = []
    for path in sorted(Path(costs).rglob("*.jsonl")):
        rule, *rest = path.relative_to(costs).with_suffix("").parts
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        if not lines:
            continue
        try:
            last = json.loads(lines[-1])
        except json.JSONDecodeError:
            raise ValueError(f"{path}: last line is not JSON: {lines[-1][:80]!r}") from None
        cpu = _value(last.get("cpu_time"))
        jobs.append(
            {
                "rule": rule,
                "job": "/".join(rest) or rule,
                "wall_s": _value(last.get("s")),
                "cpu_s": cpu,
                "peak_mb": _value(last.get("max_rss")),
            }
        )
    return jobs


def _from_records(records: list[Record]) -> list[dict[str, Any]]:
    return [
        {
            "rule": r.job["rule"],
            "job": "/".join(str(v) for v in r.job.get("wildcards", {}).values()) or r.job["rule"],
            "wall_s": r.end.get("wall_s"),
            "cpu_s": None,
            "peak_mb": r.end.get("peak_mb"),
        }
        for r in records
        if r.end is not None
    ]


def cost_groups(costs: Path, records: list[Record]) -> list[dict[str, Any]]:
    """Jobs by rule, dearest first: wall time in seconds, peak memory in MB (None: not measured).

    From Snakemake's benchmark files <costs>/<rule>/...jsonl; a rule that has none is told by its records.
    """
    jobs = _from_benchmarks(costs) if Path(costs).is_dir() else []
    measured = {job["rule"] for job in jobs}
    jobs += [job for job in _from_records(records) if job["rule"] not in measured]
    groups: dict[str, list[dict[str, Any]]] = {}
    for job in jobs:
        groups.setdefault(job["rule"], []).append(job)
    found = []
    for rule, listed in groups.items():
        peaks = [job["peak_mb"] for job in listed if job["peak_mb"] is not None]
        wall = sum(job["wall_s"] or 0.0 for job in listed)
        listed.sort(key=lambda job: (-(job["wall_s"] or 0.0), job["job"]))
        longest = listed[0]["wall_s"]
        found.append(
            {
                "rule": rule,
                "jobs": listed,
                "wall_s": wall,
                "longest_s": longest,
                "peak_mb": max(peaks, default=None),
            }
        )
    found.sort(key=lambda group: (-group["wall_s"], group["rule"]))
    most = max((group["wall_s"] for group in found), default=0.0) or 1.0
    return [group | {"share": round(100 * group["wall_s"] / most, 1)} for group in found]


def failures(results: Path) -> list[dict[str, Any]]:
    """Each view of each release with the videos that could not be read (media/*/*/failures.csv)."""
    found = []
    for path in sorted(Path(results).glob("media/*/*/failures.csv")):
        with Path(path).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        found.append({"view": path.parts[-3], "release": path.parts[-2], "rows": rows})
    return found
