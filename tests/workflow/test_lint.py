"""Snakemake's linter, the formatters and the linter of Python, the profiles' keys."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.architecture.tree import rules

BIN = Path(sys.executable).parent
PLUGINS_OWN = {  # options of the executors' plug-ins, which are no part of this environment
    "slurm-init-seconds-before-status-checks",
    "cluster-generic-submit-cmd",
    "cluster-generic-status-cmd",
    "cluster-generic-cancel-cmd",
}
CLUSTERS = ["slurm", "kubernetes"]


def run(*command: str) -> str:
    """What a program of this environment says; fails with it when the program does."""
    done = subprocess.run([BIN / command[0], *command[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_snakemakes_linter_is_content():
    run("snakemake", "--lint")


def test_rules_are_formatted():
    run("snakefmt", "--check", "Snakefile", "rules")


def test_python_is_formatted():
    run("ruff", "format", "--check", "--no-cache", "--output-format", "concise")


def test_python_is_linted():
    run("ruff", "check", "--no-cache", "--output-format", "concise")


def test_the_linters_see_a_fault(tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text("import os\nx = eval( 'y' )\n")
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run([BIN / "ruff", *command, "--no-cache", bad], capture_output=True, check=False)
        assert done.returncode == 1


@pytest.mark.parametrize("name", ["default", *CLUSTERS])
def test_a_profile_holds_only_what_snakemake_knows(name):
    keys = set(yaml.safe_load(Path(f"profiles/{name}/profile.yaml").read_text()))
    options = run("snakemake", "--help")
    assert {key for key in keys - PLUGINS_OWN if f"--{key}" not in options} == set()


def test_the_default_profile_is_accepted_and_used(tmp_path):
    (tmp_path / "Snakefile").write_text(
        "rule make_x:\n    output: 'x'\n    resources: mem_mb=100\n    shell: 'touch {output}'\n"
    )
    profile = tmp_path / "profiles/default"
    profile.mkdir(parents=True)
    (profile / "profile.yaml").write_text(Path("profiles/default/profile.yaml").read_text())
    command = [BIN / "snakemake", "--verbose"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Using workflow specific profile profiles/default" in done.stderr
    assert 'Resource("mem_mb", 3000)' in done.stderr
    assert (tmp_path / "x").exists()


def profile_of(name: str) -> dict:
    return yaml.safe_load(Path(f"profiles/{name}/profile.yaml").read_text())


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_profiles_decide_reruns_alike(name):
    default, cluster = profile_of("default"), profile_of(name)
    alike = ("max-checksum-file-size", "rerun-triggers", "rerun-incomplete", "nolock", "scheduler")
    assert {k: default[k] for k in alike} == {k: cluster[k] for k in alike}


@pytest.mark.parametrize("name", CLUSTERS)
def test_what_a_cluster_groups_are_rules_that_ask_for_no_gpu(name):
    groups = dict(line.split("=") for line in profile_of(name)["groups"])
    by_name = {rule.name: rule for rule in rules() if rule.works}
    assert groups.keys() <= by_name.keys()
    assert {r for r in groups if "gpu" in by_name[r].directives["resources"]} == set()
    components = {line.split("=")[0] for line in profile_of(name)["group-components"]}
    assert components <= set(groups.values())


def test_both_clusters_group_alike():
    slurm, kubernetes = (profile_of(name) for name in CLUSTERS)
    assert {k: slurm[k] for k in ("groups", "group-components", "cores")} == {
        k: kubernetes[k] for k in ("groups", "group-components", "cores")
    }


@pytest.fixture(scope="module")
def at_paper_scale(tmp_path_factory):
    """(jobs of rules by name with what each asks for, number of groups) of a dry run of everything, grouped as on
    a cluster, with two GPUs a training."""
    profile = tmp_path_factory.mktemp("profile")
    kept = {k: v for k, v in profile_of("slurm").items() if k not in PLUGINS_OWN | {"executor"}}
    (profile / "profile.yaml").write_text(yaml.safe_dump(kept))
    said = run("snakemake", "--workflow-profile", str(profile), "-n", "--config", "scale=paper", "devices=2")
    asked: dict[str, list[dict[str, str]]] = {}
    for rule, resources in re.findall(r"^ *rule (\w+):\n(?:.+\n)*? +resources: (.+)", said, re.M):
        asked.setdefault(rule, []).append(dict(word.split("=", 1) for word in resources.split(", ")))
    return asked, len(re.findall(r"^\[.*\] Group job ", said, re.M))


def test_networks_ask_for_gpus_at_paper_scale_and_nothing_else_does(at_paper_scale):
    asked, _ = at_paper_scale
    gpus = {rule: {job.get("gpu", "0") for job in jobs} for rule, jobs in asked.items()}
    with_some = {rule for rule, counts in gpus.items() if counts != {"0"}}
    assert {"train_stage", "predict", "extract_bank"} <= with_some
    answering = {"predict", "caption_videos", "caption_stills", "write_pseudolabels"}
    assert with_some <= answering | {
        "train_stage",
        "extract_bank",
        "extract_rows",
        "detect_objects",
        "measure_cost",
    }
    assert all(gpus[rule] == {"2"} for rule in with_some)
    assert all("mem_mb" in job and "runtime" in job for jobs in asked.values() for job in jobs)


def test_short_jobs_of_the_paper_scale_go_together(at_paper_scale):
    """Snakemake plans it: no chain of jobs leaves a group and comes back."""
    asked, groups = at_paper_scale
    grouped = {line.split("=")[0] for line in profile_of("slurm")["groups"]}
    jobs = sum(len(of_rule) for rule, of_rule in asked.items() if rule in grouped)
    assert jobs > 100
    assert groups < jobs / 5
