"""kill -9 of a build, again and again, each time followed by the same command."""

import contextlib
import os
import random
import re
import signal
import time

from retake import guard
from tests.workflow.conftest import Project

KILLS = 20
DEADLINE_S = 1800
JOB = re.compile(
    r"^(?:local)?rule (?P<rule>\w+):\n(?:    .*\n)*?    output: (?P<output>\S+?),?(?: .*)?\n(?:    .*\n)*?"
    r"    jobid: (?P<id>\d+)$",
    re.MULTILINE,
)
FINISHED = re.compile(r"^Finished jobid: (\d+)", re.MULTILINE)


def jobs_of(log: str) -> tuple[set[str], set[str]]:
    """(first outputs of all jobs that were started, of those that Snakemake reported as finished)."""
    started = {found["id"]: found["output"] for found in JOB.finditer(log)}
    # a rule that only collects has no output, and is no work
    return set(started.values()), {started[number] for number in FINISHED.findall(log) if number in started}


def kill_through(project: Project, jobs: int) -> list[str]:
    """What each run said: KILLS that were killed, spread over a build of so many jobs, and one left alone.

    A run is killed after at most half of its share of the jobs that are left has finished, and a moment more:
    a second at most in a build of 50 jobs, longer in longer ones.
    """
    drawn = random.Random(6)
    logs: list[str] = []
    done: set[str] = set()
    for number in range(KILLS):
        main = project.start("--cores", "2")
        share = (jobs - len(done)) // (2 * (KILLS - number + 1))
        wait_for_jobs(project, finished=drawn.randrange(max(share, 1) + 1))
        time.sleep(drawn.uniform(0, jobs / 50))
        assert main.poll() is None, f"the build ended before kill {number}: nothing was interrupted"
        kill(main, whole_tree=bool(number % 2))
        logs.append((project.folder / "started.log").read_text(encoding="utf-8"))
        done |= jobs_of(logs[-1])[1]
    return [*logs, project.snakemake("--cores", "2").stderr]


def wait_for_jobs(project: Project, finished: int) -> None:
    """Until a job has started and `finished` jobs have ended, by what Snakemake says."""
    deadline = time.time() + DEADLINE_S
    while True:
        said = (project.folder / "started.log").read_text(encoding="utf-8")
        if JOB.search(said) and len(FINISHED.findall(said)) >= finished:
            return
        assert time.time() < deadline, said[-2000:]
        time.sleep(0.05)


def kill(main, whole_tree: bool) -> None:
    """As the kernel kills when memory is out: the main process alone, or with it all that it started."""
    below = guard.descendants(main.pid)
    main.send_signal(signal.SIGKILL)
    for pid in below if whole_tree else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    main.wait()
    deadline = time.time() + 60  # a job that has just begun looks for its parent when its imports are done
    while left := [pid for pid in below if guard._started(pid) != "-"]:
        assert time.time() < deadline, f"processes {left} outlived the workflow"
        time.sleep(0.05)
