"""MLflow is filled from records: what stands in one is read back through MLflow's own client."""

import json
import sys
from collections import Counter

import pytest

from retake import guard
from retake.tracking import StoreError, sync
from retake.tracking.runs import hide, run_of
from retake.tracking.store import Store, prepare_environment


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    """A store with its tables and nothing in it, to copy: making one takes seconds."""
    prepare_environment()
    folder = tmp_path_factory.mktemp("empty")
    Store(f"sqlite:///{folder}/mlflow.db")
    return folder / "mlflow.db"


@pytest.fixture
def project(tmp_path, empty_store, monkeypatch):
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def write_record(
    root,
    name="score/a",
    *,
    points=3,
    started=1_700_000_000.0,
    invocation="first",
    end="finished",
    params=None,
    folder="records",
    shift=0.0,
    rule="score",
    outputs=(),
):
    path = root / "results" / "mini" / folder / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    head = {
        "kind": "job",
        "rule": rule,
        "wildcards": {"method": "m", "seed": "1", "item": name.rpartition("/")[2]},
        "params": params
        or {"optimiser": {"lr": 0.1, "groups": [{"match": "a"}, {"match": "b"}]}, "sizes": [1, 2]},
        "inputs": {"results/mini/x.parquet": "ab", "retake/x.py": "cd"},
        "digest": "d" * 64,
        "commit": "c" * 40,
        "code": "e" * 64,
        "scale": "mini",
        "invocation": invocation,
        "path": f"results/mini/records/{name}.jsonl",
        "outputs": list(outputs),
        "time": started,
        "started": "unused",
    }
    lines = [head]
    lines += [
        {"kind": "metric", "name": "train/loss", "value": 1 / (n + 1) + shift, "step": n, "time": started + n}
        for n in range(points)
    ]
    if end:
        lines += [{"kind": "end", "status": end, "wall_s": 12.5, "cpu_s": 9.25, "peak_mb": 321.0}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def runs_of(root):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    experiment = client.get_experiment_by_name("retake").experiment_id
    every = client.search_runs([experiment], run_view_type=3)
    assert all(r.info.lifecycle_stage == "active" for r in every), "nothing is deleted"
    children = [r for r in every if "job" in r.data.tags]
    return client, children, [r for r in every if "parent_of" in r.data.tags]


def test_points_steps_parameters_and_states_come_back_as_recorded(project):
    recipe = project / "retake/methods/m/recipe.yaml"
    recipe.parent.mkdir(parents=True)
    recipe.write_text("paper: {key: someone2020title}\n")
    write_record(project, points=1500)
    costs = project / "results/mini/costs/score/a.jsonl"
    costs.parent.mkdir(parents=True)
    costs.write_text(json.dumps({"s": 13.0, "max_rss": 400.5, "h:m:s": "0:00:13"}) + "\n")
    report = sync(project / "results")
    client, [run], [parent] = runs_of(project)
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert [(m.step, m.value, m.timestamp) for m in sorted(history, key=lambda m: m.step)] == [
        (n, 1 / (n + 1), (1_700_000_000 + n) * 1000) for n in range(1500)
    ]
    assert run.data.params == {
        "wildcard.method": "m",
        "wildcard.seed": "1",
        "wildcard.item": "a",
        "optimiser.lr": "0.1",
        "optimiser.groups.0.match": "a",
        "optimiser.groups.1.match": "b",
        "sizes": "[1, 2]",
    }
    assert run.info.status == "FINISHED"
    assert (run.info.start_time, run.info.end_time) == (1_700_000_000_000, 1_700_000_012_500)
    assert run.info.run_name == "score m 1 a"
    metrics = run.data.metrics
    assert (metrics["wall_s"], metrics["cpu_s"], metrics["peak_mb"]) == (12.5, 9.25, 321.0)
    assert {name: metrics[name] for name in metrics if name.startswith("cost/")} == {"cost/s": 13.0}
    wanted = {
        "rule": "score",
        "paper": "someone2020title",
        "method": "m",
        "seed": "1",
        "scale": "mini",
        "commit": "c" * 40,
        "superseded": "false",
    }
    assert wanted.items() <= run.data.tags.items()
    assert run.data.tags["record"] == "results/mini/records/score/a.jsonl"
    assert run.data.tags["data/results/mini/x.parquet"] == "ab"
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["jobs"] == 1
    assert (report.written, report.unchanged) == (1, 0)


def test_a_second_sync_writes_nothing(project):
    write_record(project)
    write_record(project, "score/b")
    sync(project / "results")
    before = (project / "mlflow.db").read_bytes()
    report = sync(project / "results")
    assert (report.written, report.unchanged, report.superseded) == (0, 2, 0)
    assert (project / "mlflow.db").read_bytes() == before


def test_a_changed_record_adds_a_run_and_marks_the_old_one(project):
    write_record(project)
    sync(project / "results")
    write_record(project, started=1_700_000_500.0, invocation="second", shift=1.0)
    report = sync(project / "results")
    assert (report.written, report.superseded) == (1, 1)
    client, runs, parents = runs_of(project)
    state = {r.data.tags["invocation"]: r.data.tags["superseded"] for r in runs}
    assert state == {"first": "true", "second": "false"}
    assert {p.data.tags["invocation"] for p in parents} == {"first", "second"}
    old = next(r for r in runs if r.data.tags["invocation"] == "first")
    assert len(client.get_metric_history(old.info.run_id, "train/loss")) == 3
    assert sync(project / "results").written == 0


def test_an_earlier_record_that_comes_back_is_the_current_one_again(project):
    """As after `git checkout` of an older commit and `dvc checkout`."""
    path = write_record(project)
    first = path.read_bytes()
    sync(project / "results")
    write_record(project, started=1_700_000_500.0, invocation="second")
    sync(project / "results")
    path.write_bytes(first)
    assert sync(project / "results").written == 0
    _, runs, _ = runs_of(project)
    state = {r.data.tags["invocation"]: r.data.tags["superseded"] for r in runs}
    assert state == {"first": "false", "second": "true"}


def test_a_record_edited_afterwards_does_not_change_the_run_made_of_it(project):
    write_record(project)
    sync(project / "results")
    write_record(project, shift=5.0)
    sync(project / "results")
    client, runs, _ = runs_of(project)
    assert sorted(r.data.tags["superseded"] for r in runs) == ["false", "true"]
    values = {
        r.data.tags["superseded"]: [m.value for m in client.get_metric_history(r.info.run_id, "train/loss")]
        for r in runs
    }
    assert values["false"][0] == 6.0
    assert values["true"][0] == 1.0


def test_a_failed_job_and_a_killed_one_are_told_apart(project):
    write_record(project, "f", end="failed", folder="running")
    write_record(project, "k", end=None, folder="running", points=500)
    sync(project / "results")
    client, runs, [parent] = runs_of(project)
    states = {r.data.tags["record"].rpartition("/")[2]: r.info.status for r in runs}
    assert states == {"f.jsonl": "FAILED", "k.jsonl": "KILLED"}
    killed = next(r for r in runs if r.info.status == "KILLED")
    assert len(client.get_metric_history(killed.info.run_id, "train/loss")) == 500
    assert parent.info.status == "FAILED"


def test_a_killed_job_that_goes_on_later_is_followed_by_a_new_run(project):
    running = write_record(project, "k", end=None, folder="running", points=500)
    sync(project / "results")
    running.unlink()
    write_record(project, "k", points=1000, started=1_700_009_000.0, invocation="second")
    sync(project / "results")
    _, runs, _ = runs_of(project)
    assert {(r.info.status, r.data.tags["superseded"]) for r in runs} == {
        ("KILLED", "true"),
        ("FINISHED", "false"),
    }


def test_a_running_job_is_shown_as_it_goes_and_finished_once(project, monkeypatch):
    monkeypatch.setenv(guard.INVOCATION, "first")
    with guard.held(project):
        running = write_record(project, "r", end=None, folder="running", points=10)
        sync(project / "results")
        client, [run], _ = runs_of(project)
        assert run.info.status == "RUNNING"
        write_record(project, "r", end=None, folder="running", points=20)
        sync(project / "results")
        assert len(client.get_metric_history(run.info.run_id, "train/loss")) == 20
        assert sync(project / "results").written == 0
        running.unlink()
        write_record(project, "r", points=30)
        sync(project / "results", ended=True)
    _, [run], _ = runs_of(project)
    assert run.info.status == "FINISHED"
    assert len(client.get_metric_history(run.info.run_id, "train/loss")) == 30


def test_an_ended_workflow_has_no_running_job(project, monkeypatch):
    monkeypatch.setenv(guard.INVOCATION, "first")
    write_record(project, "r", end=None, folder="running")
    with guard.held(project):
        sync(project / "results", ended=True)
    _, [run], _ = runs_of(project)
    assert run.info.status == "KILLED"


def test_a_record_of_another_invocation_than_the_one_at_work_is_not_running(project, monkeypatch):
    monkeypatch.setenv(guard.INVOCATION, "later")
    write_record(project, "r", end=None, folder="running", invocation="first")
    with guard.held(project):
        sync(project / "results")
    _, [run], _ = runs_of(project)
    assert run.info.status == "KILLED"


@pytest.mark.parametrize(
    ("torn_after", "times"),
    [("create_run", 2), ("log_batch", 1), ("log_batch", 2), ("log_batch", 3), ("set_terminated", 1)],
)
def test_a_half_written_run_is_completed_by_the_next_sync(project, monkeypatch, torn_after, times):
    from mlflow import MlflowClient

    class Torn(Exception):
        pass

    write_record(project, points=2000)
    real, calls = (
        {n: getattr(MlflowClient, n) for n in ("create_run", "log_batch", "set_terminated")},
        Counter(),
    )

    def torn(name):
        def call(self, *given, **named):
            made = real[name](self, *given, **named)
            calls[name] += 1
            if (name, calls[name]) == (torn_after, times):
                raise Torn
            return made

        return call

    with monkeypatch.context() as patch:
        for name in real:
            patch.setattr(MlflowClient, name, torn(name))
        with pytest.raises(Torn):
            sync(project / "results")
    client, [half], _ = runs_of(project)
    assert ("record.sha" in half.data.tags) == (
        (torn_after, times) in {("log_batch", 3), ("set_terminated", 1)}
    )
    if torn_after != "set_terminated":
        assert half.info.status == "RUNNING", "no half run is shown as finished"
    sync(project / "results")
    _, [whole], [parent] = runs_of(project)
    assert whole.info.run_id == half.info.run_id
    assert (whole.info.status, parent.info.status) == ("FINISHED", "FINISHED")
    assert len(client.get_metric_history(whole.info.run_id, "train/loss")) == 2000
    assert "record.sha" in whole.data.tags


def test_costs_that_arrive_late_join_the_same_run(project):
    write_record(project)
    sync(project / "results")
    costs = project / "results/mini/costs/score/a.jsonl"
    costs.parent.mkdir(parents=True)
    costs.write_text(json.dumps({"s": 13.0}) + "\n")
    sync(project / "results")
    _, [run], _ = runs_of(project)
    assert run.data.metrics["cost/s"] == 13.0
    assert sync(project / "results").written == 0


def test_costs_of_training_lie_under_the_rules_name(project):
    results = project / "results/mini"
    stage = results / "training/m/v/d/seed1/first"
    stage.mkdir(parents=True)
    record = write_record(project, rule="train_stage")
    text = record.read_text().replace(
        "results/mini/records/score/a.jsonl", str(stage.relative_to(project) / "record.jsonl")
    )
    (stage / "record.jsonl").write_text(text)
    costs = results / "costs/train_stage/m/v/d/seed1/first.jsonl"
    costs.parent.mkdir(parents=True)
    costs.write_text('{"s": 7.0}\n')
    run = run_of(stage / "record.jsonl", results, None)
    assert {p.name: p.value for p in run.extras}["cost/s"] == 7.0


def test_the_figures_of_a_table_are_metrics_of_the_job_that_wrote_it(project):
    table = project / "results/mini/tables/m/table_1.csv"
    table.parent.mkdir(parents=True)
    table.write_text("system,dataset,bleu4,n\nours (step 2),msvd,0.41,3\nours,msvd,0.25,3\nquoted,msvd,,\n")
    write_record(
        project, "tabulate/m/table_1", rule="tabulate", outputs=["results/mini/tables/m/table_1.csv"]
    )
    sync(project / "results")
    _, [run], _ = runs_of(project)
    found = {k: v for k, v in run.data.metrics.items() if k.startswith("table_1/")}
    assert found == {
        "table_1/ours _step 2_ msvd/bleu4": 0.41,
        "table_1/ours _step 2_ msvd/n": 3.0,
        "table_1/ours msvd/bleu4": 0.25,
        "table_1/ours msvd/n": 3.0,
    }


def test_secrets_never_reach_the_store(project, monkeypatch):
    monkeypatch.setenv("REMOTE_SECRET_KEY", "planted-secret-1234")
    params = {
        "remote": {"api_key": "planted-secret-5678", "url": "https://me:planted-secret-9@host/x"},
        "note": "uses planted-secret-1234 inside",
        "max_tokens": 30,
        "mask_token": "[MASK]",
    }
    write_record(project, params=params)
    sync(project / "results")
    assert b"planted-secret" not in (project / "mlflow.db").read_bytes()
    _, [run], _ = runs_of(project)
    assert (run.data.params["max_tokens"], run.data.params["mask_token"]) == ("30", "[MASK]")
    assert hide("password", "x") == "(hidden)"


def test_a_long_value_and_many_parameters_fit(project):
    write_record(project, params={f"key{n}": "x" * 9000 for n in range(250)})
    sync(project / "results")
    _, [run], _ = runs_of(project)
    assert len([k for k in run.data.params if k.startswith("key")]) == 250


def test_a_file_that_is_no_record_is_named_and_the_others_are_brought(project):
    write_record(project)
    bad = project / "results/mini/records/score/bad.jsonl"
    bad.write_text('{"kind": "metric", "name": "x"}\n')
    report = sync(project / "results")
    assert report.written == 1
    assert len(report.refused) == 1
    assert "bad.jsonl" in report.refused[0]


def test_a_store_that_cannot_be_written_is_one_line(project):
    write_record(project)
    with pytest.raises(StoreError, match="MLflow store") as failure:
        sync(project / "results", "sqlite:////dev/full")
    assert "\n" not in str(failure.value)


def test_a_store_without_its_driver_is_one_line_that_says_how_to_get_it(project, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)  # as where it is not installed
    write_record(project)
    with pytest.raises(StoreError, match=r"psycopg2.*requirements-services\.lock") as failure:
        sync(project / "results", "postgresql://me:planted-secret-1@127.0.0.1:1/x")
    assert "\n" not in str(failure.value)
    assert "planted-secret" not in str(failure.value)


def test_what_a_sync_says_hides_the_stores_password(project, monkeypatch):
    write_record(project)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "planted-secret-1")
    (project / "of planted-secret-1").mkdir()
    report = sync(project / "results", f"sqlite:///{project}/of planted-secret-1/mlflow.db")
    assert "1 written" in str(report)
    assert "planted-secret" not in str(report)
