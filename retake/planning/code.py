"""Which of our files a rule's job runs: found by reading imports, never listed by hand.

Snakemake watches a script but not what it imports; these files become inputs, and their content decides.
"""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = "retake"


def _statements(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every statement of a body and of the blocks in it; no expressions, which are most of a tree."""
    for node in body:
        yield node
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            yield from _statements(getattr(node, block, ()))


@cache
def _imports(file: str) -> tuple[str, ...]:
    """Dotted names of ours that a file imports, wherever in it the import stands."""
    names: list[str] = []
    for node in _statements(ast.parse(Path(file).read_text(encoding="utf-8"), file).body):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return tuple(n for n in names if n == PACKAGE or n.startswith(f"{PACKAGE}."))


@cache
def _files(module: str) -> tuple[str, ...]:
    """The file of a module, and the __init__ of each package on the way to it."""
    parts = module.split(".")
    found = []
    for depth in range(1, len(parts) + 1):
        stem = Path(*parts[:depth])
        found += [p.as_posix() for p in (stem / "__init__.py", stem.with_suffix(".py")) if p.is_file()]
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
