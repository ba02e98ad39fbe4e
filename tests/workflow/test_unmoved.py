"""A run that has nothing to do ends before the graph is built. What counts as moved: tests/unit/test_unmoved.py."""

import pytest


def answered_at_once(copy, *arguments, **environment):
    """Whether `snakemake` said that there is nothing to do without a graph."""
    done = copy.snakemake(*arguments, **environment)
    said = done.stdout + done.stderr
    return "Building DAG" not in said and "Nothing to be done" in said


def first(copy, pattern):
    return sorted(copy.folder.glob(pattern))[0].relative_to(copy.folder)


@pytest.fixture
def asked(copy):
    """A copy that was asked once: another folder is another inode for each file."""
    assert not answered_at_once(copy, "-n")
    assert answered_at_once(copy, "-n")
    return copy


def test_the_same_question_is_answered_at_once_and_another_is_not(asked):
    assert answered_at_once(asked)
    assert answered_at_once(asked, "--cores", "1")
    assert not answered_at_once(asked, "-n", "--config", "max_steps=3")
    assert not answered_at_once(asked, "-n", "--forceall")
    assert not answered_at_once(asked, "-n", "headline")
    assert answered_at_once(asked, "-n", "headline")
    assert not answered_at_once(asked, "-n", SNAKEMAKE_PROFILE="profiles/default")
    assert answered_at_once(asked, "-n")


def test_a_run_that_could_not_reach_mlflow_is_not_taken_for_done(asked):
    (asked.folder / first(asked, "results/mini/tables/etenet/*.csv")).unlink()
    elsewhere = ("--config", "mlflow={store: 'http://127.0.0.1:9'}")
    done = asked.snakemake(*elsewhere, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    assert "not brought into MLflow" in done.stdout + done.stderr
    assert not answered_at_once(asked, *elsewhere, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")


def test_a_run_that_made_everything_is_known_from_then_on(asked):
    (asked.folder / first(asked, "results/mini/tables/etenet/*.csv")).unlink()
    asked.snakemake()
    assert answered_at_once(asked)
