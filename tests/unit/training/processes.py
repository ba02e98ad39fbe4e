"""Train a stage in one process or in several that talk over gloo, and be told how each held its parameters."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from retake.training import checkpoint

ROOT = Path(__file__).parents[3]
TRAIN = """
import json, os, sys
import torch
torch.set_num_threads(1)
from pathlib import Path
from retake.training.loop import StageRun
from retake.training.settings import checked_stage

place = json.loads(sys.argv[1])
folder = Path(place["folder"])

def metric(name, value, step):
    if step == place["stop"] and name == "train/total":
        os._exit(9)

made = StageRun(place["module"], checked_stage(place["recipe"]), 1, metric, folder / "scratch")
held = {n: [type(p).__name__, p.numel(), (p.to_local() if hasattr(p, "to_local") else p).numel()]
        for n, p in made.model.named_parameters()}
made.train()
state = made.optimiser.state_dict()["state"].values()
kept = [[v.numel(), (v.to_local() if hasattr(v, "to_local") else v).numel()]
        for one in state for v in one.values() if hasattr(v, "numel") and v.numel() > 1]
made.save(folder / "c.safetensors")
told = {"held": held, "state": kept}
(folder / f"told{os.environ.get('RANK', '0')}.json").write_text(json.dumps(told))
"""


def _free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def started(module, recipe, folder, num, stop=None):
    """The processes of one training. stop: the step at which the first one dies."""
    folder.mkdir(exist_ok=True)
    place = json.dumps({"module": module, "recipe": recipe, "folder": str(folder), "stop": stop})
    port, jobs = _free_port(), []
    for rank in range(num):
        env = {"OMP_NUM_THREADS": "1", "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        env |= {"ACCELERATE_USE_CPU": "true"}
        if num > 1:
            env |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(num)}
            env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "LOCAL_WORLD_SIZE": str(num)}
        words = [sys.executable, "-c", TRAIN, place]
        jobs.append(subprocess.Popen(words, cwd=ROOT, env=env, stderr=subprocess.PIPE))
    return jobs


def trained(module, recipe, folder, num):
    """(tensors of the checkpoint, its header, what each process told)."""
    for job in started(module, recipe, folder, num):
        _, said = job.communicate(timeout=240)
        assert job.returncode == 0, said.decode()
    told = [json.loads((folder / f"told{rank}.json").read_text()) for rank in range(num)]
    return *checkpoint.read_tensors(folder / "c.safetensors"), told


def killed(module, recipe, folder, num, stop):
    """Let the first process die at a step, and end the others."""
    jobs = started(module, recipe, folder, num, stop)
    jobs[0].communicate(timeout=240)
    assert jobs[0].returncode == 9
    for job in jobs[1:]:
        job.kill()
        job.communicate()
