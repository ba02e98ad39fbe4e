"""What jobs find around them: this Python, this package, and no script in a library's place."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from retake import environment


@pytest.fixture
def prepared(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", f"/usr/bin{os.pathsep}{tmp_path}")
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    environment.prepare(tmp_path)
    environment.prepare(tmp_path)


@pytest.mark.usefixtures("prepared")
def test_this_python_comes_first_and_only_once():
    places = os.environ["PATH"].split(os.pathsep)
    assert places[0] == str(Path(sys.executable).parent)
    assert places.count(places[0]) == 1
    assert "/usr/bin" in places


@pytest.mark.usefixtures("prepared")
def test_a_script_does_not_stand_in_for_a_library_of_its_name(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/tabulate.py").write_text("raise SystemExit('the script was imported')\n")
    (tmp_path / "scripts/score.py").write_text(
        "import importlib.util\nprint(importlib.util.find_spec('tabulate'))\n"
    )
    done = subprocess.run(
        [sys.executable, tmp_path / "scripts/score.py"], capture_output=True, text=True, check=True
    )
    assert "scripts" not in done.stdout


def test_garbage_is_looked_for_seldom_while_a_graph_is_built_and_as_usual_after():
    before = gc.get_threshold()
    gc.unfreeze()
    try:
        environment.plan_without_pauses()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 10_000  # what is imported
        assert gc.get_threshold()[0] >= 100 * before[0]
        environment.collect_as_usual()
        assert gc.get_threshold() == (700, 10, 10)
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
