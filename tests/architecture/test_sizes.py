"""How long a file and a function may be."""

import ast
from pathlib import Path

import pytest

from tests.architecture.tree import files, text

LIMITS = [  # first pattern that matches -> lines at most
    ("Snakefile", 60),
    ("rules/common.smk", 150),
    ("rules/*.smk", 150),
    ("scripts/*.py", 25),
    ("retake/data/datasets/*/parse.py", 150),
    ("retake/**/*.py", 400),
    ("tools/*.py", 400),
    ("benchmarks/*.py", 400),
    ("tests/**/*", 600),
]
FUNCTION_LINES = 60
POSITIONAL = 6
SOURCES = files(".py", ".smk", "Snakefile")


def limit_of(file: Path) -> int:
    """The lines that a source may have."""
    return next(limit for pattern, limit in LIMITS if fits(file, pattern))


def fits(file: Path, pattern: str) -> bool:
    """Whether a relative path matches; `**` stands for any depth, none included."""
    head, deep, tail = pattern.partition("/**/")
    if not deep:
        return len(file.parts) == pattern.count("/") + 1 and file.match(pattern)
    return file.parts[0] == head and file.match(tail)


def long_functions(source: str) -> list[str]:
    """Functions with too many lines or too many parameters that may be given without their name."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if (lines := node.end_lineno - node.lineno + 1) > FUNCTION_LINES:
            found.append(f"{node.name}: {lines} lines")
        names = [a.arg for a in node.args.posonlyargs + node.args.args]
        if len([n for n in names if n not in {"self", "cls"}]) > POSITIONAL:
            found.append(f"{node.name}: {len(names)} positional parameters")
    return found


@pytest.mark.parametrize("file", SOURCES, ids=str)
def test_files_are_short(file):
    lines = len(text(file).splitlines())
    assert lines <= limit_of(file), f"{file} has {lines} lines, at most {limit_of(file)}"


@pytest.mark.parametrize("file", [f for f in SOURCES if f.suffix == ".py"], ids=str)
def test_functions_are_short(file):
    assert long_functions(text(file)) == []


def test_the_limits_are_the_ones_meant():
    assert limit_of(Path("rules/common.smk")) == 150
    assert limit_of(Path("retake/data/datasets/msvd/parse.py")) == 150
    assert limit_of(Path("retake/plan.py")) == 400
    assert limit_of(Path("retake/a/b/c.py")) == 400
    assert limit_of(Path("scripts/train_stage.py")) == 25


def test_a_long_function_is_found():
    body = "\n".join("    x = 1" for _ in range(FUNCTION_LINES))
    assert long_functions(f"def f():\n{body}\n") == [f"f: {FUNCTION_LINES + 1} lines"]
    assert long_functions("def f(a, b, c, d, e, f, g): ...") == ["f: 7 positional parameters"]
    assert long_functions("class A:\n    def f(self, a, b, c, d, e, f, *, g): ...") == []
