"""One workflow at a time in a folder; no job outlives its workflow."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from retake import guard

ROOT = Path(__file__).resolve().parents[2]
WATCHED = (
    "from retake import guard; guard.watch_parent(); print('up', flush=True); import time; time.sleep(60)"
)


def python(code, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={k: v for k, v in os.environ.items() if k != guard.MAIN}
        | {"PYTHONPATH": str(ROOT)}
        | environment,
        close_fds=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def main():
    process = python("print('up', flush=True); import time; time.sleep(60)")
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def ended(process, within):
    try:
        return process.wait(timeout=within)
    except subprocess.TimeoutExpired:
        process.kill()
        return None


def test_a_second_holder_is_refused_and_the_message_names_the_first(tmp_path):
    hold = f"from retake import guard; guard.hold({str(tmp_path)!r}); "
    code = hold + "print('up', flush=True); import time; time.sleep(60)"
    first = python(code)
    assert first.stdout.readline() == "up\n"
    assert guard.holder(tmp_path)["pid"] == first.pid
    with pytest.raises(guard.Busy, match=f"process {first.pid} .* already running"):
        guard.hold(tmp_path)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert guard.holder(tmp_path) is None
    with guard.held(tmp_path):
        assert guard.holder(tmp_path)["pid"] == os.getpid()


def test_a_process_that_was_started_does_not_inherit_the_folder(tmp_path):
    guard.hold(tmp_path)
    child = python("print('up', flush=True); import time; time.sleep(60)")
    child.stdout.readline()
    guard.release(tmp_path)
    assert guard.holder(tmp_path) is None
    child.kill()
    child.communicate()


def test_a_refusal_is_one_line_and_status_1(capsys):
    with pytest.raises(SystemExit) as ending:
        guard.refuse("no\n")
    assert ending.value.code == 1
    assert capsys.readouterr().err == "no\n"


def test_a_job_dies_with_its_main_process(main):
    job = python(WATCHED, RETAKE_MAIN=guard.name_of(main.pid))
    assert job.stdout.readline() == "up\n"
    assert job.poll() is None
    main.send_signal(signal.SIGKILL)
    main.wait()
    assert ended(job, 2) == -signal.SIGKILL
    job.communicate()


def test_a_job_takes_its_own_children_with_it(main):
    code = WATCHED.replace(
        "print(", "import subprocess; p = subprocess.Popen(['sleep', '60']); print(p.pid); print("
    )
    job = python(code, RETAKE_MAIN=guard.name_of(main.pid))
    child = int(job.stdout.readline())
    job.stdout.readline()
    main.send_signal(signal.SIGKILL)
    main.wait()
    ended(job, 2)
    deadline = time.time() + 2
    while guard._started(child) != "-" and time.time() < deadline:
        time.sleep(0.02)
    assert guard._started(child) == "-"
    job.stdout.close(), job.stderr.close()


def test_a_job_dies_without_the_kernels_word_too(main):
    code = "import os; del os.pidfd_open\n" + WATCHED
    job = python(code, RETAKE_MAIN=guard.name_of(main.pid))
    job.stdout.readline()
    main.send_signal(signal.SIGKILL)
    main.wait()
    assert ended(job, 2) == -signal.SIGKILL
    job.communicate()


def test_a_job_dies_when_the_shell_between_is_killed(main):
    shell = subprocess.Popen(
        ["bash", "-c", f'{sys.executable} -c "{WATCHED.replace("up", "up %d")}" & echo $!; wait'],
        env=os.environ | {"PYTHONPATH": str(ROOT), "RETAKE_MAIN": guard.name_of(main.pid)},
        stdout=subprocess.PIPE,
        text=True,
    )
    job = int(shell.stdout.readline())
    shell.stdout.readline()
    shell.kill()
    deadline = time.time() + 2
    while guard._started(job) != "-" and time.time() < deadline:
        time.sleep(0.02)
    assert guard._started(job) == "-"
    shell.communicate()


def test_a_job_whose_main_process_is_gone_does_not_start(main):
    name = guard.name_of(main.pid)
    main.kill()
    main.wait()
    job = python(WATCHED, RETAKE_MAIN=name)
    assert ended(job, 10) == -signal.SIGKILL
    assert job.communicate()[0] == ""


def test_a_later_process_of_the_same_number_is_not_taken_for_the_main_one(main):
    pid, _, machine = guard.name_of(main.pid).split(":", 2)
    job = python(WATCHED, RETAKE_MAIN=f"{pid}:1:{machine}")
    assert ended(job, 10) == -signal.SIGKILL
    job.communicate()


@pytest.mark.parametrize("name", ["", "1:1:another-host:pid:[1]"])
def test_a_job_without_a_main_process_here_runs_on(name):
    job = python(WATCHED.replace("60", "0.3"), RETAKE_MAIN=name)
    assert job.wait(timeout=20) == 0
    job.communicate()


def workflow(is_main=True):
    calls = []

    def execute(**named):
        calls.append(guard.holder(Path.cwd()))

    return SimpleNamespace(
        is_main_process=is_main,
        execute=execute,
        calls=calls,
        scheduling_settings=SimpleNamespace(max_jobs_per_timespan="100/1s"),
    )


def plugin(*, dry=False, local=True):
    return SimpleNamespace(common_settings=SimpleNamespace(dryrun_exec=dry, local_exec=local))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(guard.MAIN, "")
    monkeypatch.setenv(guard.INVOCATION, "")
    yield tmp_path
    for folder in list(guard._held):
        guard.release(folder)


def test_the_folder_is_held_while_jobs_run_and_not_in_a_dry_run(here):
    flow = workflow()
    guard.enter(flow)
    assert guard.holder(here) is None, "parsing holds nothing"
    flow.execute(executor_plugin=plugin(dry=True))
    flow.execute(executor_plugin=plugin(dry=False))
    dry, real = flow.calls
    assert dry is None
    assert real["pid"] == os.getpid()
    assert real["invocation"] == os.environ[guard.INVOCATION] != ""
    assert os.environ[guard.MAIN] == guard.name_of(os.getpid())


@pytest.mark.parametrize(("local", "limit"), [(True, None), (False, "100/1s")])
def test_jobs_a_second_are_limited_on_a_cluster_only(here, local, limit):
    flow = workflow()
    guard.enter(flow)
    flow.execute(executor_plugin=plugin(local=local))
    assert flow.scheduling_settings.max_jobs_per_timespan == limit


def test_a_jobs_own_snakemake_takes_no_lock_and_keeps_the_main_process(here, monkeypatch):
    monkeypatch.setenv(guard.MAIN, name := guard.name_of(os.getppid()))
    flow = workflow(is_main=False)
    unwrapped = flow.execute
    guard.enter(flow)
    assert flow.execute is unwrapped
    assert os.environ[guard.MAIN] == name


def test_a_jobs_own_snakemake_on_another_host_is_the_one_to_watch(here, monkeypatch):
    monkeypatch.setenv(guard.MAIN, "1:1:another-host:pid:[1]")
    guard.enter(workflow(is_main=False))
    assert os.environ[guard.MAIN] == guard.name_of(os.getpid())


def test_mlflow_can_be_left_out(monkeypatch):
    for name in ("run", "Popen"):
        monkeypatch.setattr(guard.subprocess, name, lambda *_, **__: pytest.fail("started a sync"))
    guard.sync_beside({"mlflow": {"store": "none"}})
    guard.sync({"mlflow": {"store": "none"}})


@pytest.mark.parametrize(
    ("beside", "after"),
    [
        ("assert sys.stdin.readline() == 'all\\n'", ""),  # it has brought all
        ("assert sys.stdin.readline() == 'all\\n'; sys.exit(75)", ""),  # and has said why not
        ("sys.exit(1)", "sync --ended --quiet-failure"),  # it ended before
        ("sys.stdin.readline(); sys.exit(1)", "sync --ended --quiet-failure"),
    ],
)
def test_what_is_not_brought_beside_the_jobs_is_brought_after_them(monkeypatch, tmp_path, beside, after):
    said = tmp_path / "said"
    said.touch()

    def command(config, *words):
        code = beside if words == ("beside",) else f"open({str(said)!r}, 'w').write({' '.join(words)!r})"
        return [sys.executable, "-c", f"import sys; {code}"]

    monkeypatch.setattr(guard, "_sync_command", command)
    monkeypatch.setattr(guard.unmoved, "forget", lambda: None)
    guard.sync_beside({})
    guard.sync({})
    assert said.read_text() == after
    assert not guard._beside
