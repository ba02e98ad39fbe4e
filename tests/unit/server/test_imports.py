"""What is imported ahead: what a job's sources import, what jobs were seen to import, nothing that does harm."""

import os
import sys

import pytest

from retake.guard import SERVER
from retake.server import imports

SAYS = "import sys\nprint(SERVED, *[m for m in ('yaml', 'tqdm', 'markupsafe') if m in sys.modules], flush=True)\n"


def test_what_a_script_imports_at_its_top_is_there_before_it_begins(place):
    assert place.run(place.script(SAYS + "import yaml\n")).stdout == "True yaml\n"
    assert place.run(place.script(SAYS, "other.py")).stdout == "True yaml\n"


def test_what_our_modules_import_counts_and_ours_are_not_kept(place):
    (place.folder / "retake/deep.py").write_text("import yaml\n")
    (place.folder / "retake/near.py").write_text("from retake import deep\n")
    script = place.script(SAYS + "print('retake.near' in sys.modules)\nimport retake.near\n")
    assert place.run(script).stdout == "True yaml\nFalse\n"
    assert place.run(script).stdout == "True yaml\nFalse\n"


def test_what_a_job_imports_late_is_there_for_the_next_of_its_kind(place):
    late = "def f():\n    import markupsafe\nf()\n"
    one, other = place.script(SAYS + late), place.script(SAYS, "other.py")
    assert place.run(one).stdout == "True\n"
    assert place.run(other).stdout == "True\n", "another kind of job does not wait for it"
    assert place.run(one).stdout == "True markupsafe\n"
    assert place.run(other).stdout == "True markupsafe\n"


def test_what_a_job_was_seen_to_import_late_is_there_for_others_that_name_it_too(place):
    late = "def f():\n    import markupsafe\n"
    assert place.run(place.script(SAYS + late + "f()\n")).stdout == "True\n"
    assert place.run(place.script(SAYS + late, "other.py")).stdout == "True markupsafe\n"


def test_files_that_a_job_reaches_by_name_are_read_too(place):
    (place.folder / "retake/named.py").write_text("import yaml\n")
    assert place.run(place.script(SAYS), "--code", '["retake/named.py"]').stdout == "True yaml\n"


def test_a_module_that_cannot_be_imported_is_the_jobs_own_matter_and_said_once(place):
    (place.folder / "extra/broken.py").write_text("raise ImportError('not on this machine\\nat all')\n")
    script = place.script(SAYS + "import broken\n")
    for _ in range(2):
        done = place.run(script)
        assert done.returncode == 1
        assert done.stdout == "True\n"
        assert done.stderr == place.run(script, served=False).stderr
    (line,) = [line for line in place.log.splitlines() if "broken" in line and "cannot" in line]
    assert line == "broken cannot be imported ahead: ImportError: not on this machine"


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "threads",
            "import threading, time\nthreading.Thread(target=time.sleep, args=(30,), daemon=True).start()",
        ),
        ("crashes", "import os, sys\nif 'retake.server' in sys.modules: os.abort()"),
    ],
)
def test_a_module_that_would_harm_the_server_is_left_to_its_jobs(place, module, source):
    (place.folder / f"extra/{module}.py").write_text(source)
    script = place.script(SAYS + f"import {module}, yaml\nprint('done')\n")
    assert place.run(script).stdout == "False\ndone\n", "Python alone takes the first one"
    assert place.run(script).stdout == "True yaml\ndone\n", "from then on the module is the job's"
    assert place.run(place.script(SAYS, "other.py")).stdout == "True yaml\n"
    assert len([line for line in place.log.splitlines() if f"{module} is left to the jobs" in line]) == 1


def test_a_server_that_has_a_second_thread_forks_no_more(place):
    """However it came by it: nothing that the server knows of starts one."""
    (place.folder / "extra/later.py").write_text(
        "import threading, time, os\n"
        "def run():\n    time.sleep(30)\n"
        "import signal\n"
        "signal.signal(signal.SIGUSR1, lambda *_: threading.Thread(target=run, daemon=True).start())\n"
        "print(os.getpid())\n"
    )
    script = place.script(SAYS + "import later\n")
    assert place.run(script).stdout == "True\n"
    (server,) = [int(line) for line in place.log.splitlines() if line.isdigit()]
    os.kill(server, 10)
    other = place.script(SAYS, "other.py")
    assert place.run(other).stdout == "False\n"
    assert place.run(other).stdout == "False\n"
    (line,) = [line for line in place.log.splitlines() if "plain Python" in line]
    assert line == "scripts/other.py runs in plain Python: the server has 2 threads; so will all that follow"


def test_cuda_ends_it_too(monkeypatch):
    from types import SimpleNamespace

    from retake.server.serving import Server

    server = Server("x", 0, 0)
    monkeypatch.setattr("retake.server.serving.os.listdir", lambda _: ["1"])
    monkeypatch.setitem(sys.modules, "torch.cuda", SimpleNamespace(is_initialized=lambda: False))
    assert server._cannot_fork() == ""
    monkeypatch.setitem(sys.modules, "torch.cuda", SimpleNamespace(is_initialized=lambda: True))
    assert server._cannot_fork() == "the server has begun to use CUDA"


def test_statements_are_read_in_the_order_of_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "retake/sub").mkdir(parents=True)
    (tmp_path / "retake/sub/__init__.py").write_text("import zeta\n")
    (tmp_path / "retake/sub/a.py").write_text(
        "import json\nfrom beta.gamma import one, two\nfrom retake import b\n"
    )
    (tmp_path / "retake/b.py").write_text(
        "import retake.sub.a\nimport alpha as al\ntry:\n    import late\nfinally: ...\n"
    )
    (tmp_path / "s.py").write_text('"""import no"""\nimport os\nfrom retake.sub import a\nimport last.one\n')
    read = imports.imports_of(["s.py"])
    assert read.top == (
        ("zeta", ()),
        ("beta.gamma", ("one", "two")),
        ("alpha", ()),
        ("last.one", ()),
    )
    assert read.inner == {"late"}
    assert imports.imports_of(["none.py"]).top == ()


def test_a_jobs_sources_are_its_script_and_what_its_words_say():
    assert imports.sources_of(["a.py", "--code", '["b.py"]', "--input"]) == ["a.py", "b.py"]
    assert imports.sources_of(["a.py", "--code"]) == ["a.py"]
    assert imports.sources_of(["a.py", "--code", "7"]) == ["a.py"]


def test_a_stand_in_and_a_module_of_ours_are_not_learnt():
    import markupsafe  # noqa: F401
    import yaml  # noqa: F401

    found = imports.installed(before={"markupsafe"})
    assert "yaml" in found
    assert "markupsafe" not in found
    assert not [name for name in found if name.split(".")[0] in ("retake", "os", "json")]


def test_the_client_spells_the_variable_as_the_rest_does():
    from retake import launch

    assert launch.SERVER == SERVER
