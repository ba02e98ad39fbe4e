"""What each job cost, grouped by rule, and which videos could not be read."""

import csv
import json
from pathlib import Path
from typing import Any


def _jobs(results: Path) -> list[dict[str, Any]]:
    """What each job that has ended says of itself: the first and last line of its record."""
    found = []
    for path in sorted([*results.glob("records/**/*.jsonl"), *results.glob("training/**/record.jsonl")]):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line]
        try:
            head, end = (json.loads(line) for line in (lines[0], lines[-1]))
        except (IndexError, json.JSONDecodeError):
            raise ValueError(f"{path}: not a record: its first and last line are not JSON") from None
        if head.get("kind") != "job":
            raise ValueError(f"{path}, line 1: no line of kind 'job'; not a record")
        if end.get("kind") != "end":
            continue
        name = "/".join(str(value) for value in head.get("wildcards", {}).values())
        measured = {key: end.get(key) for key in ("wall_s", "cpu_s", "peak_mb")}
        found.append({"rule": head["rule"], "job": name or head["rule"]} | measured)
    return found


def cost_groups(results: Path) -> list[dict[str, Any]]:
    """Jobs by rule, dearest first: wall and processor time in seconds, peak memory in MB (None: not measured).

    From the jobs' records below `results`. Snakemake's own benchmark files are of the process that it starts, which
    waits while the job server's fork does the work: their wall time is the job's, start-up included, the rest is not.
    """
    jobs = _jobs(Path(results))
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
    """Each view of each release with the videos that could not be read (media/*/*/failures.csv), and each labeller
    of each release with the clips that it could not caption (pseudolabels/*/*/failures.csv).
    """
    found = []
    for path in [
        p
        for kind in ("media", "pseudolabels")
        for p in sorted(Path(results).glob(f"{kind}/*/*/failures.csv"))
    ]:
        with Path(path).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        found.append({"view": path.parts[-3], "release": path.parts[-2], "rows": rows})
    return found
