"""MLflow's store in PostgreSQL: one setting, and what the records say comes back through MLflow's own client."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services import debian, postgresql
from tests.services.conftest import with_clients
from tests.workflow.conftest import tiny_at

POINTS = 1000
JOBS = 8
BEGAN = 1_700_000_000


@pytest.fixture(scope="module")
def server():
    with postgresql.server() as made:
        yield made


@pytest.fixture
def database(server, request):
    """An empty database of the test's own."""
    name = request.node.name[:60]
    server.sql(f'create database "{name}"')
    if not server.processes:
        server.start()
    return name


@pytest.fixture
def tracked(server, database, tmp_path, clients):
    """The tiny project with the one setting, and the password in its environment."""
    return tracked_at(tmp_path / "tiny", server, database)


def tracked_at(folder, server, database):
    project = with_clients(tiny_at(folder))
    project.environment.update(server.environment)
    settings = f"lr: 1\ncaption: a figure\nmlflow: {{store: '{server.store(database)}'}}\n"
    (folder / "config.yaml").write_text(settings)
    return project


def client_of(server, database, monkeypatch):
    from mlflow import MlflowClient

    from retake.tracking.store import prepare_environment

    prepare_environment()
    monkeypatch.setenv("PGPASSWORD", server.password)
    return MlflowClient(server.store(database))


def runs_of(client):
    """(runs of jobs by the record's name, runs of invocations); deleted ones would be among them."""
    experiment = client.get_experiment_by_name("retake").experiment_id
    every = list(client.search_runs([experiment], run_view_type=3, max_results=1000))
    assert all(r.info.lifecycle_stage == "active" for r in every)
    of_jobs = [r for r in every if "job" in r.data.tags]
    by_record = {r.data.tags["record"]: r for r in of_jobs}
    assert len(by_record) == len(of_jobs), "a record has two runs"
    return by_record, [r for r in every if "parent_of" in r.data.tags]


def write_records(project, end="finished"):
    """Eight jobs of an invocation, each with a thousand points and its own parameters."""
    for n in range(JOBS):
        folder = "records/score" if end == "finished" else "running"
        path = project.folder / f"results/mini/{folder}/job{n}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        head = {
            "kind": "job",
            "rule": "score",
            "wildcards": {"method": "m", "seed": str(n)},
            "params": {"lr": n / 10, "sizes": [n, 2]},
            "inputs": {},
            "digest": "d" * 64,
            "commit": "c" * 40,
            "code": "e" * 64,
            "scale": "mini",
            "invocation": "first",
            "path": f"results/mini/records/score/job{n}.jsonl",
            "outputs": [],
            "time": BEGAN + n,
        }
        points = [
            {
                "kind": "metric",
                "name": "train/loss",
                "value": value(n, step),
                "step": step,
                "time": BEGAN + step,
            }
            for step in range(POINTS)
        ]
        last = {"kind": "end", "status": end, "wall_s": 2000.0 + n, "peak_mb": 300.0}
        path.write_text("".join(json.dumps(line) + "\n" for line in (head, *points, last)))


def value(n, step):
    return (n + 1) / (step + 1)


def assert_whole(client, state="FINISHED"):
    """Every point, step, parameter and state of `write_records`, one by one."""
    runs, parents = runs_of(client)
    runs = {Path(record).stem: run for record, run in runs.items()}
    assert sorted(runs) == [f"job{n}" for n in range(JOBS)]
    for n in range(JOBS):
        run = runs[f"job{n}"]
        history = sorted(client.get_metric_history(run.info.run_id, "train/loss"), key=lambda m: m.step)
        assert [(m.step, m.value, m.timestamp) for m in history] == [
            (step, value(n, step), (BEGAN + step) * 1000) for step in range(POINTS)
        ]
        assert run.data.params == {
            "wildcard.method": "m",
            "wildcard.seed": str(n),
            "lr": json.dumps(n / 10),
            "sizes": json.dumps([n, 2]),
        }
        assert run.info.status == state
        assert (run.info.start_time, run.info.end_time) == ((BEGAN + n) * 1000, (BEGAN + 2000 + 2 * n) * 1000)
        assert run.data.tags["superseded"] == "false"
    assert [(p.info.status, p.data.metrics["jobs"]) for p in parents] == [(state, JOBS)]


