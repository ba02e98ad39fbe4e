"""A sync reads what is new: what a store holds whole is known by the state of the files that told it."""

import importlib
import json
import subprocess
import sys

import pytest

from retake.tracking import sync
from retake.tracking.store import Store
from retake.tracking.synced import FOLDER
from tests.unit.test_tracking import empty_store, project, runs_of, write_record

__all__ = ["empty_store", "project"]  # fixtures
module = importlib.import_module("retake.tracking.sync")


@pytest.fixture
def read(monkeypatch):
    """Names of the records that are read from now on."""
    seen = []

    def run_of(path, *given, real=module.run_of):
        seen.append(path.stem)
        return real(path, *given)

    monkeypatch.setattr(module, "run_of", run_of)
    return seen


def test_only_new_and_changed_records_are_read(project, read):
    for name in ("a", "b", "c"):
        write_record(project, f"score/{name}")
    assert sync(project / "results").written == 3
    del read[:]
    write_record(project, "score/b", started=1_700_000_500.0, shift=1.0)
    write_record(project, "score/d")
    report = sync(project / "results")
    assert read == ["b", "d"]
    assert (report.written, report.unchanged, report.superseded) == (2, 2, 1)


@pytest.mark.parametrize("beside", ["costs", "table"])
def test_a_file_with_figures_that_comes_or_changes_later_is_read(project, read, beside):
    table = project / "results/mini/tables/m/t.csv"
    costs = project / "results/mini/costs/score/a.jsonl"
    for file in (table, costs):
        file.parent.mkdir(parents=True)
    write_record(project, outputs=["results/mini/tables/m/t.csv"])
    sync(project / "results")
    for value in ("1", "2.5"):
        del read[:]
        if beside == "costs":
            costs.write_text(json.dumps({"s": float(value)}) + "\n")
        else:
            table.write_text(f"row,ours\none,{value}\n")
        assert sync(project / "results").written == 1
        assert read == ["a"]
    _, [run], _ = runs_of(project)
    assert 2.5 in run.data.metrics.values()


def test_an_invocations_sums_are_of_all_its_jobs(project, read):
    write_record(project, "score/a")
    write_record(project, "score/b", end="failed")
    sync(project / "results")
    del read[:]
    write_record(project, "score/c")
    sync(project / "results")
    assert read == ["c"]
    _, _, [parent] = runs_of(project)
    assert parent.data.metrics["jobs"] == 3
    assert parent.data.metrics["jobs_failed"] == 1
    assert parent.data.metrics["wall_s"] == 3 * 12.5
    assert parent.info.status == "FAILED"


def test_a_store_that_was_made_anew_is_filled_anew(project):
    """In processes of their own: one that has a store open goes on to see it."""
    write_record(project)
    command = [sys.executable, "-m", "retake.tracking", "sync", "--results", str(project / "results")]
    for said in ("1 written, 0 up to date", "0 written, 1 up to date"):
        assert said in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (project / "mlflow.db").unlink()
    assert (
        "1 written, 0 up to date"
        in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    )


@pytest.mark.parametrize("said", [None, "", "{", '{"runs": 3}', "[]"])
def test_what_cannot_be_read_or_was_deleted_costs_time_alone(project, read, said):
    write_record(project)
    sync(project / "results")
    [file] = (project / FOLDER).iterdir()
    file.unlink()
    if said is not None:
        file.write_text(said)
    del read[:]
    report = sync(project / "results")
    assert (report.written, report.unchanged) == (0, 1)
    assert read == ["a"]
    del read[:]
    sync(project / "results")
    assert read == []


def test_of_a_sync_that_was_torn_nothing_is_known(project, read, monkeypatch):
    write_record(project, "score/a")
    write_record(project, "score/b")

    class Torn(Exception):
        pass

    def sum_up(*_, **__):
        raise Torn

    with monkeypatch.context() as patch:
        patch.setattr(Store, "sum_up", sum_up)
        with pytest.raises(Torn):
            sync(project / "results")
    del read[:]
    sync(project / "results")
    assert read == ["a", "b"]
    _, _, [parent] = runs_of(project)
    assert (parent.info.status, parent.data.metrics["jobs"]) == ("FINISHED", 2)


def test_a_job_under_way_is_read_each_time(project, read, monkeypatch):
    from retake import guard

    monkeypatch.setenv(guard.INVOCATION, "first")
    write_record(project, "r", end=None, folder="running")
    with guard.held(project):
        sync(project / "results")
        del read[:]
        sync(project / "results")
    assert read == ["r"]


def test_records_that_are_gone_are_forgotten(project):
    path = write_record(project)
    write_record(project, "score/b")
    sync(project / "results")
    path.unlink()
    sync(project / "results")
    [file] = (project / FOLDER).iterdir()
    assert [name.rpartition("/")[2] for name in json.loads(file.read_text())["runs"]] == ["b.jsonl"]


def test_a_name_with_a_quote_is_found_again(project):
    write_record(project, "score/it's")
    sync(project / "results")
    write_record(project, "score/it's", started=1_700_000_500.0, invocation="second")
    assert sync(project / "results").superseded == 1
