"""What a rule owes, and what no rule may do."""

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml

from retake.planning.code import reached
from tests.architecture.tree import Rule, files, imports, rules, rules_in, text

OWES = ("output", "log", "benchmark", "conda", "resources", "shell")
FORBIDDEN = ("run", "script", "notebook", "wrapper")
IMPORT_NAMES = {
    "sklearn": "scikit-learn",
    "cv2": "opencv-contrib-python-headless",
    "yaml": "pyyaml",
}  # what is imported -> what is installed


def problems(rule: Rule) -> list[str]:
    """What one rule lacks or does that it may not."""
    found = [f"{rule.name}: {key}:" for key in FORBIDDEN if key in rule.directives]
    if rule.works and rule.base is None:
        found += [f"{rule.name}: no {key}" for key in OWES if key not in rule.directives]
        found += [] if "mem_mb" in rule.directives.get("resources", "") else [f"{rule.name}: no mem_mb"]
        found += (
            [] if starts_its_script(rule) else [f"{rule.name}: its script is not started by the launcher"]
        )
        if "gpu=" in rule.directives.get("resources", "") and "threads" not in rule.directives:
            found += [f"{rule.name}: a GPU without threads of its own, which keep it out of the job server"]
        found += [] if "script=" in rule.directives.get("input", "") else [f"{rule.name}: script is no input"]
    written = "".join(rule.directives.values())
    found += [f"{rule.name}: {word}" for word in ("directory(", "protected(") if word in written]
    return found


def starts_its_script(rule: Rule) -> bool:
    """Through retake/launch.py, or through what the plan puts in its place."""
    line = rule.directives.get("shell", "").strip().strip('"')
    return line.startswith(("python retake/launch.py {input.script} ", "{params.launcher} {input.script} "))


def script_problems(source: str) -> list[str]:
    """Statements a script may not have."""
    banned = (
        ast.FunctionDef,
        ast.ClassDef,
        ast.Lambda,
        ast.If,
        ast.IfExp,
        ast.For,
        ast.While,
        ast.Try,
        ast.comprehension,
    )
    tree = ast.parse(source)
    found = [
        f"line {getattr(n, 'lineno', '?')}: {type(n).__name__}"
        for n in ast.walk(tree)
        if isinstance(n, banned)
    ]
    return found + ([] if ast.get_docstring(tree) else ["no docstring"])


def third_parties(script: Path) -> set[str]:
    """Distributions that a script's job imports: from its own file, and from ours that it reaches."""
    named = {n.split(".")[0] for f in [str(script), *reached(str(script))] for n in imports(text(Path(f)))}
    return {IMPORT_NAMES.get(n, n) for n in named - set(sys.stdlib_module_names) - {"retake"}}


def environment_of(rule: Rule) -> set[str]:
    """The distributions of a rule's conda environment."""
    file = Path("rules") / re.search(r'"(.+?)"', rule.directives["conda"])[1]
    listed = yaml.safe_load(Path(file).read_text())["dependencies"]
    return {pin.split("==")[0] for part in listed if isinstance(part, dict) for pin in part["pip"]}


WORKING = [r for r in rules() if r.works]


@pytest.mark.parametrize("rule", rules(), ids=lambda r: r.name)
def test_a_rule_keeps_the_form(rule):
    assert problems(rule) == []


@pytest.mark.parametrize("rule", [r for r in WORKING if r.base is None], ids=lambda r: r.name)
def test_a_rules_environment_holds_what_its_script_imports(rule):
    needs = third_parties(Path(f"scripts/{rule.name}.py"))
    assert needs - environment_of(rule) == set()


@pytest.mark.parametrize("script", [f for f in files(".py") if f.parts[0] == "scripts"], ids=str)
def test_a_script_is_one_call(script):
    assert script_problems(text(script)) == []


def test_no_rule_stands_inside_an_if():
    for file in files(".smk", "Snakefile"):
        assert not re.search(r"^ +(use rule|rule \w+:|checkpoint \w+:)", text(file), re.M), file


def test_a_bad_rule_is_found():
    (rule,) = rules_in('rule make_x:\n    output:\n        directory("x"),\n    run:\n        print(1)\n')
    assert problems(rule) == [
        "make_x: run:",
        *[f"make_x: no {key}" for key in OWES if key != "output"],
        "make_x: no mem_mb",
        "make_x: its script is not started by the launcher",
        "make_x: script is no input",
        "make_x: directory(",
    ]


def test_a_gpu_without_threads_is_found():
    (rule,) = rules_in("rule make_x:\n    resources:\n        gpu=1,\n    shell:\n        'python x.py'\n")
    assert "make_x: a GPU without threads of its own, which keep it out of the job server" in problems(rule)


def test_a_bad_script_is_found():
    assert script_problems('"""Doc."""\nfor x in y:\n    pass\n') == ["line 2: For"]
    assert script_problems("f(x if y else z)") == ["line 1: IfExp", "no docstring"]
    assert script_problems('"""Doc."""\nf([x for x in y])') == ["line ?: comprehension"]
