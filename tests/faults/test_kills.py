"""kill -9, twenty times in one build, each followed by the same command: the bytes are an undisturbed build's."""

import contextlib
import os
import random
import re
import signal
import time

import pytest

from retake import guard
from tests.workflow.conftest import checkout_at

KILLS = 20
LATER_S = 1.0  # at most, after a run's first job has started, or its first has finished
DEADLINE_S = 120
COMPARED = {
    "results/mini/tables": "**/*.*",
    "results/mini/claims": "*.csv",
    "results/mini/predictions": "**/*.parquet",
    "results/mini/training": "**/checkpoint.safetensors",
    "data/mini/weights": "**/*.*",
}
JOB = re.compile(
    r"^(?:local)?rule (?P<rule>\w+):\n(?:    .*\n)*?    output: (?P<output>\S+?),?(?: .*)?\n(?:    .*\n)*?"
    r"    jobid: (?P<id>\d+)$",
    re.MULTILINE,
)
FINISHED = re.compile(r"^Finished jobid: (\d+)", re.MULTILINE)


def jobs_of(log):
    """(first outputs of all jobs that were started, of those that Snakemake reported as finished)."""
    started = {found["id"]: found["output"] for found in JOB.finditer(log)}
    # a rule that only collects has no output, and is no work
    return set(started.values()), {started[number] for number in FINISHED.findall(log) if number in started}


def wait_for_jobs(log, finished):
    """Until a job has started and `finished` jobs have ended, by what Snakemake says."""
    deadline = time.time() + DEADLINE_S
    while True:
        said = log.read_text(encoding="utf-8")
        if JOB.search(said) and len(FINISHED.findall(said)) >= finished:
            return
        assert time.time() < deadline, said[-2000:]
        time.sleep(0.05)


def kill(main, whole_tree):
    """As the kernel kills when memory is out: the main process alone, or with it all that it started."""
    below = guard.descendants(main.pid)
    main.send_signal(signal.SIGKILL)
    for pid in below if whole_tree else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    main.wait()
    deadline = time.time() + 10
    while left := [pid for pid in below if guard._started(pid) != "-"]:
        assert time.time() < deadline, f"processes {left} outlived the workflow"
        time.sleep(0.05)


def files_of(project, top):
    folder = project.folder / top
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.glob(COMPARED[top]))
        if file.is_file()
    }


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """(project, log of each run) of a build that was killed KILLS times and then left alone."""
    project = checkout_at(tmp_path_factory.mktemp("killed") / "project")
    drawn = random.Random(6)
    logs = []
    for number in range(KILLS):
        main = project.start("--cores", "2")
        wait_for_jobs(project.folder / "started.log", finished=drawn.randrange(2))
        time.sleep(drawn.uniform(0, LATER_S))
        assert main.poll() is None, f"the build ended before kill {number}: nothing was interrupted"
        kill(main, whole_tree=bool(number % 2))
        logs.append((project.folder / "started.log").read_text(encoding="utf-8"))
    done = project.snakemake("--cores", "2")
    return project, [*logs, done.stderr]


def test_kills_came_while_jobs_were_running(killed):
    _, logs = killed
    interrupted = [log for log in logs[:-1] if len(jobs_of(log)[0]) > len(jobs_of(log)[1])]
    assert len(interrupted) > KILLS // 2


def test_no_run_asks_for_anything_to_be_unlocked_or_removed(killed):
    _, logs = killed
    for log in logs:
        assert "unlock" not in log
        assert "LockException" not in log
        assert "Traceback" not in log


def test_no_job_that_was_reported_finished_is_run_again(killed):
    _, logs = killed
    finished = set()
    for number, log in enumerate(logs):
        started, ended = jobs_of(log)
        assert started & finished == set(), f"run {number}"
        finished |= ended
    assert len(finished) > 40


@pytest.mark.parametrize("top", COMPARED)
def test_what_comes_out_equals_an_undisturbed_build(killed, built, top):
    project, _ = killed
    one, two = files_of(project, top), files_of(built, top)
    assert one.keys() == two.keys() != set()
    assert [name for name in one if one[name] != two[name]] == []


def test_nothing_half_made_is_left(killed):
    project, _ = killed
    assert not list(project.folder.rglob(".part-*"))
    assert not [p for p in (project.folder / "results/mini/running").glob("*") if p.stat().st_size == 0]
    assert project.planned() == {}
