"""Does a job's memory grow with the data set? Builds a data set's jobs at 1 and at 10 times its mini size.

Run from the project's folder: python benchmarks/growth.py [--method etenet] [--dataset msrvtt] [--times 10]
    [--targets annotations media] [--folder FOLDER] [--minutes 4]
Prints, for each rule, the number of jobs and the largest peak of one job at both sizes. Only what one method needs
of one data set is built, by default what touches videos; mini MSVD has no room for ten times its clips. With
--folder both builds are kept there, and with --minutes the run ends after so many: the next one goes on.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

TARGETS = ["annotations", "media"]
SHORT = ["seeds=[1]", "max_steps=20"]  # a stage's memory does not depend on how long it goes on


def built(
    folder: Path, times: float, given: argparse.Namespace, until: float | None
) -> dict[str, list[float]]:
    """rule -> peak memory in MB of each of its jobs, of a build in a copy of the project.

    SystemExit where the build is not done at `until` (seconds of the monotonic clock); what is done stays in `folder`.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if Path(name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, folder / name)
    command = [
        "snakemake",
        *given.targets,
        "--cores",
        "all",
        "--quiet",
        "all",
        "--config",
        f"mini_size={times}",
        f"run=[{{method: {given.method}, datasets: [{given.dataset}]}}]",
        *SHORT,
    ]
    alone = os.environ | {"RETAKE_SERVER": "off"}  # with the server, a peak counts what jobs share
    process = subprocess.Popen(command, cwd=folder, env=alone)
    try:
        code = process.wait(None if until is None else max(1.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.terminate()  # Snakemake lets its running jobs end
        process.wait()
        raise SystemExit(f"not done at {times:g} times: run again with the same --folder") from None
    if code:
        raise SystemExit(f"{' '.join(command)}: exit status {code}")
    peaks: dict[str, list[float]] = defaultdict(list)
    results = folder / "results/mini"
    for path in [*(results / "records").rglob("*.jsonl"), *(results / "training").rglob("record.jsonl")]:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        peaks[rows[0]["rule"]].append(rows[-1]["peak_mb"])
    return peaks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=float, default=10)
    parser.add_argument("--method", default="etenet")
    parser.add_argument("--dataset", default="msrvtt")
    parser.add_argument("--targets", nargs="+", default=TARGETS)
    parser.add_argument("--folder", type=Path, help="where both builds stay; left out: nowhere")
    parser.add_argument("--minutes", type=float, help="stop after so many; needs --folder")
    given = parser.parse_args()
    if given.minutes and not given.folder:
        parser.error("--minutes: expected --folder beside it, in which the next run goes on")
    until = time.monotonic() + 60 * given.minutes if given.minutes else None
    with tempfile.TemporaryDirectory() as scratch:
        folder = (given.folder or Path(scratch)).resolve()
        small = built(folder / "one", 1, given, until)
        large = built(folder / "many", given.times, given, until)
    sys.stdout.write(f"{'rule':<20}{'jobs':>6}{'peak MB':>9}{'jobs':>8}{'peak MB':>9}{'ratio':>8}\n")
    for rule in sorted(small):
        a, b = small[rule], large[rule]
        sys.stdout.write(
            f"{rule:<20}{len(a):>6}{max(a):>9.0f}{len(b):>8}{max(b):>9.0f}{max(b) / max(a):>8.2f}\n"
        )


if __name__ == "__main__":
    main()
