"""Processes that share a model out: who holds what, and that it is trained as one process trains it."""

import types

import pytest
import torch
from torch import nn

from retake.training.checkpoint import read_tensors
from retake.training.parallel import Replicated, parallel_of
from retake.training.resume import FILE
from retake.training.sharding import shard_units, share_out
from tests.unit.training.blocks_model import Block, Blocks
from tests.unit.training.processes import ended, killed, started, trained_both_ways
from tests.unit.training.small_stage import make_world, stage

MODEL = "tests.unit.training.blocks_model"
TRAINED = ["blocks.*.adapter.*", "blocks.*.gate", "table.*"]  # the rest of each block is frozen
SGD = {"name": "sgd", "groups": [{"match": "*", "lr": 0.3}], "momentum": 0.9}


def sharded(folder):
    """Six rows, five in a step: one process has two mini-batches where the other has one, then one and none."""
    return stage(
        make_world(folder, train=3, val=2),
        model={"width": 6, "classes": 6},
        trainable=TRAINED,
        optimiser=SGD,
        batch={"effective": 5, "at_once": 2},
        length={"steps": 2},
        parallel="fsdp2",
    )


CASES = {
    "plain": {"optimiser": SGD | {"clip": None}},
    "clipped": {"optimiser": SGD | {"clip": {"norm": 0.05}}},
    "monitored": {"length": {"epochs": 3, "monitor": "val/cider"}, "precision": "bf16"},
    "resumed": {"length": {"steps": 5}, "resume": {"every_steps": 1}},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(folder, the trainings on what lies in it)."""
    folder = tmp_path_factory.mktemp("sharded")
    recipe = sharded(folder)
    return folder, {name: (MODEL, recipe | changes) for name, changes in CASES.items()}


@pytest.fixture(scope="module")
def trained(world):
    folder, trainings = world
    return trained_both_ways(trainings, folder / "trained")


@pytest.mark.parametrize("name", ["plain", "clipped"])
def test_each_of_two_processes_holds_half_of_everything_and_two_steps_are_those_of_one(trained, name):
    (one, _, alone), (two, _, told) = trained[name]
    sizes = {name: tensor.numel() for name, tensor in one.items() if name != "seen"}
    assert alone[0]["held"] == {name: ["Parameter", num, num] for name, num in sizes.items()}
    for process in told:
        assert process["held"] == {name: ["DTensor", num, num // 2] for name, num in sizes.items()}
        assert process["state"]
        assert all(mine * 2 == whole for whole, mine in process["state"])
    assert one.keys() == two.keys()
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)
    assert not torch.allclose(one["blocks.0.gate"], torch.full((6,), 0.5), atol=1e-3)  # it was trained


def test_answers_while_training_and_the_best_weights_are_those_of_one_process(trained):
    (one, header, _), (two, same, _) = trained["monitored"]
    assert header == same
    assert header["aliases"] == {"head.weight": "table.weight"}
    assert all(torch.allclose(one[name], two[name], atol=2e-2) for name in one)  # bf16 has 8 bits


def test_a_killed_sharded_training_goes_on_where_it_was(world, trained, tmp_path):
    training = {"resumed": world[1]["resumed"]}
    whole = trained["resumed"][1][0]
    killed(training, tmp_path, 2, stop=4)
    state = tmp_path / "resumed/scratch" / FILE
    tensors, header = read_tensors(state)
    assert header["progress"]["step"] == 3
    assert tensors["model/table.weight"].shape == (6, 6)  # whole, not a share
    assert {t.shape for n, t in tensors.items() if n.startswith("optimiser/")} >= {(6, 6), (6,)}
    going_on = ended(started(training, tmp_path, 2), training, tmp_path)["resumed"][0]
    assert all(torch.equal(whole[name], going_on[name]) for name in whole)


def test_a_lone_process_has_nothing_to_share_out():
    alone = types.SimpleNamespace(num_processes=1)
    assert type(parallel_of("fsdp2", alone)) is Replicated
    with pytest.raises(ValueError, match="parallel: expected replicate or fsdp2, found 'ddp'"):
        parallel_of("ddp", alone)


# --- units


def test_units_are_the_children_of_the_outermost_module_lists():
    model = nn.Module()
    model.inner = nn.Module()
    model.inner.layers = nn.ModuleList([nn.ModuleList([Block(2), Block(2)]), Block(2), nn.ReLU()])
    model.inner.layers[1].heads = nn.ModuleList([nn.Linear(2, 2)])
    model.last = nn.Linear(2, 2)
    layers = model.inner.layers
    assert shard_units(model) == [layers[0][0], layers[0][1], layers[1]]


def test_a_model_may_list_its_units_itself():
    model = Blocks(4, 4)
    model.shard_units = lambda: [model.blocks[1]]
    assert shard_units(model) == [model.blocks[1]]


def test_a_model_without_units_is_told_how_to_name_them():
    with pytest.raises(ValueError, match=r"expected shard_units\(\)"):
        shard_units(nn.Linear(2, 2))


def test_a_parameter_of_a_unit_and_of_another_place_is_named():
    model = Blocks(4, 4)
    model.head.weight = model.blocks[0].adapter.weight
    with pytest.raises(ValueError, match=r"head\.weight is also in one of the model's units"):
        shard_units(model)
    model = Blocks(4, 4)
    model.blocks[1].gate = model.blocks[0].gate
    with pytest.raises(ValueError, match="two of the model's units have a parameter in common"):
        shard_units(model)


def test_a_model_that_looks_at_batches_before_an_evaluation_is_not_shared_out():
    model = Blocks(4, 4)
    model.before_evaluation = lambda loader: None
    with pytest.raises(ValueError, match="before an evaluation is not shared out"):
        share_out(model, None)
