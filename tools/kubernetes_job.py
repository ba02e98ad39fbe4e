#!/usr/bin/env python
"""A workflow's job as a Kubernetes Job, through kubectl: what profiles/kubernetes calls.

    kubernetes_job.py submit --image I --claim C --cpu 2 --mem-mb 4000 --gpu 0 JOBSCRIPT   prints its name
    kubernetes_job.py status NAME                                                          running, success or failed
    kubernetes_job.py NAME ...                                                             deletes them

The pod mounts the claim's volume where the workflow's folder has it, so that every path means the same in both.
Kubernetes runs it once: what is tried again, and with what, is Snakemake's matter. Standard library only.
"""

import argparse
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

PASSED_ON = ("RETAKE_INVOCATION", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "DO_NOT_TRACK")
KEPT_S = 86_400  # a job that has ended stays to be asked about so long


def manifest(given: argparse.Namespace, name: str, folder: Path) -> dict[str, Any]:
    """The Job that runs `given.script` in `folder`, as the Kubernetes API takes it."""
    amounts = {"cpu": str(given.cpu), "memory": f"{given.mem_mb}M"}
    limits = {"memory": amounts["memory"]}
    if given.gpu:
        limits[given.gpu_name] = str(given.gpu)  # of a device, the limit is the request
    container = {
        "name": "job",
        "image": given.image,
        "command": ["sh", str(given.script)],
        "workingDir": str(folder),
        "env": [{"name": k, "value": os.environ[k]} for k in PASSED_ON if k in os.environ],
        "resources": {"requests": amounts, "limits": limits},
        "volumeMounts": [
            {"name": "shared", "mountPath": str(given.mount)},
            {"name": "memory", "mountPath": "/dev/shm"},
        ],
    }
    volumes = [
        {"name": "shared", "persistentVolumeClaim": {"claimName": given.claim}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},  # a loader's processes share batches there
    ]
    pod = {"restartPolicy": "Never", "containers": [container], "volumes": volumes}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {"app": "retake"}},
        "spec": {"backoffLimit": 0, "ttlSecondsAfterFinished": KEPT_S, "template": {"spec": pod}},
    }


def state(job: dict[str, Any]) -> str:
    """Snakemake's word for a Job's state, from what the API says of it."""
    conditions = job.get("status", {}).get("conditions") or []
    true = {c["type"] for c in conditions if c["status"] == "True"}
    return "success" if "Complete" in true else "failed" if "Failed" in true else "running"


def kubectl(*words: str, given: str | None = None) -> str:
    """What kubectl prints; ends this program with its message where it fails."""
    done = subprocess.run(["kubectl", *words], input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"kubectl {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def submit(words: list[str]) -> str:
    """Creates the Job; its name."""
    parser = argparse.ArgumentParser(prog="kubernetes_job.py submit")
    for option in ("--image", "--claim"):
        parser.add_argument(option, required=True)
    for option in ("--cpu", "--mem-mb", "--gpu"):
        parser.add_argument(option, type=int, required=True)
    parser.add_argument("--gpu-name", default="nvidia.com/gpu", help="a cluster's word for a GPU")
    parser.add_argument("--mount", type=Path, default=Path.cwd(), help="where the volume is mounted")
    parser.add_argument("script", type=Path)
    given = parser.parse_args(words)
    name = f"retake-{uuid.uuid4().hex[:16]}"
    kubectl("create", "-f", "-", given=json.dumps(manifest(given, name, Path.cwd())))
    return name


def main() -> None:
    command, *rest = sys.argv[1:] or sys.exit(__doc__)
    if command == "submit":
        print(submit(rest))
    elif command == "status":
        print(state(json.loads(kubectl("get", "job", *rest, "-o", "json"))))
    else:
        kubectl("delete", "job", "--ignore-not-found", "--wait=false", command, *rest)


if __name__ == "__main__":
    main()
