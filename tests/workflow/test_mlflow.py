"""The workflow's end brings its records into MLflow; what MLflow does is never the workflow's failure."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from retake.tracking.store import Store, prepare_environment
from tests.fixtures.mounts import OWN_MOUNTS, allowed


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """A store with its tables and nothing in it, to copy: making one takes seconds."""
    prepare_environment()
    folder = tmp_path_factory.mktemp("empty")
    Store(f"sqlite:///{folder}/mlflow.db")
    return folder / "mlflow.db"


@pytest.fixture
def tracked(tiny, empty_store):
    """The tiny workflow with a store of its own beside it."""
    (tiny.folder / "config.yaml").write_text("lr: 1\ncaption: a figure\n")
    (tiny.folder / "mlflow.db").write_bytes(empty_store.read_bytes())
    return tiny


@pytest.fixture(scope="module")
def brought(tmp_path_factory, empty_store):
    """The tiny workflow, built and brought into its store, once. Nothing may change it."""
    from tests.workflow.conftest import tiny_at

    project = tiny_at(tmp_path_factory.mktemp("brought") / "tiny")
    (project.folder / "config.yaml").write_text("lr: 1\ncaption: a figure\n")
    (project.folder / "mlflow.db").write_bytes(empty_store.read_bytes())
    project.snakemake()
    return project


@pytest.fixture
def again(brought, tmp_path):
    """A copy of what was built and brought."""
    return brought.copied(tmp_path / "again")


def runs_of(project):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{project.folder}/mlflow.db")
    experiment = client.get_experiment_by_name("retake").experiment_id
    every = list(client.search_runs([experiment], run_view_type=3))
    assert all(r.info.lifecycle_stage == "active" for r in every), "nothing is deleted"
    return (
        client,
        [r for r in every if "job" in r.data.tags],
        [r for r in every if "parent_of" in r.data.tags],
    )


def records(project):
    """Every record of finished jobs: its path -> what stands in it."""
    results = project.folder / "results/mini"
    files = [*(results / "records").rglob("*.jsonl"), *(results / "training").rglob("record.jsonl")]
    return {
        str(f.relative_to(project.folder)): [json.loads(line) for line in f.read_text().splitlines()]
        for f in files
    }


def sync(project, *arguments, **environment):
    return project.run(sys.executable, "-m", "retake.tracking", *arguments, check=False, **environment)


def test_a_build_is_a_run_with_a_child_per_job_that_says_what_its_record_says(brought):
    client, children, [parent] = runs_of(brought)
    written = records(brought)
    assert {c.data.tags["record"] for c in children} == set(written)
    for child in children:
        head, *points, _end = written[child.data.tags["record"]]
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.info.status == "FINISHED"
        assert child.data.tags["rule"] == head["rule"]
        assert child.data.params["words"] == head["params"]["words"]
        for point in points:
            [m] = client.get_metric_history(child.info.run_id, point["name"])
            assert (m.value, m.step, m.timestamp) == (
                point["value"],
                point["step"],
                int(point["time"] * 1000),
            )
        assert child.data.metrics["cost/s"] >= 0, "Snakemake's own measurement"
    assert parent.data.metrics["jobs"] == len(written)
    table = next(c for c in children if c.data.tags["rule"] == "tabulate")
    assert "table_1/ours/bleu4" in table.data.metrics


INSTEAD = """
import sys
from pathlib import Path
ended = lambda: len(list(Path("results").rglob("records/**/*.jsonl")))
before = ended()
said = sys.stdin.readline() if sys.argv[1] == "beside" else ""
with open("called", "a") as called:
    print(sys.argv[1:], before < ended(), repr(said), file=called)
