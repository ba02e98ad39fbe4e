"""kill -9 of the workflow: its jobs die, the same command goes on; a second run in the folder is refused."""

import os
import signal
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from retake import guard
from retake.guard import SERVER
from tests.workflow.conftest import tiny_at


def wait_for(condition, seconds=30):
    deadline = time.time() + seconds
    while not condition():
        assert time.time() < deadline, "waited in vain"
        time.sleep(0.02)


@contextmanager
def asleep(project, server, seconds):
    """(project, its Snakemake, the pid of a job that sleeps for so long)."""
    nap = {"TINY_NAP": "train_stage", "TINY_NAP_S": str(seconds), "TINY_PIDS": str(project.folder)}
    main = project.start(own_group=True, **nap, **{SERVER: server})
    pid = project.folder / "train_stage.pid"
    wait_for(lambda: pid.exists() and pid.read_text())
    forked = os.getsid(int(pid.read_text())) == int(pid.read_text())
    assert forked == (server != "off")
    yield project, main, int(pid.read_text())
    main.kill()
    main.wait()


WITH_AND_WITHOUT = {"params": ["", "off"], "ids": ["server", "alone"]}  # the job server


@pytest.fixture(**WITH_AND_WITHOUT)
def sleeping(tiny, request):
    with asleep(tiny, request.param, 60) as started:
        yield started


@pytest.fixture(scope="module", **WITH_AND_WITHOUT)
def undisturbed(tmp_path_factory, request):
    """One that sleeps on while it is looked at. Nothing may change it."""
    with asleep(tiny_at(tmp_path_factory.mktemp("asleep") / "tiny"), request.param, 900) as started:
        yield started


def test_a_second_run_in_the_folder_is_refused_with_one_line(undisturbed):
    project, main, _ = undisturbed
    second = project.snakemake(check=False)
    assert second.returncode == 1
    said = [line for line in second.stderr.splitlines() if "retake" in line]
    assert len(said) == 1
    assert f"process {main.pid}" in said[0]
    assert "Traceback" not in second.stderr
    assert main.poll() is None


@pytest.mark.parametrize(
    "command", [["-n"], ["--summary"], ["--dag"], ["--list-rules"], ["--report", "r.zip"]], ids=lambda c: c[0]
)
def test_what_runs_no_job_is_not_refused(undisturbed, command):
    project, main, _ = undisturbed
    assert project.snakemake(*command).returncode == 0
    assert main.poll() is None


def test_a_killed_workflow_takes_its_jobs_along_and_the_same_command_goes_on(sleeping):
    project, main, job = sleeping
    finished = {
        f: f.stat().st_mtime_ns for f in (project.folder / "results/mini/features").rglob("*.parquet")
    }
    assert finished
    main.send_signal(signal.SIGKILL)
    main.wait()
    wait_for(lambda: guard._started(job) == "-", seconds=2)
    again = project.snakemake()
    assert "unlock" not in again.stderr
    assert "index_bank" not in again.stderr, "what was finished is not made again"
    assert (project.folder / "results/mini/report/index.html").exists()
    assert {f: f.stat().st_mtime_ns for f in finished} == finished
    assert project.planned() == {}


def test_a_paused_workflow_keeps_its_jobs(undisturbed):
    _, main, job = undisturbed
    os.kill(main.pid, signal.SIGSTOP)
    time.sleep(0.7)
    assert guard._started(job) != "-", "a stopped main process is not a dead one"
    os.kill(main.pid, signal.SIGCONT)


def test_ctrl_c_ends_the_workflow_and_its_job(sleeping):
    """It reaches the whole process group of the terminal at once, a job that is just being started included."""
    _, main, job = sleeping
    everyone = guard.descendants(main.pid)
    os.killpg(main.pid, signal.SIGINT)
    assert main.wait(40) != 0, "a job sleeps for 60 s"
    wait_for(lambda: all(guard._started(pid) == "-" for pid in (job, *everyone)))


def test_a_killed_server_fails_its_job_in_one_line_and_the_same_command_goes_on(tiny):
    main = tiny.start(TINY_NAP="train_stage", TINY_PIDS=str(tiny.folder))
    pid = tiny.folder / "train_stage.pid"
    wait_for(lambda: pid.exists() and pid.read_text())
    job = int(pid.read_text())
    server = int(Path(f"/proc/{job}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(server, signal.SIGKILL)
    assert main.wait(180) == 1  # a job that came too late for the server sleeps by itself
    said = (tiny.folder / "started.log").read_text()
    assert (
        "retake: the job server was killed, and scripts/step.py with it; the next run starts another" in said
    )
    tiny.snakemake()
    assert tiny.planned() == {}
