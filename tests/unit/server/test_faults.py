"""Whoever is killed takes along what depends on it; who may not be forked runs in plain Python."""

import os
import signal
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from retake import guard, launch, server
from tests.unit.server.conftest import MAIN, is_gone, wait_for

SLEEPS = (
    "import subprocess, sys, time\n"
    "quiet = dict.fromkeys(('stdin', 'stdout', 'stderr'), subprocess.DEVNULL)\n"
    "own = subprocess.Popen(['sleep', '60'], **quiet)\n"
    "apart = subprocess.Popen(['sleep', '60'], start_new_session=True, **quiet)\n"
    "print(os.getpid(), own.pid, apart.pid, os.getppid(), flush=True)\ntime.sleep(60)\n"
)
SAYS = "print(SERVED)\n"


@pytest.fixture
def sleeping(place):
    """(place, client, job, its child, its child in a session of its own, its server)."""
    client = place.start(place.script(SLEEPS))
    yield place, client, *map(int, client.stdout.readline().split())
    client.kill()
    client.communicate()


def test_a_killed_client_takes_its_job_along_and_no_other(sleeping):
    place, client, job, *children, _ = sleeping
    other = place.start("scripts/step.py")
    still = int(other.stdout.readline().split()[0])
    client.send_signal(signal.SIGKILL)
    wait_for(lambda: all(map(is_gone, (job, *children))))
    assert not is_gone(still)
    assert place.run(place.script(SAYS, "other.py")).stdout == "True\n"
    other.kill()
    other.communicate()
    wait_for(lambda: is_gone(still))


def test_a_killed_job_is_a_failed_command(sleeping):
    place, client, job, *_ = sleeping
    os.killpg(job, signal.SIGKILL)
    assert client.wait(20) == -signal.SIGKILL
    assert place.run(place.script(SAYS, "other.py")).stdout == "True\n"


def test_a_killed_server_takes_its_jobs_along_in_one_line(sleeping):
    place, client, job, own, _, its_server = sleeping
    os.kill(its_server, signal.SIGKILL)
    _, said = client.communicate(timeout=20)
    assert client.returncode == 1
    assert (
        said
        == "retake: the job server was killed, and scripts/step.py with it; the next run starts another\n"
    )
    wait_for(lambda: all(map(is_gone, (job, own))))
    assert place.run(place.script(SAYS, "other.py")).stdout == "False\n", "the rest of the run does without"


def test_a_killed_main_process_takes_all_along(sleeping):
    place, client, job, *children, its_server = sleeping
    place.main.send_signal(signal.SIGKILL)
    wait_for(lambda: all(map(is_gone, (job, *children, its_server, place.server))))
    assert client.wait(20) == 1


def test_a_main_process_that_ends_well_leaves_nobody(place):
    place.run(place.script("import yaml\n" + SAYS))
    place.run(place.script("import tqdm\n" + SAYS, "other.py"))
    every = [int(p.name) for p in Path("/proc").glob("[0-9]*")]
    inside = [pid for pid in every if place.name in command_of(pid)]
    assert inside
    place.main.stdin.close()
    assert place.main.wait(20) == 0
    wait_for(lambda: all(map(is_gone, inside)))


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_a_job_watches_the_main_process_as_ever(place):
    """Through retake.guard: it is told whom to watch by name, whoever its parent is."""
    other = subprocess.Popen(["sleep", "60"])
    script = place.script(
        "from retake import guard; guard.watch_parent(); print(os.getpid(), flush=True)\nimport time; time.sleep(60)"
    )
    client = place.start(script, RETAKE_MAIN=guard.name_of(other.pid))
    job = int(client.stdout.readline())
    other.kill()
    other.wait()
    wait_for(lambda: is_gone(job))
    assert client.wait(20) == -signal.SIGKILL
    client.communicate()


def test_a_job_dies_when_the_shell_between_is_killed(place):
    script = place.script(SLEEPS)
    command = f"{sys.executable} retake/launch.py {script}; true"
    shell = subprocess.Popen(
        ["bash", "-c", command], cwd=place.folder, env=place.env(), stdout=subprocess.PIPE, text=True
    )
    job, *_ = map(int, shell.stdout.readline().split())
    shell.kill()
    shell.wait()
    wait_for(lambda: is_gone(job))
    shell.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_for_the_client_is_the_jobs(place, number):
    script = place.script(
        "import signal, sys, time\n"
        "def clean(n, _):\n    print('cleaned', n); sys.exit(9)\n"
        f"signal.signal({int(number)}, clean)\nprint('up', flush=True)\ntime.sleep(60)\n"
    )
    client = place.start(script)
    client.stdout.readline()
    client.send_signal(number)
    out, _ = client.communicate(timeout=20)
    assert (client.returncode, out) == (9, f"cleaned {int(number)}\n")


def test_an_interrupt_ends_a_job_as_it_ends_python(place):
    ends = []
    for served in (True, False):
        script = place.script("print('up', flush=True)\nimport time\ntime.sleep(60)\n")
        client = place.start(script, served=served)
        client.stdout.readline()
        client.send_signal(signal.SIGINT)
        out, err = client.communicate(timeout=20)
        ends.append((client.returncode, out, err.splitlines()[0], err.splitlines()[-1]))
    assert ends[0] == ends[1]
    assert ends[0][0] == -signal.SIGINT


