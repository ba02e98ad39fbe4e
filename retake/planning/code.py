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
IMPORT = re.compile(
    rf"^[ \t]*((?:from|import) {PACKAGE}\b(?:[^\n(\\#]|\\\n)*(?:\((?:[^)#]|#[^\n]*)*\))?[^\n]*)", re.MULTILINE
)
COMMENT = re.compile(r"#[^\n]*")
NAMED = re.compile(r"\s*([\w.]+)(?:\s+as\s+\w+)?\s*")  # a name, under another or its own
FROM = re.compile(r"from\s+([\w.]+)\s+import\b\s*(?:\(([^()]*)\)|([^()]*))")


@cache
def _read(file: str) -> tuple[tuple[str, ...], str]:
    """(dotted names of ours that a file imports, wherever in it the import stands; the file's sha256).

    Only lines that may be an import are read, and Python's parser is asked about those alone that are not plain; a
    line of text that reads like an import at worst makes a job depend on a file too many.
    """
    content = Path(file).read_bytes()
    found = [name for line in IMPORT.findall(content.decode()) for name in _plain(line) or _parsed(line)]
    names = tuple(n for n in found if n == PACKAGE or n.startswith(f"{PACKAGE}."))
    return names, hashlib.sha256(content).hexdigest()


def _plain(line: str) -> list[str]:
    """Dotted names of an import of a plain form, without Python's parser, which takes ten times as long; else none."""
    line = COMMENT.sub("", line).strip()
    start = FROM.fullmatch(line)
    listed = (start[2] or start[3]).rstrip().removesuffix(",") if start else line.removeprefix("import")
    names = [NAMED.fullmatch(part) for part in listed.split(",")]
    if not all(names):
        return []
    found = [name[1] for name in names if name]
    return [start[1], *(f"{start[1]}.{name}" for name in found)] if start else found


def _parsed(line: str) -> list[str]:
    """Dotted names of any import; none of a sentence."""
    try:
        body = ast.parse(line).body
    except (SyntaxError, ValueError):
        return []
    names: list[str] = []
    for node in body:
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return names


@cache
def _says_something(file: str) -> bool:
    """Whether a package's __init__ holds more than a docstring: one that does not decides no result."""
    return any(not isinstance(node, ast.Expr) for node in ast.parse(Path(file).read_bytes()).body)


@cache
def _files(module: str) -> tuple[str, ...]:
    """The file of a module, and each __init__ on the way to it that holds code."""
    above, _, _ = module.rpartition(".")
    stem = module.replace(".", "/")
    package, module_file = f"{stem}/__init__.py", f"{stem}.py"
    found = _files(above) if above else ()
    found += (package,) if os.path.isfile(package) and _says_something(package) else ()  # noqa: PTH113 -- hundreds of times
    return found + ((module_file,) if os.path.isfile(module_file) else ())  # noqa: PTH113


@cache
def _needs(file: str) -> tuple[str, ...]:
    """Files of the package that a file imports."""
    return tuple(dict.fromkeys(found for name in _read(file)[0] for found in _files(name)))


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
        queue += _needs(file)
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
    return {file: _read(file)[1] for file in reached(script, *plugins)}


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
