"""Snakemake's linter, the formatters and the linter of Python, the profiles' keys."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

BIN = Path(sys.executable).parent
SLURMS_OWN = {"slurm-init-seconds-before-status-checks"}  # options of the executor plug-in


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


@pytest.mark.parametrize("name", ["default", "slurm"])
def test_a_profile_holds_only_what_snakemake_knows(name):
    keys = set(yaml.safe_load(Path(f"profiles/{name}/profile.yaml").read_text()))
    options = run("snakemake", "--help")
    assert {key for key in keys - SLURMS_OWN if f"--{key}" not in options} == set()


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


def test_both_profiles_decide_reruns_alike():
    default, slurm = (
        yaml.safe_load(Path(f"profiles/{n}/profile.yaml").read_text()) for n in ("default", "slurm")
    )
    alike = ("max-checksum-file-size", "rerun-triggers", "rerun-incomplete", "nolock", "scheduler")
    assert {k: default[k] for k in alike} == {k: slurm[k] for k in alike}