def sync(project):
    return project.run(sys.executable, "-m", "retake.tracking", "sync")


def test_every_point_comes_back_and_a_second_sync_writes_nothing(tracked, server, database, monkeypatch):
    write_records(tracked)
    assert f"{JOBS} written, 0 up to date" in sync(tracked).stdout
    client = client_of(server, database, monkeypatch)
    assert_whole(client)
    before = server.sql("select count(*), sum(value) from metrics", database)
    assert f"0 written, {JOBS} up to date" in sync(tracked).stdout
    assert server.sql("select count(*), sum(value) from metrics", database) == before


def test_a_failed_job_is_shown_as_failed(tracked, server, database, monkeypatch):
    write_records(tracked, end="failed")
    sync(tracked)
    assert_whole(client_of(server, database, monkeypatch), "FAILED")


def test_eight_syncs_at_once_from_eight_machines_make_one_store(
    server, database, tmp_path, clients, monkeypatch
):
    """Eight checkouts with the same records, as after a pull: no file lock is common to them."""
    projects = [tracked_at(tmp_path / f"machine{n}", server, database) for n in range(8)]
    for project in projects:
        write_records(project)
    command = [sys.executable, "-m", "retake.tracking", "sync"]
    syncs = [
        subprocess.Popen(
            command, cwd=p.folder, env=p.env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for p in projects
    ]
    said = [s.communicate()[0] for s in syncs]
    assert [s.returncode for s in syncs] == [0] * 8, "\n".join(said)
    assert sorted(s.partition(": ")[2].split(",")[0] for s in said) == ["0 written"] * 7 + [f"{JOBS} written"]
    assert_whole(client_of(server, database, monkeypatch))


def test_a_workflow_succeeds_while_the_server_is_down_and_a_later_sync_brings_all(
    tracked, server, database, monkeypatch
):
    server.stop()
    try:
        done = tracked.snakemake()
    finally:
        server.start()
    lines = [line for line in done.stderr.splitlines() if "not brought into MLflow" in line]
    assert len(lines) == 1
    assert "Traceback" not in done.stderr
    tables = {f.name: f.read_bytes() for f in (tracked.folder / "results/mini/tables").rglob("*.csv")}
    assert tables

    said = sync(tracked).stdout
    records = list((tracked.folder / "results").rglob("record*/**/*.jsonl")) + list(
        (tracked.folder / "results").rglob("record.jsonl")
    )
    runs, [parent] = runs_of(client_of(server, database, monkeypatch))
    assert f"{len(runs)} written, 0 up to date" in said
    assert len(runs) == len(records) > 5
    assert {r.info.status for r in [*runs.values(), parent]} == {"FINISHED"}


def test_a_workflow_brings_its_jobs_and_shows_the_password_to_nobody(tracked, server, database, monkeypatch):
    open_way = server.store(database).replace("@", f":{server.password}@")
    config = tracked.folder / "config.yaml"
    config.write_text(config.read_text().replace(server.store(database), open_way))
    done = tracked.snakemake()
    said = done.stdout + done.stderr + sync(tracked).stdout
    runs, [parent] = runs_of(client_of(server, database, monkeypatch))
    assert {r.info.status for r in [*runs.values(), parent]} == {"FINISHED"}
    assert len(runs) > 5
    assert server.password not in said
    kept = (tracked.folder / "results", tracked.folder / ".snakemake")
    files = [f for folder in kept for f in folder.rglob("*") if f.is_file()]
    assert [f for f in files if server.password.encode() in f.read_bytes()] == []
    stored = "".join(server.sql(f"select * from {table}", database) for table in ("params", "tags", "runs"))
    assert server.password not in stored


def test_the_server_listens_on_the_loopback_only(server):
    assert debian.open_to_others(server.processes) == {}
