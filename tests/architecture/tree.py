"""The project as the architecture tests read it: its files, its rules as text, its imports."""

import ast
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def files(*suffixes: str) -> list[Path]:
    """Files that git holds or would hold, relative to the root; of these suffixes or names."""
    asked = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    found = [Path(name) for name in listed if name and (ROOT / name).is_file()]
    assert found, "git lists no file"
    return sorted(f for f in found if not suffixes or f.suffix in suffixes or f.name in suffixes)


def text(file: Path) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Rule:
    """One rule of a .smk file: its directives as written, without what it takes over from another rule."""

    name: str
    file: str
    directives: dict[str, str]
    base: str | None = None

    @property
    def works(self) -> bool:
        """Whether it makes something, rather than only collect."""
        return (
            bool({"shell", "run", "script", "notebook", "wrapper"} & self.directives.keys())
            or self.base is not None
        )


def rules_in(source: str, file: str = "") -> list[Rule]:
    """The rules and checkpoints of one Snakefile's text, in order."""
    head = re.compile(
        r"^(?:use rule (?P<base>\w+)(?: from \w+)? as|rule|checkpoint) ?(?P<name>\w*)(?: with)?:", re.M
    )
    starts = list(head.finditer(source))
    found = []
    for start, end in zip(starts, [*starts, None][1:], strict=True):
        body = source[start.end() : end.start() if end else len(source)]
        body = re.split(r"^(?=\S)", body, maxsplit=1, flags=re.M)[0] if body.startswith("\n") else body
        parts = re.split(r"^ {4}(\w+):", body, flags=re.M)
        found.append(
            Rule(start["name"], file, dict(zip(parts[1::2], parts[2::2], strict=True)), start["base"])
        )
    return found


@cache
def rules() -> list[Rule]:
    """Every rule of the workflow."""
    return [
        rule
        for f in files(".smk", "Snakefile")
        if f.parts[0] != "tests"
        for rule in rules_in(text(f), str(f))
    ]


def imports(source: str) -> list[str]:
    """Dotted names of everything that a Python source imports, wherever the import stands."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            # `from retake import job` imports the module, not the package
            found += (
                [f"retake.{a.name}" for a in node.names] if node.module == "retake" else [node.module or "."]
            )
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return found
