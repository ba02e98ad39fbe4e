"""A killed stage goes on in the middle, to the same bytes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from retake.training.loop import train_stage
from retake.training.resume import FILE, ResumeState, seed_step
from tests.unit.training.small_stage import ETENET, Metrics, make_world, model_sizes, stage

ROOT = Path(__file__).parents[3]
KILLED = """
import os, signal, sys, json
import torch
torch.set_num_threads(1)
from pathlib import Path
from retake.training.loop import train_stage

def metric(name, value, step):
    if step == 5 and name == "train/total":
        os.kill(os.getpid(), signal.SIGKILL)

place = json.loads(sys.argv[1])
train_stage(model_module=place["module"], recipe=place["recipe"], seed=1, out=Path(place["out"]),
            metric=metric, scratch=Path(place["scratch"]))
"""


class StoppedError(Exception):
    pass


def stop_at(step, metrics):
    def metric(name, value, now):
        if now == step and name == "train/total":
            raise StoppedError
        metrics(name, value, now)

    return metric


@pytest.fixture
def recipe(tmp_path):
    length = {"epochs": 5, "patience": 3, "monitor": "val/cider"}
    return stage(make_world(tmp_path), model=model_sizes(dropout=0.2, word_dropout=0.1), length=length)


def run(recipe, folder, metric):
    out = folder / "checkpoint.safetensors"
    train_stage(
        model_module=ETENET, recipe=recipe, seed=1, out=out, metric=metric, scratch=folder / "scratch"
    )
    return out.read_bytes()


def test_after_sigkill_it_goes_on_and_ends_with_the_same_bytes(recipe, tmp_path):
    import json

    whole = run(recipe, tmp_path / "whole", Metrics())
    folder = tmp_path / "killed"
    place = {"module": ETENET, "recipe": recipe, "out": str(folder / "c"), "scratch": str(folder / "scratch")}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, json.dumps(place)], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert not (folder / "c").exists()
    metrics = Metrics()
    assert run(recipe, folder, metrics) == whole


@pytest.mark.parametrize("step", [1, 4, 5, 9])
def test_wherever_it_is_stopped_nothing_is_lost(recipe, tmp_path, step):
    wanted = Metrics()
    whole = run(recipe, tmp_path / "whole", wanted)
    folder, metrics = tmp_path / "stopped", Metrics()
    with pytest.raises(StoppedError):
        run(recipe, folder, stop_at(step, metrics))
    metrics.clear()
    assert run(recipe, folder, metrics) == whole
    timeless = [[m for m in found if m[0] != "train/items_per_s"] for found in (metrics, wanted)]
    assert timeless[0] == timeless[1]


def test_what_was_done_is_not_done_again(recipe, tmp_path):
    with pytest.raises(StoppedError):
        run(recipe, tmp_path / "a", stop_at(5, Metrics()))
    metrics = Metrics()
    run(recipe, tmp_path / "a", metrics)
    speeds = [
        step for name, _, step in metrics if name == "train/items_per_s"
    ]  # not repeated from the history
    assert min(speeds) == 5


def test_the_state_of_another_run_is_refused(recipe, tmp_path):
    with pytest.raises(StoppedError):
        run(recipe, tmp_path / "a", stop_at(3, Metrics()))
    with pytest.raises(ValueError, match="the state of another run"):
        run(recipe | {"batch": {"effective": 4, "at_once": 4}}, tmp_path / "a", Metrics())


def test_the_state_is_replaced_as_a_whole(tmp_path, monkeypatch):
    run_once = stage(make_world(tmp_path), length={"steps": 2})
    with pytest.raises(StoppedError):
        run(run_once, tmp_path / "a", stop_at(2, Metrics()))
    file = tmp_path / "a" / "scratch" / FILE
    before = file.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("no space left")))
    with pytest.raises(OSError, match="no space"):
        run(run_once, tmp_path / "a", Metrics())
    assert file.read_bytes() == before


def test_it_is_written_every_so_many_steps_or_seconds(tmp_path, monkeypatch):
    by_steps = ResumeState(tmp_path, "", {"every_s": 0.0, "every_steps": 3})
    assert [step for step in range(1, 8) if by_steps.due(step)] == [3, 6]
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    by_time = ResumeState(tmp_path, "", {"every_s": 60.0, "every_steps": None})
    assert not by_time.due(1)
    now[0] = 160.0
    assert by_time.due(1)


def test_random_numbers_are_a_function_of_the_step():
    def drawn(*place):
        seed_step(*place)
        return torch.rand(3).tolist()

    assert drawn(1, 2, 0) == drawn(1, 2, 0)
    assert len({tuple(drawn(*p)) for p in [(1, 2, 0), (1, 3, 0), (2, 2, 0), (1, 2, 1)]}) == 4


@pytest.mark.skipif(torch.cuda.is_initialized(), reason="its devices are there")
def test_devices_that_are_not_in_use_are_not_told_of_a_seed(monkeypatch):
    """The numbers are those of torch.manual_seed all the same."""
    told, own = [], torch.manual_seed
    monkeypatch.setattr(torch, "manual_seed", told.append)
    seed_step(1, 2, 0)
    assert not told
    seed, found = torch.initial_seed(), torch.rand(3).tolist()
    own(seed)
    assert torch.rand(3).tolist() == found