"""


@pytest.mark.parametrize("which", ["tiny", "project"])
def test_the_store_is_filled_while_jobs_run(which, request):
    """By a process that is there while jobs are at work, and is told when all have ended."""
    project = request.getfixturevalue(which)
    config = project.folder / "config.yaml"
    config.write_text(config.read_text().replace("store: none", "store: 'sqlite:///x.db'"))
    (project.folder / "retake/tracking/__main__.py").write_text(INSTEAD)
    project.snakemake(*([] if which == "tiny" else ["results/mini/annotations/msvd.parquet"]))
    assert (project.folder / "called").read_text().splitlines() == [
        f"{['beside', '--store', 'sqlite:///x.db']} True {'all' + chr(10)!r}"
    ]


def test_a_changed_value_adds_runs_beside_the_superseded_ones(again):
    (again.folder / "config.yaml").write_text("lr: 1\ncaption: another\n")
    again.snakemake()
    _, children, parents = runs_of(again)
    old = [c for c in children if c.data.tags["superseded"] == "true"]
    assert sorted(c.data.tags["rule"] for c in old) == ["draw_figure", "render_report"]
    second = max(parents, key=lambda p: p.info.start_time)
    new = [c for c in children if c.data.tags["mlflow.parentRunId"] == second.info.run_id]
    assert sorted(c.data.tags["rule"] for c in new) == ["draw_figure", "render_report"]


def test_a_deleted_store_is_filled_again_from_the_records(again, empty_store):
    (again.folder / "mlflow.db").write_bytes(empty_store.read_bytes())
    assert sync(again, "sync").returncode == 0
    _, children, _ = runs_of(again)
    assert {c.data.tags["record"] for c in children} == set(records(again))


def test_a_failed_workflow_brings_what_ended_well(tracked):
    failed = tracked.snakemake(check=False, TINY_FAIL="predict")
    assert failed.returncode == 1
    _, children, _ = runs_of(tracked)
    assert {c.data.tags["record"] for c in children} == set(records(tracked)) != set()


def test_a_dead_server_costs_one_line_and_no_workflow(again):
    (again.folder / "config.yaml").write_text("lr: 1\ncaption: another\n")
    started = time.time()
    done = again.snakemake(MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert time.time() - started < 200, "MLflow's default is four minutes of retries"
    lines = [line for line in done.stderr.splitlines() if "MLflow" in line]
    assert len(lines) == 1
    assert "a later sync brings all" in lines[0]
    assert "Traceback" not in done.stderr
    loud = sync(again, "sync", "--store", "http://127.0.0.1:9")
    assert loud.returncode == 1
    assert loud.stderr.count("\n") == 1
    assert sync(again, "sync").stdout.startswith("sqlite:///mlflow.db: 2 written")


@pytest.mark.skipif(not allowed(OWN_MOUNTS), reason="this machine lets nobody mount a small disk")
def test_a_full_disk_under_the_store_costs_one_line_and_no_workflow(again):
    """The store lies on a disk of its own, which is full, and no longer is when all has been made."""
    (again.folder / "config.yaml").write_text(
        "lr: 1\ncaption: another\nmlflow: {store: 'sqlite:///small/mlflow.db'}\n"
    )
    (again.folder / "mlflow.db").rename(again.folder / "kept.db")
    script = """
    mkdir small
    mount -t tmpfs -o size=64m tmpfs small
    cp kept.db small/mlflow.db
    head -c 100000000 /dev/zero > small/filler
    snakemake 2> said.txt; echo workflow $?
    rm small/filler
    python -m retake.tracking sync
    cp small/mlflow.db .
    """
    done = again.run(*OWN_MOUNTS, "bash", "-c", script, check=False)
    assert done.stdout.splitlines()[0] == "workflow 0", done.stderr
    assert "2 written" in done.stdout, done.stdout + done.stderr
    said = (again.folder / "said.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in said if "MLflow" in line]
    assert len(lines) == 1, lines
    assert lines[0].endswith("mlflow.db: database or disk is full")
    assert "a later sync brings all" in lines[0]
    assert [line for line in said if "mlflow.store" in line or line.startswith("Traceback")] == []
    _, children, _ = runs_of(again)
    of_this_run = {c.data.tags["record"] for c in children if c.data.tags["superseded"] == "false"}
    assert of_this_run == set(records(again))


def test_syncs_at_once_on_a_missing_store_make_one_set_of_runs(again):
    (again.folder / "mlflow.db").unlink()
    command = [sys.executable, "-m", "retake.tracking", "sync"]
    syncs = [subprocess.Popen(command, cwd=again.folder, env=again.env()) for _ in range(3)]
    assert [s.wait(timeout=300) for s in syncs] == [0] * 3
    _, children, parents = runs_of(again)
    assert sorted(c.data.tags["record"] for c in children) == sorted(records(again))
    assert len(parents) == 1


def test_the_store_is_a_setting_of_the_config(again, empty_store):
    (again.folder / "config.yaml").write_text(
        "lr: 1\ncaption: another\nmlflow: {store: 'sqlite:///other.db'}\n"
    )
    (again.folder / "mlflow.db").unlink()
    (again.folder / "other.db").write_bytes(empty_store.read_bytes())
    again.snakemake()
    assert not (again.folder / "mlflow.db").exists()
    second = sync(again, "sync")
    assert second.stdout.startswith("sqlite:///other.db: 0 written"), second


def test_follow_brings_what_ends_until_it_is_interrupted(again, empty_store):
    (again.folder / "mlflow.db").write_bytes(empty_store.read_bytes())
    command = [sys.executable, "-m", "retake.tracking", "follow", "--every", "0.2"]
    follow = subprocess.Popen(command, cwd=again.folder, env=again.env(), stdout=subprocess.PIPE, text=True)
    assert f"{len(records(again))} written" in follow.stdout.readline()
    source = again.folder / "results/mini/records/make_release/msvd.jsonl"
    (source.parent / "other.jsonl").write_text(
        source.read_text().replace('"wildcards": {}', '"wildcards": {"seed": "7"}')
    )
    assert any("1 written" in follow.stdout.readline() for _ in range(100))
    follow.send_signal(signal.SIGTERM)
    assert follow.wait(timeout=30) == 0
    follow.stdout.close()


def test_the_ui_listens_on_this_machine_only(tracked, tmp_path):
    """`mlflow` is replaced by a program that says how it was called."""
    fake = tmp_path / "fake"
    (fake / "mlflow").mkdir(parents=True)
    (fake / "mlflow/__init__.py").write_text("")
    (fake / "mlflow/__main__.py").write_text(
        "import os, sys; print(sys.argv[1:], os.environ['MLFLOW_SERVER_ENABLE_JOB_EXECUTION'])"
    )
    paths = f"{fake}{os.pathsep}{tracked.folder}"
    code = (
        "from retake.tracking import __main__ as m; m.quietly = lambda *given, **named: None; "
        "m.main(['ui', '--port', '5055'])"
    )
    done = tracked.run(sys.executable, "-c", code, PYTHONPATH=paths)
    called = done.stdout.splitlines()[-1]
    for word in (
        "'ui'",
        f"'sqlite:///{tracked.folder}/mlflow.db'",
        "'--host', '127.0.0.1'",
        "'--port', '5055'",
        "'--workers', '1'",
    ):
        assert word in called
    assert called.endswith("false")
