"""kill -9, twenty times in one build, each followed by the same command: the bytes are an undisturbed build's.

`make test-all` kills a build of the default config, too, as often: see kill_through for when.
"""

import pytest

from tests.faults.kills import KILLS, jobs_of
from tests.workflow.conftest import timed_files

COMPARED = {
    "results/mini/tables": "**/*.*",
    "results/mini/claims": "*.csv",
    "results/mini/predictions": "**/*.parquet",
    "results/mini/training": "**/checkpoint.safetensors",
    "data/mini/weights": "**/*.*",
}


def files_of(project, top):
    folder = project.folder / top
    return {
        f"{top}/{file.relative_to(folder).as_posix()}": file.read_bytes()
        for file in sorted(folder.glob(COMPARED[top]))
        if file.is_file()
    }


def test_kills_came_while_jobs_were_running(killed, told):
    _, logs = killed
    interrupted = [log for log in logs[:-1] if len(jobs_of(log)[0]) > len(jobs_of(log)[1])]
    assert len(logs) == KILLS + 1
    assert len(interrupted) > KILLS // 2
    told("kills survived", len(logs) - 1)
    told("kills that interrupted jobs", len(interrupted))


def test_no_run_asks_for_anything_to_be_unlocked_or_removed(killed):
    _, logs = killed
    for log in logs:
        assert "unlock" not in log
        assert "LockException" not in log
        assert "Traceback" not in log


def test_no_job_that_was_reported_finished_is_run_again(killed, reference, told):
    _, logs = killed
    finished = set()
    for number, log in enumerate(logs):
        started, ended = jobs_of(log)
        assert started & finished == set(), f"run {number}"
        finished |= ended
    jobs = len(list((reference.folder / "results/mini/costs").rglob("*.jsonl")))
    assert 0.8 * jobs < len(finished) <= jobs, "a job that ended as its run was killed is reported by none"
    told("jobs reported finished and run once", len(finished))


@pytest.mark.parametrize("top", COMPARED)
def test_what_comes_out_equals_an_undisturbed_build(killed, reference, top, told):
    project, _ = killed
    one, two = files_of(project, top), files_of(reference, top)
    timed = timed_files(reference)
    assert one.keys() == two.keys() != set()
    assert [name for name in one if one[name] != two[name] and name not in timed] == []
    told(f"files of {top} equal after kills", len(one.keys() - timed))


def test_nothing_half_made_is_left(killed):
    project, _ = killed
    assert not list(project.folder.rglob(".part-*"))
    assert not [p for p in (project.folder / "results/mini/running").glob("*") if p.stat().st_size == 0]
    assert project.planned() == {}
