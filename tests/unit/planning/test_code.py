"""A rule's code is found by reading imports."""

import ast
import hashlib
import json
from pathlib import Path

import pytest

from retake.planning import code


@pytest.fixture
def package(tmp_path, monkeypatch):
    files = {
        "retake/__init__.py": "",
        "retake/a.py": "from retake.deep import inner\n",
        "retake/deep/__init__.py": '"""Says nothing."""\n',
        "retake/loud/__init__.py": "from retake.loud.voice import hum\n",
        "retake/loud/voice.py": "hum = 1\n",
        "retake/deep/inner.py": "def f():\n    import retake.late\n",
        "retake/late.py": "import os\nfrom retake.loud import (\n    hum,  # tone\n)\n",
        "retake/unused.py": "import retake.a\n",
        "scripts/run.py": "from retake.a import f\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    caches = (code._read, code.reached, code._files, code._needs, code._says_something)
    for each in caches:
        each.cache_clear()
    yield
    for each in caches:
        each.cache_clear()


@pytest.mark.usefixtures("package")
def test_what_a_script_reaches_is_found_through_packages_and_late_imports_and_nothing_else():
    assert code.reached("scripts/run.py") == (
        "retake/a.py",
        "retake/deep/inner.py",
        "retake/late.py",
        "retake/loud/__init__.py",
        "retake/loud/voice.py",
    )


@pytest.mark.usefixtures("package")
def test_a_plug_in_that_is_found_by_name_is_added_with_what_it_reaches():
    assert "retake/unused.py" in code.reached("scripts/run.py", "retake/unused.py")


@pytest.mark.usefixtures("package")
def test_digests_of_a_jobs_code_are_kept_and_what_changed_is_named():
    kept = code.kept_in("scripts/run.py")
    assert code.keep(kept, code.digests_of("scripts/run.py")) == []  # new: nothing is known to have changed
    held = json.loads(Path(kept).read_text())
    assert held["retake/a.py"] == hashlib.sha256(b"from retake.deep import inner\n").hexdigest()
    assert sorted(held) == sorted(code.reached("scripts/run.py"))
    before = Path(kept).stat()
    assert code.keep(kept, code.digests_of("scripts/run.py")) == []
    assert Path(kept).stat() == before  # not even written again
    changed = held | {"retake/a.py": "0" * 64, "retake/b.py": "1" * 64}
    del changed["retake/late.py"]
    assert code.keep(kept, changed) == ["retake/a.py", "retake/b.py", "retake/late.py"]
    assert json.loads(Path(kept).read_text()) == changed
    assert [p.name for p in Path(kept).parent.iterdir()] == ["digests.json"]


@pytest.mark.usefixtures("package")
def test_a_broken_file_of_digests_is_written_anew():
    kept = Path(code.kept_in("scripts/run.py"))
    kept.parent.mkdir(parents=True)
    kept.write_text("{")
    assert code.keep(kept.as_posix(), {"retake/a.py": "0"}) == []
    assert json.loads(kept.read_text()) == {"retake/a.py": "0"}


def test_jobs_that_find_other_files_by_name_have_digests_of_their_own():
    places = {
        code.kept_in("scripts/run.py"),
        code.kept_in("scripts/walk.py"),
        code.kept_in("scripts/run.py", "retake/methods/a/model.py"),
        code.kept_in("scripts/run.py", "retake/methods/a/model.py", "retake/methods/a/more.py"),
        code.kept_in("scripts/run.py", "retake/weights/a/model.py"),
    }
    assert len(places) == len({Path(place).parent for place in places}) == 5  # Snakemake lists a folder once


def test_no_path_is_absolute():
    found = code.reached(
        "scripts/train_stage.py",
        *code.modules_in(next(p.parent.as_posix() for p in Path("retake/methods").glob("*/model.py"))),
    )
    assert "retake/training/loop.py" in found
    assert not any(Path(f).is_absolute() for f in found)


@pytest.mark.parametrize(
    "file", sorted(map(str, [*Path("retake").rglob("*.py"), *Path("scripts").glob("*.py")]))
)
def test_an_import_is_found_wherever_a_whole_reading_finds_it(file):
    assert set(code._read(file)[0]) == names_in(Path(file).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "text",
    [
        "import retake.a",
        "import retake.a as b, retake.c, retakes",
        "import retake.a, os; import os",
        "from retake import a as b, c",
        "from retake.a import (b)",
        "from retake.a import (\n    b as x,  # why, (not at all), c\n    c,\n)",
        "from retake.a import b  # as d, e",
        "from retake.a import b  # as (d\nfrom retake.c import (e)",
        "from retake.a import *",
        "def f():\n    from retake.a import b; from retake.c import d",
        "from retake.a import b\\\n    as c",
    ],
)
def test_an_import_of_any_form_is_found(tmp_path, text):
    (tmp_path / "a.py").write_text(text)
    assert set(code._read(str(tmp_path / "a.py"))[0]) == names_in(text)


def test_a_sentence_that_begins_as_an_import_does_is_none(tmp_path):
    (tmp_path / "a.py").write_text('"""\nfrom retake to retake, (again\nimport retake and see\n"""\n')
    assert code._read(str(tmp_path / "a.py"))[0] == ()


def names_in(text):
    """Names of ours that a whole reading of a file finds imported."""
    whole = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            whole |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            whole |= {alias.name for alias in node.names}
    return {name for name in whole if name and f"{name}.".startswith("retake.")}
