"""Which third-party modules a job will import: read in its sources, and learnt from the jobs before it.

A wanted import is a pair (module, names): `from a.b import c` is ("a.b", ("c",)), `import a.b` is ("a.b", ()).
"""

import ast
import importlib
import json
import os
import sys
import sysconfig
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

OURS = "retake"
INSTALLED = tuple({os.path.join(sysconfig.get_path(p), "") for p in ("purelib", "platlib")})  # noqa: PTH118
Wanted = tuple[str, tuple[str, ...]]


class Source(NamedTuple):
    """The import statements of a file: those at its top level, and the packages of those further in."""

    top: tuple[Wanted, ...]
    inner: frozenset[str]


@cache
def _read(file: str, _mtime: int, _size: int) -> Source:
    try:
        tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    except (SyntaxError, ValueError):  # the job will say so
        return Source((), frozenset())
    top = tuple(wanted for node in tree.body for wanted in _statement(node))
    inner = {module.split(".")[0] for node in ast.walk(tree) for module, _ in _statement(node)}
    return Source(top, frozenset(inner - {module.split(".")[0] for module, _ in top}))


def _statement(node: ast.AST) -> list[Wanted]:
    if isinstance(node, ast.Import):
        return [(alias.name, ()) for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [(node.module, tuple(alias.name for alias in node.names))]
    return []


def _files(module: str) -> list[str]:
    stem = Path(*module.split("."))
    return [p.as_posix() for p in (stem / "__init__.py", stem.with_suffix(".py")) if p.is_file()]


def imports_of(starts: list[str]) -> Source:
    """All third-party imports of the files `starts` and of ours that they import, in the order of a run."""
    seen: set[str] = set()
    top: dict[Wanted, None] = {}
    inner: set[str] = set()

    def visit(file: str) -> None:
        if file in seen or not Path(file).is_file():
            return
        seen.add(file)
        stat = Path(file).stat()
        source = _read(file, stat.st_mtime_ns, stat.st_size)
        inner.update(source.inner)
        for module, names in source.top:
            root = module.split(".")[0]
            if root == OURS:
                for each in (module, *(f"{module}.{name}" for name in names)):
                    for found in _files(each):
                        visit(found)
            elif root not in sys.stdlib_module_names:
                top[module, names] = None

    for file in starts:
        visit(file)
    return Source(tuple(top), frozenset(inner - sys.stdlib_module_names - {OURS}))


def sources_of(words: list[str]) -> list[str]:
    """The files that a job starts from: its script, and those it reaches by name (`--code`, see rules/common.smk)."""
    try:
        return [words[0], *json.loads(words[words.index("--code") + 1])]
    except (ValueError, IndexError, TypeError):
        return words[:1]


def installed(before: set[str]) -> list[str]:
    """Names of the third-party modules that this process has imported and `before` has not, in their order."""
    found = []
    for name, module in list(sys.modules.items()):
        spec = getattr(module, "__spec__", None)
        if name in before or spec is None or spec.name != name or name.split(".")[0] == OURS:
            continue
        if str(spec.origin).startswith(INSTALLED):
            found.append(name)
    return found


@dataclass
class Imports:
    """What a server has imported, what it will not, and what jobs were seen to import."""

    done: set[Wanted] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)  # modules
    learnt: dict[tuple[str, ...], list[str]] = field(default_factory=dict)  # sources of a job -> modules

    def learn(self, sources: list[str], modules: list[str]) -> None:
        known = self.learnt.setdefault(tuple(sources), [])
        known += [module for module in modules if module not in known]

    def wanted(self, sources: list[str]) -> list[Wanted]:
        """What is to be imported before a job of these sources is forked, in order.

        That is what the files import at their top, what jobs of the same files imported besides, and what jobs of
        others imported of a package that these files import further in.
        """
        read = imports_of(sources)
        seen = [*self.learnt.get(tuple(sources), [])]
        seen += [m for ms in self.learnt.values() for m in ms if m.split(".")[0] in read.inner]
        every: list[Wanted] = [*read.top, *((module, ()) for module in seen)]
        new = [w for w in dict.fromkeys(every) if w not in self.done and w[0] not in self.refused]
        self.done.update(w for w in new if _is_loaded(w))
        return [w for w in new if w not in self.done]

    def load(self, wanted: Wanted) -> str | None:
        """Imports; returns what went wrong, in a line. A failure is remembered."""
        self.done.add(wanted)
        module, names = wanted
        try:
            found = importlib.import_module(module)
            for name in names:
                if not hasattr(found, name):
                    importlib.import_module(f"{module}.{name}")
        except BaseException as error:  # noqa: BLE001 -- whatever a module raises: a job may never import it
            self.refused.add(module)
            return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return None


def _is_loaded(wanted: Wanted) -> bool:
    module, names = wanted
    return module in sys.modules and all(name in vars(sys.modules[module]) for name in names)
