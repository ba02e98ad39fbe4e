"""Blocks of a method's network: what is counted, what is kept for the backward pass, and what is timed in turn."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from retake.costs import blocks, measure
from retake.costs.measure import measure_cost
from retake.schema.costs import CostFile

SYSTEMS = {"wide": {"block": {"width": 4}}, "narrow": {"block": {"width": 2, "times": 3}}}


def pairs(*, width, times):
    return width**2 * times


def block(*, width):
    torch.manual_seed(width)
    return nn.Linear(3, width), (torch.ones(5, 3, requires_grad=True),)


@pytest.fixture(autouse=True)
def method(monkeypatch):
    asked = []
    made = SimpleNamespace(pairs=pairs, block=block)
    monkeypatch.setattr(blocks, "module_of", lambda name: asked.append(name) or made)
    return asked


def test_pairs_are_counted_by_the_methods_own_blocks_and_are_of_no_machine(method, tmp_path):
    spec = {"kind": "pairs", "systems": ["wide", "narrow"], "block": {"times": 10}}
    measure_cost(method="demo", cost="c", spec=spec, systems=SYSTEMS, out=tmp_path / "c.json")
    file = CostFile.read(tmp_path / "c.json")
    assert file.values == {"wide": {"pairs": 160.0}, "narrow": {"pairs": 12.0}}
    assert (file.kind, file.machine, file.timed) == ("pairs", None, False)
    assert set(method) == {"demo"}


def test_steps_are_timed_on_a_machine_that_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(
        measure, "steps", lambda method, given, repeats: {n: {"ms_step": repeats} for n in given}
    )
    spec = {"kind": "step", "systems": ["wide"], "block": {}, "repeats": 3}
    measure_cost(method="demo", cost="s", spec=spec, systems=SYSTEMS, out=tmp_path / "s.json")
    file = CostFile.read(tmp_path / "s.json")
    assert file.values == {"wide": {"ms_step": 3.0}}
    assert file.timed


def test_a_step_is_the_median_over_repeats_that_take_turns_and_one_is_not_counted(monkeypatch):
    order, seconds = [], iter([90, 90, 1, 10, 3, 30, 2, 20])
    monkeypatch.setattr(
        blocks, "_seconds", lambda made, device: order.append(made[0].out_features) or next(seconds)
    )
    found = blocks.steps("demo", {"wide": {"width": 4}, "narrow": {"width": 2}}, 3)
    assert order == [4, 2] * 4
    assert (found["wide"]["ms_step"], found["narrow"]["ms_step"]) == (2000, 20000)


def test_a_step_goes_forward_and_backward_and_leaves_nothing():
    network, inputs = block(width=4)
    seen = []
    inputs[0].register_hook(lambda gradient: seen.append(gradient.shape))
    blocks.step((network, inputs))
    assert seen == [(5, 3)]
    assert network.weight.grad is None
    assert inputs[0].grad is None


def test_what_is_kept_is_what_the_backward_pass_needs_beside_parameters_and_inputs():
    network = nn.Sequential(nn.Linear(3, 8, bias=False), nn.Sigmoid(), nn.Linear(8, 2, bias=False))
    x = torch.ones(5, 3, requires_grad=True)
    assert blocks.kept((network, (x,))) == 5 * 8 * 4  # the sigmoid's answer, which the next layer needs, too
    assert blocks.kept((nn.Linear(3, 8), (x,))) == 0


def test_a_file_has_both_numbers_of_a_step():
    found = blocks.steps("demo", {"wide": {"width": 4}}, 1)
    assert sorted(found["wide"]) == ["mb_kept", "ms_step"]
    assert found["wide"]["ms_step"] > 0
