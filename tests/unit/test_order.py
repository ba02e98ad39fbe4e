"""Jobs that most work waits for start first."""

import json
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from retake import order

ROOT = Path(__file__).resolve().parents[2]
SNAKEFILE = """
import sys
sys.path.insert(0, {root!r})
from retake import order

onstart:
    order.start_longest_first(workflow)

rule all:
    input: "short", "third"
rule short:
    input: "large"
    output: "short"
    shell: "echo {{rule}} >> order.log; touch {{output}}"
rule first:
    output: "first"
    shell: "echo {{rule}} >> order.log; touch {{output}}"
rule second:
    input: "first"
    output: "second"
    shell: "echo {{rule}} >> order.log; touch {{output}}"
rule third:
    input: "second"
    output: "third"
    shell: "echo {{rule}} >> order.log; touch {{output}}"
"""


def chains(waiting, job):
    """Every chain of jobs that begins with `job`, one by one."""
    if not waiting[job]:
        yield [job]
    for later in waiting[job]:
        for chain in chains(waiting, later):
            yield [job, *chain]


@pytest.mark.parametrize("seed", range(20))
def test_the_work_of_the_longest_chain_is_that_of_all_chains_counted(seed):
    rng = random.Random(seed)
    jobs = list(range(12))
    waiting = {job: [later for later in jobs[job + 1 :] if rng.random() < 0.3] for job in jobs}
    work = {job: rng.choice([1.0, 2.0, 5.0, 30.0]) for job in jobs}
    found = order.work_left(waiting, work.__getitem__)
    assert found == {job: max(sum(map(work.get, chain)) for chain in chains(waiting, job)) for job in jobs}


def test_a_chain_longer_than_python_can_recurse_is_counted():
    waiting = {n: [n + 1] for n in range(5000)} | {5000: []}
    assert order.work_left(waiting, lambda _: 1.0)[0] == 5001


@pytest.mark.parametrize(
    ("rule", "steps", "entries", "seconds"),
    [
        ("train_stage", 240, [{}], 20.0),
        ("train_stage", 120, [{"stored": {"index": "rows"}}], 2.4),
        ("train_stage", None, [{}], 5.0),
        ("pretrain_weights", 0, [], 25.0),
        ("extract_rows", 0, [], 3.0),
        ("score", 0, [], 0.5),
    ],
)
def test_a_jobs_work_is_guessed_by_its_rule_its_steps_and_what_it_reads(rule, steps, entries, seconds):
    recipe = json.dumps({"length": {"steps": steps}, "data": entries})
    job = SimpleNamespace(rule=SimpleNamespace(name=rule), params=SimpleNamespace(recipe=recipe))
    assert order.work_of(job) == seconds


def started(folder: Path, *options: str) -> list[str]:
    (folder / "Snakefile").write_text(SNAKEFILE.format(root=str(ROOT)))
    (folder / "large").write_bytes(
        bytes(100_000)
    )  # Snakemake alone starts with the job of the largest inputs
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--scheduler", "greedy", *options]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return (folder / "order.log").read_text().split()


def test_a_chain_starts_before_a_job_that_nothing_waits_for(tmp_path):
    found = started(tmp_path)
    assert found.index("first") < found.index("second") < found.index("short")


def test_what_the_user_prioritises_comes_first_all_the_same(tmp_path):
    assert started(tmp_path, "--prioritize", "short")[0] == "short"
