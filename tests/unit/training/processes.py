"""Train stages in one process or in several that talk over gloo, and be told how each held its parameters.

A start costs seconds, of which the trainings of these tests take few: several are done one after another.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from retake.training import checkpoint

ROOT = Path(__file__).parents[3]
TRAIN = """
import json, os, sys
import torch
torch.set_num_threads(1)
from pathlib import Path
from accelerate.state import AcceleratorState
from retake.training.loop import StageRun
from retake.training.settings import checked_stage

def train(module, recipe, folder, stop):
    AcceleratorState._reset_state()  # its precision is the last training's

    def metric(name, value, step):
        if step == stop and name == "train/total":
            os._exit(9)

    made = StageRun(module, checked_stage(recipe), 1, metric, folder / "scratch")
    held = {n: [type(p).__name__, p.numel(), (p.to_local() if hasattr(p, "to_local") else p).numel()]
            for n, p in made.model.named_parameters()}
    made.train()
    state = made.optimiser.state_dict()["state"].values()
    kept = [[v.numel(), (v.to_local() if hasattr(v, "to_local") else v).numel()]
            for one in state for v in one.values() if hasattr(v, "numel") and v.numel() > 1]
    made.save(folder / "c.safetensors")
    told = {"held": held, "state": kept}
    (folder / f"told{os.environ.get('RANK', '0')}.json").write_text(json.dumps(told))

for module, recipe, folder, stop in json.loads(sys.argv[1]):
    train(module, recipe, Path(folder), stop)
"""
Trainings = dict[str, tuple[str, dict[str, Any]]]  # name -> (model's module, recipe)


def _free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def started(trainings: Trainings, folder, num, stop=None):
    """The processes of trainings, each in its folder below. stop: the step at which the first process dies."""
    for name in trainings:
        (folder / name).mkdir(parents=True, exist_ok=True)
    asked = [[*training, str(folder / name), stop] for name, training in trainings.items()]
    port, jobs = _free_port(), []
    for rank in range(num):
        env = {"OMP_NUM_THREADS": "1", "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        env |= {"ACCELERATE_USE_CPU": "true"}
        if num > 1:
            env |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(num)}
            env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "LOCAL_WORLD_SIZE": str(num)}
        words = [sys.executable, "-c", TRAIN, json.dumps(asked)]
        jobs.append(subprocess.Popen(words, cwd=ROOT, env=env, stderr=subprocess.PIPE))
    return jobs


def ended(jobs, trainings: Trainings, folder):
    """Name -> (tensors of the checkpoint, its header, what each process told)."""
    for job in jobs:
        _, said = job.communicate(timeout=240)
        assert job.returncode == 0, said.decode()
    return {
        name: (
            *checkpoint.read_tensors(folder / name / "c.safetensors"),
            [json.loads((folder / name / f"told{rank}.json").read_text()) for rank in range(len(jobs))],
        )
        for name in trainings
    }


def trained_both_ways(trainings: Trainings, folder):
    """Name -> (what one process made of the training, what two made of it), as `ended` has them."""
    one, two = (started(trainings, folder / str(num), num) for num in (1, 2))
    alone, shared = ended(one, trainings, folder / "1"), ended(two, trainings, folder / "2")
    return {name: (alone[name], shared[name]) for name in trainings}


def killed(trainings: Trainings, folder, num, stop):
    """Let the first process die at a step, and end the others."""
    jobs = started(trainings, folder, num, stop)
    jobs[0].communicate(timeout=240)
    assert jobs[0].returncode == 9
    for job in jobs[1:]:
        job.kill()
        job.communicate()
