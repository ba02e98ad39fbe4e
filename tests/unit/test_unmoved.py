"""Which commands ask the same, and which files the answer depends on. Whole runs: tests/workflow/test_unmoved.py."""

import os
import sys
from types import SimpleNamespace

import pytest

from retake import settle, unmoved


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("", []),
        ("-n", []),
        ("--cores all --nocolor", []),
        ("--cores=2 --dry-run", []),
        ("-c1 a/b.csv", ["a/b.csv"]),
        ("-c 1 a/b.csv", ["a/b.csv"]),
        ("-j4 --config scale=paper", ["--config", "scale=paper"]),
        ("b a", ["b", "a"]),
        ("-n --quiet rules", ["--quiet", "rules"]),
        ("--configfile=x.yaml -k", ["--configfile=x.yaml", "-k"]),
        ("--forceall", None),
        ("--report r.html", None),
        ("--until train_stage -n", None),
        ("-nR train_stage", None),
        ("--executor slurm", None),
    ],
)
def test_cores_and_dry_runs_are_left_out_and_what_is_not_known_goes_the_long_way(words, kept):
    assert unmoved.question(words.split()) == kept


def test_every_file_of_the_workflow_is_looked_at_but_what_python_compiled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "retake/deep/__pycache__").mkdir(parents=True)
    (tmp_path / "rules").mkdir()
    for name in (
        "Snakefile",
        "config.yaml",
        "rules/a.smk",
        "retake/deep/a.csv",
        "retake/deep/__pycache__/a.pyc",
    ):
        (tmp_path / name).write_text(name)
    found = unmoved.sources(tmp_path, ["config.yaml"])
    assert {path for path, state in found.items() if state} == {
        "Snakefile", "config.yaml", "rules/a.smk", "retake/deep/a.csv",
    }  # fmt: skip
    assert found["Snakefile"] == settle.state_of(tmp_path, "Snakefile")
    assert found["envs"] is None  # not there: when it comes, something has moved


def test_a_folder_has_a_state_that_changes_with_what_is_in_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    before = unmoved.state_of("a")
    (tmp_path / "a/b").write_text("")
    assert before
    assert unmoved.state_of("a") != before
    assert unmoved.state_of("none") is None


FILES = ("Snakefile", "config.yaml", "rules/a.smk", "retake/m/recipe.yaml", "data/mini/clips/a.avi", "results/in",
         "results/out", ".snakemake/metadata/cmVzdWx0cy9vdXQ=")  # fmt: skip


@pytest.fixture
def workflow(tmp_path, monkeypatch):
    """A workflow of one job whose files are there, as much of it as is looked at."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["snakemake", "--cores", "1"])
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    job = SimpleNamespace(input=["results/in"], output=["results/out"], benchmark="results/cost")
    dag = SimpleNamespace(jobs=[job], needrun_jobs=lambda exclude_finished: [])
    yield SimpleNamespace(is_main_process=True, basedir=tmp_path, configfiles=["config.yaml"], dag=dag)
    unmoved.forget()


def at_once(workflow, config=None):
    """Whether `ask` ends the process."""
    try:
        unmoved.ask(workflow, config or {"scale": "mini"})
    except SystemExit as ended:
        return not ended.code
    return False


def kept(workflow, **found):
    assert not at_once(workflow)
    unmoved.keep(workflow, settle.Settled(**found), ran=True)
    return at_once(workflow)


def rewritten(path):
    """The same bytes, written again, under the old time."""
    at = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(at, at))


def test_what_was_done_is_known_and_for_this_question_alone(workflow, monkeypatch, capsys):
    assert kept(workflow)
    assert capsys.readouterr().err == "Nothing to be done (all requested files are present and up to date).\n"
    assert not at_once(workflow, {"scale": "mini", "max_steps": 1})
    monkeypatch.setattr(sys, "argv", ["snakemake", "results/out"])
    assert not at_once(workflow)
    monkeypatch.setattr(sys, "argv", ["snakemake", "--forceall"])
    unmoved.forget()
    assert not kept(workflow)
    monkeypatch.setattr(sys, "argv", ["snakemake", "-n"])
    assert at_once(workflow)
    monkeypatch.setenv("SNAKEMAKE_PROFILE", "elsewhere")
    assert not at_once(workflow)


@pytest.mark.parametrize("path", FILES)
def test_no_file_that_is_written_anew_is_overlooked(workflow, tmp_path, path):
    assert kept(workflow)
    rewritten(tmp_path / path)
    assert not at_once(workflow)


@pytest.mark.parametrize("path", FILES)
def test_no_file_that_is_gone_is_overlooked(workflow, tmp_path, path):
    assert kept(workflow)
    (tmp_path / path).unlink()
    assert not at_once(workflow)


@pytest.mark.parametrize(
    "path", ["rules/b.smk", "retake/n/recipe.yaml", "data/mini/clips/b.avi", "results/cost", "mlflow.db"]
)
def test_no_file_that_comes_is_overlooked(workflow, tmp_path, path):
    assert kept(workflow)
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text("")
    assert not at_once(workflow)


def test_a_run_that_leaves_something_to_be_done_is_not_kept(workflow, tmp_path):
    assert not kept(workflow, changed=["results/in"])
    workflow.dag.needrun_jobs = lambda exclude_finished: ["a job that failed"]
    assert not kept(workflow)
    workflow.dag.needrun_jobs = lambda exclude_finished: [] if exclude_finished else ["a job of a dry run"]
    unmoved.keep(workflow, settle.Settled(), ran=False)
    assert not at_once(workflow)
    unmoved.keep(workflow, None, ran=True)  # another run held the folder
    assert not at_once(workflow)
    unmoved.forget()  # the sync with MLflow failed
    unmoved.keep(workflow, settle.Settled(), ran=True)
    assert not at_once(workflow)
    rewritten(tmp_path / "rules/a.smk")  # while the run is under way
    unmoved.keep(workflow, settle.Settled(), ran=True)
    assert not at_once(workflow)
    unmoved.keep(workflow, settle.Settled(), ran=True)
    assert at_once(workflow)


def test_videos_of_ones_own_are_looked_for_each_time(workflow):
    for named in ({"own": {"videos": "a"}}, {"folders": {"msvd": "a"}}):
        for _ in range(2):
            assert not at_once(workflow, {"scale": "mini", **named})
            unmoved.keep(workflow, settle.Settled(), ran=True)
