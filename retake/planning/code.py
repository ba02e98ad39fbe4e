"""Which of our files a rule's job runs: found by reading imports, never listed by hand.

Snakemake watches a script but not what it imports. The digests of these files stand in one file, which is an input:
forty inputs a job, as many as there are files, cost a third of the time in which a graph is built. That file is
brought up to date whenever the graph is built, and by a job that finds code on disk which is newer than it: Snakemake
records what was run.
"""

import ast
import hashlib
import json
import os
import re
from functools import cache
from pathlib import Path

PACKAGE = "retake"
# A line that begins as an import of ours does, to its end or to the bracket that closes its list of names.
KEPT = Path(".snakemake/retake/code")
IMPORT = re.compile(rf"^[ \t]*((?:from|import) {PACKAGE}\b(?:[^\n(]*\([^)]*\)|[^\n]*))", re.MULTILINE)


@cache
def _imports(file: str) -> tuple[str, ...]:
    """Dotted names of ours that a file imports, wherever in it the import stands.

    Only lines that may be an import are parsed, which is ten times faster than the whole file; a line of
    text that reads like an import at worst makes a job depend on a file too many.
    """
    names: list[str] = []
    for found in IMPORT.finditer(Path(file).read_text(encoding="utf-8")):
        try:
            (node,) = ast.parse(found[1]).body
        except (SyntaxError, ValueError):  # a sentence
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return tuple(n for n in names if n == PACKAGE or n.startswith(f"{PACKAGE}."))


@cache
def _says_something(file: Path) -> bool:
    """Whether a package's __init__ holds more than a docstring: one that does not decides no result."""
    return any(not isinstance(node, ast.Expr) for node in ast.parse(file.read_text(encoding="utf-8")).body)


@cache
def _files(module: str) -> tuple[str, ...]:
    """The file of a module, and each __init__ on the way to it that holds code."""
    parts = module.split(".")
    found = []
    for depth in range(1, len(parts) + 1):
        stem = Path(*parts[:depth])
        package, module_file = stem / "__init__.py", stem.with_suffix(".py")
        found += [package.as_posix()] if package.is_file() and _says_something(package) else []
        found += [module_file.as_posix()] if module_file.is_file() else []
    return tuple(found)


@cache
def reached(*starts: str) -> tuple[str, ...]:
    """Files of the package that the files `starts` reach by import, themselves included if they are of it; sorted."""
    seen: set[str] = set()
    queue = [Path(s).as_posix() for s in starts]
    while queue:
        file = queue.pop()
        if file in seen:
            continue
        seen.add(file)
        queue += [f for name in _imports(file) for f in _files(name)]
    return tuple(sorted(f for f in seen if f.startswith(f"{PACKAGE}/")))


def modules_in(folder: str) -> tuple[str, ...]:
    """The Python files of a plug-in folder."""
    return tuple(sorted(p.as_posix() for p in Path(folder).glob("*.py")))


def kept_in(script: str, *plugins: str) -> str:
    """Where the digests of a job's code stand: of a script and the files that it finds by name.

    A folder each: Snakemake lists a folder once, and what is written there later is not there for it.
    """
    name = Path(script).stem
    if plugins:
        told_apart = hashlib.sha256("\n".join(sorted(plugins)).encode()).hexdigest()[:8]
        name = f"{name}.{Path(plugins[0]).parent.name}.{told_apart}"
    return (KEPT / name / "digests.json").as_posix()


def digests_of(script: str, *plugins: str) -> dict[str, str]:
    """File -> sha256 of what a job of `script` runs of the package."""
    return {file: _sha256(file) for file in reached(script, *plugins)}


def keep(path: str, digests: dict[str, str]) -> list[str]:
    """Writes digests where they are not what stands there; returns the files that changed, of a new list none."""
    place = Path(path)
    try:
        before = json.loads(place.read_bytes())
    except (FileNotFoundError, ValueError):
        before = None
    if before == digests:
        return []
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_name(f"{place.name}.{os.getpid()}")
    part.write_text(json.dumps(digests, indent=0), encoding="utf-8")
    part.replace(place)
    return [] if before is None else sorted(f for f in before | digests if before.get(f) != digests.get(f))


@cache
def _sha256(file: str) -> str:
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()