def test_a_job_pauses_with_its_client(place):
    client = place.start(place.script(SLEEPS))
    job, *_ = map(int, client.stdout.readline().split())
    client.send_signal(signal.SIGTSTP)
    wait_for(lambda: state_of(job) == state_of(client.pid) == "T")
    client.send_signal(signal.SIGCONT)
    wait_for(lambda: state_of(job) == state_of(client.pid) == "S")
    client.kill()
    client.communicate()


def state_of(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize(
    ("named", "more", "why"),
    [
        ("step.py", {"OMP_NUM_THREADS": "2"}, "it has OMP_NUM_THREADS=2"),
        ("step.py", {"CUDA_VISIBLE_DEVICES": "0"}, "it has CUDA_VISIBLE_DEVICES=0"),
        ("step.py", {"PYTHONPATH": "."}, "it has PYTHONPATH=."),
        ("fetch_weights.py", {}, "it may use the network"),
        ("download_release.py", {}, "it may use the network"),
    ],
)
def test_what_a_fork_would_not_be_runs_in_plain_python(place, named, more, why):
    script = place.script(SAYS, named)
    assert place.run(script, **more).stdout == "False\n"
    assert f"{script} runs in plain Python: {why}" in place.log
    assert place.run(place.script(SAYS, "other.py")).stdout == "True\n"


def test_a_job_in_another_folder_runs_in_plain_python(place):
    script = place.script(SAYS)
    inner = place.folder / "inner"
    (inner / "scripts").mkdir(parents=True)
    (inner / script).write_text("print('the other')")
    command = [sys.executable, "../retake/launch.py", script]
    done = subprocess.run(command, cwd=inner, env=place.env(), capture_output=True, text=True)
    assert done.stdout == "the other\n"
    assert f"{script} runs in plain Python: it is for another folder" in place.log


def test_one_thread_is_what_the_server_has(place):
    assert place.run(place.script(SAYS), OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1").stdout == "True\n"


def test_another_python_is_not_forked_for(place):
    script = place.script(SAYS)
    code = f"import sys; sys.prefix = '/other'; sys.argv = ['x', {script!r}]; import runpy; " + (
        "runpy.run_path('retake/launch.py', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=place.folder, env=place.env(), capture_output=True, text=True
    )
    assert done.stdout == "False\n"
    assert "it is for the Python of /other" in place.log


@pytest.mark.parametrize("name", ["", "off", "retake-of-nobody"])
def test_without_a_server_python_runs_alone(bare, name):
    bare.name = name
    done = bare.run(bare.script(SAYS + "import sys; sys.exit(4)"))
    assert (done.returncode, done.stdout) == (4, "False\n")
    assert bare.run("scripts/none.py").returncode == 2


def test_the_hash_seed_is_that_of_all_jobs_either_way(place):
    script = place.script("print(hash('word'))")
    said = {place.run(script, served=served).stdout for served in (True, False)}
    assert said == {place.run(script, served=False, PYTHONHASHSEED="0").stdout}


def test_a_closed_file_is_no_obstacle(place):
    script = place.script("import sys; print(SERVED, sys.stdin)")
    command = f"{sys.executable} retake/launch.py {script} <&-"
    done = subprocess.run(
        ["bash", "-c", command], cwd=place.folder, env=place.env(), capture_output=True, text=True
    )
    assert done.stdout == "False None\n"


def test_a_server_of_another_user_is_not_trusted(place, monkeypatch):
    import socket

    monkeypatch.setattr(launch.os, "getuid", lambda: os.geteuid() + 1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, pytest.raises(PermissionError):
        launch._ask(connection, place.name, ["scripts/step.py"])


def test_a_client_of_another_user_is_not_served(monkeypatch):
    import socket

    from retake.server import serving

    ours, theirs = socket.socketpair()
    monkeypatch.setattr(serving.os, "getuid", lambda: os.geteuid() + 1)
    with ours, theirs, pytest.raises(PermissionError):
        serving.Server("x", 0, 0)._heard(ours)


@pytest.mark.parametrize("said", [b"", b"\0\0", struct.pack("!I", 4) + b"{}{}", struct.pack("!I", 2) + b"{}"])
def test_a_client_that_says_nothing_of_sense_is_let_go(place, said):
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(f"\0{place.name}")
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        client.settimeout(20)
        assert client.recv(1) == b""
    assert place.run(place.script(SAYS)).stdout == "True\n"


def test_two_runs_have_two_servers(place, tmp_path_factory):
    other = subprocess.Popen(
        [sys.executable, "-c", MAIN],
        cwd=tmp_path_factory.mktemp("other"),
        env=place.env(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    name, _ = other.stdout.readline().split()
    assert name != place.name
    other.kill()
    other.communicate()
    assert place.run(place.script(SAYS)).stdout == "True\n"


@pytest.mark.parametrize(("local", "value", "started"), [(True, "", 1), (False, "", 0), (True, "off", 0)])
def test_a_server_is_started_for_local_runs_that_want_one(monkeypatch, local, value, started):
    calls = []
    monkeypatch.setenv("RETAKE_SERVER", value)
    monkeypatch.setattr(server, "launch", lambda: calls.append(1))
    server.start(SimpleNamespace(local_exec=local))
    assert len(calls) == started
