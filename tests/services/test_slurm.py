"""profiles/slurm on a real Slurm: three nodes, the smallest build, groups, GPUs."""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.services import debian, slurm
from tests.services.conftest import with_clients
from tests.workflow.conftest import checkout_at

PROFILE = "profiles/slurm"
IMPATIENT = Path(__file__).with_name("impatient.py")
HERE = (  # this cluster keeps no accounts, and its nodes share a disk
    "--slurm-status-command=squeue",
    "--slurm-no-account",
    "--latency-wait=5",
)
ASKING = """
rule all:
    input: expand("{n}.txt", n=["a", "b", "none"])

rule with_gpu:
    output: "{n}.txt"
    resources: gpu=1, mem_mb=200
    shell: "env > {output}; sleep 4"

rule without_gpu:
    output: "none.txt"
    resources: gpu=0, mem_mb=200
    shell: "env > {output}"

ruleorder: without_gpu > with_gpu
"""


@pytest.fixture(scope="module")
def cluster():
    with slurm.cluster() as made:
        yield made


@pytest.fixture(scope="module")
def on_slurm(cluster, clients):
    """A project whose snakemake sends its jobs to the cluster."""

    def prepared(project):
        project.environment.update(cluster.environment)
        limits = ("--cores=2", "--resources", f"mem_mb={cluster.mem_mb}")  # of one job: a node's
        project.arguments = ("--workflow-profile", PROFILE, *limits, *HERE)
        return with_clients(project)

    return prepared


def by_slurm(project, *targets, check=True):
    return project.run(sys.executable, str(IMPATIENT), *project.arguments, *targets, check=check)


@pytest.fixture(scope="module")
def local(smallest_build):
    return smallest_build


@pytest.fixture(scope="module")
def built(cluster, on_slurm, tmp_path_factory):
    """The smallest build by the cluster, and the Slurm jobs that it took."""
    project = on_slurm(checkout_at(tmp_path_factory.mktemp("slurm") / "project"))
    before = {job["JobId"] for job in cluster.jobs()}
    by_slurm(project, "all")
    return project, [job for job in cluster.jobs() if job["JobId"] not in before]


def files_below(folder: Path, *suffixes: str) -> dict[str, bytes]:
    found = {f for f in folder.rglob("*") if f.suffix in suffixes}
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(found)}


def environment_in(file: Path) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in file.read_text().splitlines())


def rules_that_ran(project) -> Counter:
    return Counter(f.relative_to(project.folder / "results/mini/costs").parts[0] for f in costs_of(project))


def costs_of(project) -> list[Path]:
    return list((project.folder / "results/mini/costs").rglob("*.jsonl"))


def test_the_tables_are_those_of_a_local_build(local, built):
    project, _ = built
    for kept in ("tables", "claims", "figures"):
        ours, theirs = (
            files_below(p.folder / "results/mini" / kept, ".csv", ".md") for p in (project, local)
        )
        assert ours == theirs != {}, kept
    assert rules_that_ran(project) == rules_that_ran(local)


def test_every_job_ended_well_and_each_node_had_some(built):
    _, jobs = built
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    assert {job["NodeList"] for job in jobs} == set(slurm.NODES)


def test_short_jobs_went_together(built):
    """A Slurm job for each job of a rule without a group, and few more."""
    project, jobs = built
    profile = yaml.safe_load(Path(PROFILE, "profile.yaml").read_text())
    group_of = dict(line.split("=") for line in profile["groups"])
    ran = rules_that_ran(project)
    alone = sum(count for rule, count in ran.items() if rule not in group_of)
    grouped = {group_of[rule] for rule in ran if rule in group_of}
    assert alone + len(grouped) <= len(jobs) <= alone + 2 * len(grouped)
    assert len(jobs) < sum(ran.values()) * 0.6


def test_nothing_is_left_to_do(built):
    project, _ = built
    assert project.planned() == {}


def test_a_gpu_is_had_by_the_job_that_asks_for_one(cluster, on_slurm, project_of):
    project = on_slurm(project_of(ASKING))
    before = {job["JobId"] for job in cluster.jobs()}
    by_slurm(project, "all")
    jobs = [job for job in cluster.jobs() if job["JobId"] not in before]
    assert sorted(job.get("TresPerJob", "") for job in jobs) == ["", "gres:gpu:1", "gres:gpu:1"]
    of_a, of_b, of_none = (environment_in(project.folder / f"{n}.txt") for n in ("a", "b", "none"))
    assert of_a["CUDA_VISIBLE_DEVICES"] == of_b["CUDA_VISIBLE_DEVICES"] == "0"
    assert of_a["SLURMD_NODENAME"] != of_b["SLURMD_NODENAME"], "a node has one GPU"
    assert of_none.get("CUDA_VISIBLE_DEVICES", "") in ("", "NoDevFiles")


def test_a_failed_job_fails_the_workflow_and_shows_its_log(on_slurm, project_of):
    project = on_slurm(
        project_of(
            "rule break_it:\n    output: 'x'\n    log: 'x.log'\n    resources: mem_mb=200\n"
            "    shell: 'echo the reason > {log}; false'\n"
        )
    )
    done = by_slurm(project, "x", check=False)
    assert done.returncode == 1
    assert "the reason" in done.stdout + done.stderr
    assert not (project.folder / "x").exists()


@pytest.fixture
def project_of(tmp_path):
    """A project of one Snakefile, with this project's profiles."""

    def made(snakefile: str):
        project = checkout_at(tmp_path / "project")
        (project.folder / "Snakefile").write_text(snakefile)
        return project

    return made


def test_no_daemon_listens_beyond_the_loopback(cluster):
    assert debian.open_to_others(cluster.processes) == {}
    assert debian.open_to_others({"this": os.getpid()}) == {}


def test_a_daemon_that_does_is_seen():
    import socket

    with socket.create_server(("0.0.0.0", 0)):
        assert debian.open_to_others({"this": os.getpid()}) == {"this": {"0.0.0.0"}}
    with socket.create_server(("127.0.0.1", 0)):
        assert debian.open_to_others({"this": os.getpid()}) == {}
