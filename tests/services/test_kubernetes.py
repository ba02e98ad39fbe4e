"""profiles/kubernetes with a stand-in for kubectl that runs each Job's command here: no cluster was asked."""

import json
import os
import runpy
import shutil
import sys
from pathlib import Path

import pytest

from tests.services.conftest import with_clients
from tests.workflow.conftest import tiny_at

PROFILE = "profiles/kubernetes"
STAND_IN = Path(__file__).with_name("kubectl")
STATE = runpy.run_path("tools/kubernetes_job.py")["state"]
OFTEN = ("--seconds-between-status-checks=1", "--max-status-checks-per-second=20", "--latency-wait=5")

TARGETS = ("results/mini/annotations/msvd.parquet", "results/mini/media/v/msvd/index.parquet")


@pytest.fixture
def project(clients, tmp_path):
    """The tiny workflow and what its profile calls, kubectl being the stand-in."""
    project = with_clients(tiny_at(tmp_path / "tiny"))
    shutil.copytree(PROFILE, project.folder / PROFILE)
    (project.folder / "tools").mkdir()
    shutil.copy("tools/kubernetes_job.py", project.folder / "tools")
    (tmp_path / "bin").mkdir()
    shutil.copy(STAND_IN, tmp_path / "bin/kubectl")
    (tmp_path / "pods").mkdir()
    path = os.pathsep.join([str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    project.environment |= {"PODS": str(tmp_path / "pods"), "PATH": path, "HF_HUB_OFFLINE": "1"}
    project.arguments = ("--workflow-profile", PROFILE, *OFTEN)
    return project


def pods_of(project):
    return [json.loads(f.read_text()) for f in sorted((project.folder.parent / "pods").glob("*.json"))]


def test_a_workflow_is_done_by_jobs_on_the_shared_volume(project, tmp_path):
    project.snakemake(*TARGETS)
    assert project.planned(*TARGETS) == {}
    pods = pods_of(project)
    here = tiny_at(tmp_path / "here")
    here.snakemake(*TARGETS)
    for made in TARGETS:
        assert (project.folder / made).read_bytes() == (here.folder / made).read_bytes()
    assert len(pods) == len(TARGETS) + 1  # the release that both come from
    for pod in pods:
        assert (pod["kind"], pod["spec"]["backoffLimit"]) == ("Job", 0)
        spec = pod["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        assert container["image"] == "IMAGE"
        assert container["workingDir"] == str(project.folder)
        assert spec["volumes"][0]["persistentVolumeClaim"] == {"claimName": "CLAIM"}
        assert container["volumeMounts"][0]["mountPath"] == str(project.folder)
        assert {"name": "HF_HUB_OFFLINE", "value": "1"} in container["env"]
    # a job's record names the invocation that asked for it, on whichever machine it ran
    records = list((project.folder / "results/mini/records").rglob("*.jsonl"))
    named = {json.loads(r.read_text().splitlines()[0])["invocation"] for r in records}
    assert len(named) == 1
    assert None not in named


def test_a_rules_resources_are_the_jobs(project):
    (project.folder / "Snakefile").write_text(
        "rule with_gpu:\n    output: 'x'\n    threads: 8\n    resources: gpu=2, mem_mb=32000\n"
        "    shell: 'touch {output}'\n"
    )
    project.snakemake("x")
    (pod,) = pods_of(project)
    assert pod["spec"]["template"]["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "8", "memory": "32000M"},
        "limits": {"memory": "32000M", "nvidia.com/gpu": "2"},
    }


def test_a_failed_pod_fails_the_workflow(project):
    (project.folder / "Snakefile").write_text("rule break_it:\n    output: 'x'\n    shell: 'false'\n")
    assert project.snakemake("x", check=False).returncode == 1
    assert len(pods_of(project)) == 1


@pytest.mark.parametrize(
    ("conditions", "word"),
    [
        (None, "running"),
        ([{"type": "Suspended", "status": "True"}], "running"),
        ([{"type": "Failed", "status": "False"}], "running"),
        (
            [{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}],
            "success",
        ),
        ([{"type": "FailureTarget", "status": "True"}, {"type": "Failed", "status": "True"}], "failed"),
    ],
)
def test_a_jobs_state_is_told_in_snakemakes_words(conditions, word):
    assert STATE({"status": {"conditions": conditions}}) == word
