"""A rule's code is found by reading imports."""

from pathlib import Path

import pytest

from retake.planning import code


@pytest.fixture
def package(tmp_path, monkeypatch):
    files = {
        "retake/__init__.py": "",
        "retake/a.py": "from retake.deep import inner\n",
        "retake/deep/__init__.py": "",
        "retake/deep/inner.py": "def f():\n    import retake.late\n",
        "retake/late.py": "import os\n",
        "retake/unused.py": "import retake.a\n",
        "scripts/run.py": "from retake.a import f\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    code._imports.cache_clear()
    code.reached.cache_clear()
    code._files.cache_clear()
    yield
    code._imports.cache_clear()
    code.reached.cache_clear()
    code._files.cache_clear()


@pytest.mark.usefixtures("package")
def test_what_a_script_reaches_is_found_through_packages_and_late_imports_and_nothing_else():
    assert code.reached("scripts/run.py") == (
        "retake/__init__.py",
        "retake/a.py",
        "retake/deep/__init__.py",
        "retake/deep/inner.py",
        "retake/late.py",
    )


@pytest.mark.usefixtures("package")
def test_a_plug_in_that_is_found_by_name_is_added_with_what_it_reaches():
    assert "retake/unused.py" in code.reached("scripts/run.py", "retake/unused.py")


def test_no_path_is_absolute():
    found = code.reached(
        "scripts/train_stage.py",
        *code.modules_in(next(p.parent.as_posix() for p in Path("retake/methods").glob("*/model.py"))),
    )
    assert "retake/training/loop.py" in found
    assert not any(Path(f).is_absolute() for f in found)
