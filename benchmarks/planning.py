"""How long Snakemake thinks before the first job, and how long a run takes that finds nothing to do.

    python benchmarks/planning.py [--methods 1 9] [--repeat 3]
    python benchmarks/planning.py --methods 9 --shards 10 100 300 1000

Plans the default config in a copy of the checkout, with EtENet alone and with its folder under invented
names beside it. The jobs of the copy are stand-ins that leave empty files, so that a second run finds
everything made, recorded and unchanged. Times are of whole commands, the best of `--repeat`; beside them the time
that Snakemake takes to say its own version, which no workflow can save.

With `--shards` each release has so many, each method looks at its videos through a view of its own, and one dry run
of everything is measured: jobs, wall and processor seconds, the most memory.
"""

import argparse
import itertools
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIRST = "etenet"
STAND_IN = """
import json, pathlib, sys
words = sys.argv[1:]
recipe = json.loads(words[words.index("--recipe") + 1]) if "--recipe" in words else {}
for at in (n for n, word in enumerate(words) if word == "--output"):
    path = pathlib.Path(words[at + 2])
    manifest = path.suffix == ".json" and "releases" in path.parts
    wanted = {"release": recipe.get("release"), "root": recipe.get("root"), "files": []}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(wanted) if manifest else "made")
"""


def copy_of_the_checkout(folder: Path) -> None:
    """Every file that git does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def with_methods(folder: Path, count: int, shards: int = 0) -> None:
    """EtENet and copies of it under other names, all in the config; jobs that do nothing.

    `shards`, if any, of each release, of which each copy has views and banks of its own.
    """
    names = [FIRST, *(f"method_{n}" for n in range(2, count + 1))]
    for name in names[1:]:
        target = folder / "retake/methods" / name
        shutil.copytree(folder / "retake/methods" / FIRST, target)
        for file in target.glob("*.py"):
            text = file.read_text(encoding="utf-8")
            file.write_text(text.replace(f"methods.{FIRST}", f"methods.{name}"), encoding="utf-8")
        if shards:
            recipe = target / "recipe.yaml"
            text = recipe.read_text(encoding="utf-8")
            recipe.write_text(re.sub(r"\b(frames|encoder)16\b", rf"\g<1>16_{name}", text), encoding="utf-8")
    for card in (folder / "retake/data/datasets").glob("*/card.yaml") if shards else ():
        text = card.read_text(encoding="utf-8")
        text = re.sub(r"^shards: \{mini: \d+", f"shards: {{mini: {shards}", text, flags=re.MULTILINE)
        card.write_text(text, encoding="utf-8")
    runs = "".join(f"  - {{method: {name}, datasets: [msvd, msrvtt]}}\n" for name in names)
    settings = f"scale: mini\nseeds: [1, 2, 3]\nmlflow: {{store: none}}\nrun:\n{runs}"
    (folder / "config.yaml").write_text(settings, encoding="utf-8")
    for script in (folder / "scripts").glob("*.py"):
        imports = [line for line in script.read_text(encoding="utf-8").splitlines() if "import" in line]
        unused = "\n    ".join(["pass", *imports])  # what a job's code is stays what it was
        script.write_text(f"if False:\n    {unused}\n{STAND_IN}", encoding="utf-8")


def snakemake(folder: Path, *arguments: str) -> tuple[float, str]:
    """Wall seconds of a command, and what it said."""
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    started = time.perf_counter()
    done = subprocess.run(
        ["snakemake", *arguments],
        cwd=folder,
        env=os.environ | {"PATH": paths, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}")
    return seconds, done.stdout + done.stderr


def best(folder: Path, repeat: int, *arguments: str) -> tuple[float, str]:
    """The fastest of some runs of one command, and what it said."""
    return min(snakemake(folder, *arguments) for _ in range(repeat))


def measured(folder: Path, methods: int, repeat: int) -> str:
    """One line of the table that `main` prints."""
    copy_of_the_checkout(folder)
    with_methods(folder, methods)
    bare, _ = best(folder, repeat, "--version")
    plan, said = best(folder, repeat, "-n", "-q", "rules")
    jobs = next(line.split()[1] for line in said.splitlines() if line.startswith("total"))
    snakemake(folder, "--cores", "8", "--resources", "mem_mb=1000000")
    again, said = best(folder, repeat)
    if "Nothing to be done" not in said:
        sys.exit(said)
    edited, _ = best(folder, repeat, "-n", "-q", "rules", "--forceall")
    return f"{methods:7d} {jobs:>5} {bare:10.2f} {plan:10.2f} {again:10.2f} {edited:10.2f}"


def grown(folder: Path, methods: int, shards: int) -> str:
    """One line of the table of `--shards`."""
    copy_of_the_checkout(folder)
    with_methods(folder, methods, shards)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall, said = snakemake(folder, "-n", "-q", "rules")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    jobs = next(line.split()[1] for line in said.splitlines() if line.startswith("total"))
    return f"{methods:7d} {shards:7d} {jobs:>7} {wall:8.1f} {used:8.1f} {after.ru_maxrss / 1024:8.0f}"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--methods", type=int, nargs="+", default=[1, 9])
    arguments.add_argument("--repeat", type=int, default=3)
    arguments.add_argument("--shards", type=int, nargs="+", default=[])
    given = arguments.parse_args()
    if given.shards:
        print("methods  shards    jobs   wall s    CPU s       MB", flush=True)
        for methods, shards in itertools.product(given.methods, given.shards):
            with tempfile.TemporaryDirectory() as folder:
                print(grown(Path(folder) / "retake", methods, shards), flush=True)
        return
    print("methods  jobs  --version   plan all   no-op run   forceall   (seconds)")
    for methods in given.methods:
        with tempfile.TemporaryDirectory() as folder:
            print(measured(Path(folder) / "retake", methods, given.repeat), flush=True)


if __name__ == "__main__":
    main()
