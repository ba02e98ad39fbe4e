"""Many jobs and many syncs at once: MLflow holds, point by point, what the records say."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT

JOBS, POINTS, SYNCS = 8, 1000, 8
KILLED = 500  # the point after which one job is killed; it goes on as another attempt
WRITE = """
import os, sys, time
from pathlib import Path
from retake.schema.record import RecordWriter

running, final, name, first, last, started, status = sys.argv[1:8]
writer = RecordWriter(Path(running).open("w", encoding="utf-8"))
writer.line(kind="job", rule="train_stage", wildcards={"method": "m", "seed": name}, params={"lr": 0.5, "seed": name},
            inputs={}, digest="d" * 64, commit="c" * 40, code="e" * 64, scale="mini", invocation=started,
            path=final, outputs=[], time=float(started), started="unused")
for step in range(int(first), int(last)):
    writer.metric("train/total", 1 / (step + 1 + int(name)), step)
    writer.metric("train/lr0", 0.5 / (step + 1), step)
if status == "hang":
    Path(running + ".ready").touch()
    time.sleep(600)
writer.end(status, cpu_s=1.0, peak_mb=12.0)
writer.file.close()
Path(final).parent.mkdir(parents=True, exist_ok=True)
os.replace(running, final)
"""


def started(root, name, *, first=0, last=POINTS, begun="1700000000", status="finished"):
    """A process that writes one job's record as jobs do: under running/ first, at its place when it ends."""
    running = root / f"results/mini/running/{name}-{begun}.jsonl"
    running.parent.mkdir(parents=True, exist_ok=True)
    final = f"results/mini/records/train_stage/m/{name}.jsonl"
    words = [str(running), final, name, str(first), str(last), begun, status]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", WRITE, *words], cwd=root, env=environment), running


def sync_once(root):
    command = [sys.executable, "-m", "retake.tracking", "sync", "--ended"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment.pop("MLFLOW_TRACKING_URI", None)
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """(folder, what each sync said) after JOBS jobs, one of them killed and gone on, one retried, and the syncs."""
    root = tmp_path_factory.mktemp("tracked")
    jobs = [started(root, str(n))[0] for n in range(JOBS - 2)]
    lost, running = started(root, "6", last=KILLED, status="hang")
    failed, _ = started(root, "7", last=10, status="failed")
    deadline = time.time() + 120
    while not running.with_name(f"{running.name}.ready").exists():
        assert time.time() < deadline
        time.sleep(0.05)
    lost.send_signal(signal.SIGKILL)
    assert [job.wait() for job in [*jobs, failed]] == [0] * (JOBS - 1)
    lost.wait()
    running.with_name(f"{running.name}.ready").unlink()
    first = (root / "results/mini/records/train_stage/m/7.jsonl").read_text()
    assert sync_once(root)[0] == 0
    (root / "mlflow.db").unlink()  # the store is missing when the many come
    (root / "results/mini/running/7-first.jsonl").write_text(
        first
    )  # the failed attempt's record, kept beside
    again = [started(root, "6", begun="1700000600")[0], started(root, "7", begun="1700000600")[0]]
    assert [job.wait() for job in again] == [0, 0]
    with multiprocessing.get_context("spawn").Pool(SYNCS) as pool:
        said = pool.map(sync_once, [root] * SYNCS)
    return root, said


def runs_in(root):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    experiment = client.get_experiment_by_name("retake").experiment_id
    runs = client.search_runs([experiment], run_view_type=3, max_results=1000)
    return client, [run for run in runs if "job" in run.data.tags]


def records_in(root):
    """(path of the record, its lines) of every attempt."""
    files = sorted((root / "results/mini").rglob("*.jsonl"))
    return [(file, [json.loads(line) for line in file.read_text().splitlines()]) for file in files]


def test_every_sync_ends_well_and_only_one_of_them_has_something_to_write(tracked):
    _, said = tracked
    assert [status for status, _ in said] == [0] * SYNCS, said
    written = sorted(int(text.split(" written")[0].split()[-1]) for _, text in said)
    assert written == [0] * (SYNCS - 1) + [JOBS + 2]


def test_there_is_one_run_an_attempt_and_none_is_half(tracked):
    root, _ = tracked
    _, runs = runs_in(root)
    states = sorted((run.data.params["wildcard.seed"], run.info.status) for run in runs)
    wanted = [(str(n), "FINISHED") for n in range(JOBS)] + [("6", "KILLED"), ("7", "FAILED")]
    assert states == sorted(wanted)
    current = [run for run in runs if run.data.tags["superseded"] == "false"]
    assert sorted(run.data.params["wildcard.seed"] for run in current) == [str(n) for n in range(JOBS)]
    assert {run.info.status for run in current} == {"FINISHED"}


@pytest.mark.parametrize("name", ["train/total", "train/lr0"])
def test_points_are_those_of_the_records_one_by_one(tracked, name):
    root, _ = tracked
    client, runs = runs_in(root)
    found = {}
    for run in runs:
        history = client.get_metric_history(run.info.run_id, name)
        points = sorted((m.step, m.value, m.timestamp) for m in history)
        found[run.data.params["wildcard.seed"], run.info.start_time] = points
    wanted = {}
    for _, lines in records_in(root):
        points = [(m["step"], m["value"], int(m["time"] * 1000)) for m in lines if m.get("name") == name]
        wanted[lines[0]["wildcards"]["seed"], int(lines[0]["time"] * 1000)] = sorted(points)
    assert found == wanted
    lengths = sorted(len(points) for points in found.values())
    assert lengths == [10, KILLED] + [POINTS] * JOBS
