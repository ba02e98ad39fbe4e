"""MLflow is filled while jobs run: what is over is brought, what is not waits, and the workflow's own run goes on."""

import json
import os
import subprocess
import sys
import time

import pytest

from retake import guard
from retake.tracking import StoreError, sync
from retake.tracking import beside as module
from retake.tracking.beside import beside
from retake.tracking.store import SHA
from tests.unit.test_tracking import empty_store, project, runs_of, write_record

__all__ = ["empty_store", "project"]  # fixtures


def write_job(root, name, *, costs=True, **given):
    """A record and, after it, what Snakemake measured."""
    record = write_record(root, name, **given)
    if costs:
        file = root / f"results/mini/costs/{name}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"s": 13.0}) + "\n")
    return record


@pytest.fixture
def live(project, monkeypatch):
    """Of the invocation `first` jobs are at work."""
    monkeypatch.setenv(guard.INVOCATION, "first")
    with guard.held(project):
        yield project


def items(root):
    _, children, _ = runs_of(root)
    whole = [child for child in children if SHA in child.data.tags]
    return sorted(child.data.params["wildcard.item"] for child in whole)


def test_so_many_are_brought_and_no_more_until_all_are(live):
    for name in "abcde":
        write_job(live, f"score/{name}")
    counts = [sync(live / "results", at_most=2).written for _ in range(4)]
    assert counts == [2, 2, 1, 0]
    assert items(live) == list("abcde")


@pytest.mark.parametrize("why", ["no costs yet", "costs of the job before", "a table to come", "at work"])
def test_what_is_not_over_waits(live, why):
    write_job(live, "score/a")
    table = "results/mini/tables/m/t.csv"
    record = write_job(
        live,
        "b" if why == "at work" else "score/b",
        costs=why != "no costs yet",
        outputs=[table] if why == "a table to come" else (),
        folder="running" if why == "at work" else "records",
    )
    if why == "costs of the job before":
        later = (live / "results/mini/costs/score/b.jsonl").stat().st_mtime + 1
        os.utime(record, (later, later))
    sync(live / "results", at_most=9)
    assert items(live) == ["a"]
    sync(live / "results", ended=True)
    assert items(live) == ["a", "b"]


def test_the_workflows_own_run_goes_on_until_the_last_sync(live):
    write_job(live, "score/a")
    sync(live / "results", at_most=9)
    _, _, [parent] = runs_of(live)
    assert parent.info.status == "RUNNING"
    assert parent.data.metrics["jobs"] == 1
    assert sync(live / "results", ended=True).written == 0, "there is nothing left to bring"
    _, _, [parent] = runs_of(live)
    assert (parent.info.status, parent.info.end_time) == ("FINISHED", 1_700_000_012_500)


@pytest.mark.parametrize("made_again", [False, True])
def test_the_run_of_a_workflow_that_was_killed_is_ended_by_a_later_sync(project, monkeypatch, made_again):
    monkeypatch.setenv(guard.INVOCATION, "first")
    with guard.held(project):
        write_job(project, "score/a")
        sync(project / "results", at_most=9)
    if made_again:
        write_job(project, "score/a", invocation="second", started=1_700_000_500.0)
    sync(project / "results")
    _, _, parents = runs_of(project)
    assert {p.data.tags["parent_of"]: p.info.status for p in parents} == (
        {"first": "KILLED", "second": "FINISHED"} if made_again else {"first": "FINISHED"}
    )


def started(root):
    command = [sys.executable, "-m", "retake.tracking", "beside", "--results", str(root / "results")]
    return subprocess.Popen(command, stdin=subprocess.PIPE)


def wait_for(condition):
    end = time.time() + 300
    while not condition():
        assert time.time() < end
        time.sleep(0.1)


def test_jobs_are_there_before_the_workflow_has_ended_and_all_when_it_has(live):
    write_job(live, "score/a")
    process = started(live)
    wait_for(lambda: items(live) == ["a"])
    write_job(live, "score/b")
    write_job(live, "score/c", costs=False)
    process.communicate(guard.SYNC_ALL, timeout=120)
    assert process.returncode == 0
    assert items(live) == ["a", "b", "c"]
    _, _, [parent] = runs_of(live)
    assert parent.info.status == "FINISHED"


def test_it_goes_when_the_workflow_is_gone(live):
    """The end of its input is all that it hears of a kill."""
    write_job(live, "score/a")
    process = started(live)
    wait_for(lambda: items(live) == ["a"])
    write_job(live, "score/b")
    process.communicate(b"", timeout=60)
    assert process.returncode == 1
    assert items(live) == ["a"], "a later sync brings it"


def test_jobs_come_first(live, monkeypatch):
    priorities = []

    def seen(*_, **named):
        priorities.append(os.getpriority(os.PRIO_PROCESS, module.threading.get_native_id()))
        return sync(live / "results", **named)

    monkeypatch.setattr(module, "sync", seen)
    write_job(live, "score/a")
    read, write = os.pipe()
    with os.fdopen(read, "rb") as said, os.fdopen(write, "wb") as saying:
        thread = module.threading.Thread(target=beside, args=(live / "results", None, said))
        thread.start()
        wait_for(lambda: priorities)
        saying.write(guard.SYNC_ALL)
        saying.close()
        thread.join(120)
    assert set(priorities) == {module.GIVES_WAY}
    assert os.getpriority(os.PRIO_PROCESS, 0) == 0


def test_a_store_out_of_reach_is_tried_once_beside_the_jobs_and_said_once(live, monkeypatch, capsys):
    tried = []

    def sync(*_, **named):
        tried.append(named)
        raise StoreError("no")

    monkeypatch.setattr(module, "sync", sync)
    monkeypatch.setattr(sys.modules["retake.tracking.sync"], "sync", sync)
    read, write = os.pipe()
    with os.fdopen(read, "rb") as said, os.fdopen(write, "wb") as saying:
        thread_ended = module.threading.Thread(
            target=lambda: (wait_for(lambda: tried), saying.write(guard.SYNC_ALL), saying.close())
        )
        thread_ended.start()
        assert not beside(live / "results", None, said)
        thread_ended.join()
    assert tried == [{"at_most": module.AT_ONCE}, {"ended": True}]
    assert capsys.readouterr().err.count("\n") == 1
