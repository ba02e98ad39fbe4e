"""Does a job's memory grow with the data set? Builds predictions of the mini releases at 1 and at 10 times their size.

Run from the project's folder: python benchmarks/growth.py [--times 10]
Prints, for each rule that touches videos, the number of jobs and the largest peak of one job at both sizes.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

TARGETS = ["annotations", "media", "features", "training", "predictions"]
SHORT = ["seeds=[1]", "max_steps=20"]  # a stage's memory does not depend on how long it goes on


def built(folder: Path, times: float) -> dict[str, list[float]]:
    """rule -> peak memory in MB of each of its jobs, of a build in a copy of the project."""
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
        *TARGETS,
        "--cores",
        "all",
        "--quiet",
        "all",
        "--config",
        f"mini_size={times}",
        *SHORT,
    ]
    alone = os.environ | {"RETAKE_SERVER": "off"}  # with the server, a peak counts what jobs share
    subprocess.run(command, cwd=folder, env=alone, check=True)
    peaks: dict[str, list[float]] = defaultdict(list)
    for path in (folder / "results/mini/records").rglob("*.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        peaks[rows[0]["rule"]].append(rows[-1]["peak_mb"])
    return peaks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=float, default=10)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as many:
        small, large = built(Path(one), 1), built(Path(many), times)
    sys.stdout.write(f"{'rule':<20}{'jobs':>6}{'peak MB':>9}{'jobs':>8}{'peak MB':>9}{'ratio':>8}\n")
    for rule in sorted(small):
        a, b = small[rule], large[rule]
        sys.stdout.write(
            f"{rule:<20}{len(a):>6}{max(a):>9.0f}{len(b):>8}{max(b):>9.0f}{max(b) / max(a):>8.2f}\n"
        )


if __name__ == "__main__":
    main()
