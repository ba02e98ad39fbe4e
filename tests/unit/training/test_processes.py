"""Two processes train as one does."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import torch

from retake.training import checkpoint
from tests.unit.training.small_stage import ETENET, make_world, stage

ROOT = Path(__file__).parents[3]
TRAIN = """
import json, os, sys
import torch
torch.set_num_threads(1)
from pathlib import Path
from retake.training.loop import train_stage

place = json.loads(sys.argv[1])
folder = Path(place["folder"])
train_stage(model_module=place["module"], recipe=place["recipe"], seed=1, out=folder / "c.safetensors",
            metric=lambda *_: None, scratch=folder / "scratch")
"""


def train(recipe, folder, num):
    """Train in `num` processes that talk over gloo; returns the tensors."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = json.dumps({"module": ETENET, "recipe": recipe, "folder": str(folder)})
    jobs = []
    for rank in range(num):
        env = {"OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin", "ACCELERATE_USE_CPU": "true"}
        if num > 1:
            env |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(num)}
            env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_WORLD_SIZE": str(num)}
        jobs.append(
            subprocess.Popen([sys.executable, "-c", TRAIN, place], cwd=ROOT, env=env, stderr=subprocess.PIPE)
        )
    for job in jobs:
        _, said = job.communicate(timeout=240)
        assert job.returncode == 0, said.decode()
    return checkpoint.read_tensors(folder / "c.safetensors")[0]


def test_two_processes_take_the_steps_of_one(tmp_path):
    """Six rows, five in a step: the shares are uneven, and the last step leaves one process without a row."""
    data = make_world(tmp_path, train=3, val=2)
    length = {"epochs": 2, "monitor": "val/cider"}
    # not Adam: it makes whole steps of what is rounding alone, such as the gradient of a bias under a softmax
    sgd = {"name": "sgd", "groups": [{"match": "*", "lr": 0.05}]}
    recipe = stage(data, batch={"effective": 5, "at_once": 2}, length=length, optimiser=sgd)
    one, two = train(recipe, tmp_path / "one", 1), train(recipe, tmp_path / "two", 2)
    assert one.keys() == two.keys()
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)
