"""Write what the smallest build's tables hold: python -m tests.golden.smallest FOLDER, a folder where it was built.

The digests were made under one CPU capability and one maker of processors (BLAS takes other ways on others): there
they must be met to the byte; elsewhere values are compared. Write them again only where a change is meant to change
a number.
"""

import csv
import json
import sys
from hashlib import sha256
from pathlib import Path

FILE = Path("tests/golden/smallest.json")
TABLES = "results/mini/tables"


def processor() -> str:
    """The capability that jobs fix, and the processor's maker: what decides the last bits."""
    import torch

    said = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").is_file() else ""
    makers = {line.split(":")[1].strip() for line in said.splitlines() if line.startswith("vendor_id")}
    able = torch.backends.cpu.get_cpu_capability()
    return (
        f"{'AVX2' if able.startswith(('AVX2', 'AVX512')) else able} {'/'.join(sorted(makers)) or 'unknown'}"
    )


def tables(folder: Path) -> dict[str, dict[str, float]]:
    """table -> cell (row and metric) -> our value, unrounded as the CSV has it."""
    found = {}
    for path in sorted((folder / TABLES).rglob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            cells = [row for row in csv.DictReader(file) if row["ours"]]
        name = path.relative_to(folder / TABLES).as_posix()
        found[name] = {f"{c['row']} {c['dataset']} {c['metric']}": float(c["ours"]) for c in cells}
    return found


def digests(folder: Path) -> dict[str, str]:
    """table -> sha256 of its CSV."""
    return {
        path.relative_to(folder / TABLES).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in sorted((folder / TABLES).rglob("*.csv"))
    }


if __name__ == "__main__":
    built = Path(sys.argv[1])
    held = {"processor": processor(), "digests": digests(built), "values": tables(built)}
    FILE.write_text(json.dumps(held, indent=1, sort_keys=True) + "\n", encoding="utf-8")
