"""Multiply-adds: by hand on small networks, by the papers' figures on theirs."""

import pytest
import torch
from torch import nn

from retake.costs import operations as module
from retake.costs.measure import measure_cost
from retake.costs.operations import gflops, multiply_adds, parameters, params_m, relative
from retake.costs.parts import described
from retake.schema.costs import OperationsCost, System
from retake.schema.strict import read_yaml


def on_meta(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers).to("meta")


def test_convolutions_and_full_layers_are_counted_by_hand():
    # 8 maps of 7 x 7 by windows of 3 x 3 x 3: 8 * 49 * 27; pooled; 10 numbers of 8 each: 80
    network = on_meta(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(8, 10),
    )  # fmt: skip
    assert multiply_adds(network, [3, 14, 14]) == 8 * 49 * 27 + 80


def test_groups_and_a_third_side_are_counted_by_hand():
    assert multiply_adds(on_meta(nn.Conv2d(4, 8, 3, groups=4, bias=False)), [4, 5, 5]) == 8 * 9 * 9
    assert multiply_adds(on_meta(nn.Conv3d(2, 4, (1, 3, 3))), [2, 6, 5, 5]) == 4 * (6 * 9) * (2 * 9)


def test_a_batch_norm_in_training_is_not_what_is_counted():
    network = on_meta(nn.Conv2d(3, 4, 1), nn.Dropout()).train()
    assert multiply_adds(network, [3, 2, 2]) == 48
    assert not network.training


def one(network: str, shape: list[int], frames: tuple[int, int] = (1, 1)) -> dict:
    return {"network": network, "arguments": {}, "input": shape, "frames": frames}


def test_a_system_is_the_mean_over_its_frames():
    rest, motion = one("resnet18", [3, 64, 64]), one("resnet18", [2, 64, 64])
    mixed = gflops([rest | {"frames": (1, 4)}, motion | {"frames": (3, 4)}])
    assert mixed == pytest.approx((gflops([rest]) + 3 * gflops([motion])) / 4)
    assert gflops([rest, motion]) == pytest.approx(gflops([rest]) + gflops([motion]))


def test_systems_share_their_networks_and_each_is_made_once(monkeypatch):
    made, own = [], module.network_of
    monkeypatch.setattr(module, "network_of", lambda *given: made.append(given) or own(*given))
    module._made.cache_clear()
    rest = one("resnet18", [3, 40, 40])
    for _ in range(2):
        assert gflops([rest, rest]) == pytest.approx(2 * gflops([rest]))
        assert params_m([rest]) > 11
    described(rest, ["layer1.*"])
    gflops([one("resnet18", [4, 40, 40])])
    assert [channels for _, _, channels in made] == [3, 4]


# What publications say, in 10^9: He et al. 2016 (their strides stand elsewhere: 0.2 to 0.3 less), Tran et al. 2015
# and 2017, METHODS 5.6 for the parts and the mean of the system whose frames differ.
PRINTED = {"resnet50": (3.8, 0.3), "resnet152": (11.3, 0.26), "c3d": (38.5, 0.1), "res3d": (19.3, 1.1)}


@pytest.fixture(scope="module")
def systems():
    recipe = read_yaml("retake/methods/coviar/recipe.yaml")
    return {name: System(**given).model_dump() for name, given in recipe["systems"].items()}


@pytest.mark.parametrize("name", PRINTED)
def test_networks_of_others_cost_what_is_printed(name, systems):
    printed, tolerance = PRINTED[name]
    assert gflops(systems[name]["networks"]) == pytest.approx(printed, abs=tolerance)


def test_res3d_is_counted_layer_by_layer():
    """Its own paper prints 19.3; its layers, which have the 33.2 million parameters it prints, add up to this."""
    places = {"stem": 8 * 56 * 56, 64: 8 * 56 * 56, 128: 4 * 28 * 28, 256: 2 * 14 * 14, 512: 7 * 7}
    total, before = places["stem"] * 64 * 3 * 3 * 49, 64
    for width in (64, 128, 256, 512):
        total += places[width] * 27 * width * (before + 3 * width)
        total += places[width] * width * before if width > before else 0  # the short way round
        before = width
    total += 512 * 101
    assert gflops([one("res3d", [3, 8, 112, 112])]) == pytest.approx(total / 1e9)


def test_the_mean_frame_costs_what_is_printed(systems):
    first, motion, residual = systems["i_m_r"]["networks"]
    parts = [gflops([part | {"frames": (1, 1)}]) for part in (first, motion, residual)]
    assert parts == pytest.approx([11.56, 1.779, 1.819], abs=0.06)  # METHODS 5.6
    mean = gflops(systems["i_m_r"]["networks"])
    assert mean == pytest.approx((parts[0] + 11 * (parts[1] + parts[2])) / 12)
    assert round(mean, 1) == 4.2
    assert round(11.3 / 4.2, 1) == round(gflops(systems["resnet152"]["networks"]) / mean, 1) == 2.7


def test_counting_holds_no_numbers():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    gflops([one("resnet152", [3, 224, 224])])
    assert torch.equal(torch.rand(1), expected)


def test_parameters_are_counted_by_hand_frozen_norms_among_them():
    from retake.layers.inflated import Affine

    network = on_meta(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), Affine(8), nn.Linear(8, 10))
    assert parameters(network) == 8 * 27 + 16 + 16 + 90
    assert params_m([one("i3d_nl_r50", [3, 32, 224, 224])] * 2) == pytest.approx(2 * 34.582336)


def test_costs_are_told_over_those_of_one_system():
    values = {"a": {"gflops": 4.0, "params_m": 10.0}, "b": {"gflops": 6.0, "params_m": 5.0}}
    assert relative(values, "a")["b"] == {"gflops": 6.0, "params_m": 5.0, "gflops_x": 1.5, "params_m_x": 0.5}
    assert relative(values, "b")["b"]["gflops_x"] == 1.0


def test_a_cost_that_is_relative_has_more_to_tell(tmp_path):
    spec = {"kind": "operations", "systems": ["a", "b"], "relative_to": "a"}
    systems = {
        "a": {"networks": [one("resnet18", [3, 32, 32])]},
        "b": {"networks": [one("resnet18", [3, 64, 64])]},
    }
    found = measure_cost(method="m", cost="c", spec=spec, systems=systems, out=tmp_path / "c.json").values
    assert set(found["b"]) == set(OperationsCost(**spec).metrics)
    assert found["b"]["params_m_x"] == 1.0
    assert found["b"]["gflops_x"] == pytest.approx(4, rel=0.01)
    plain = {"kind": "operations", "systems": ["a"]}
    found = measure_cost(method="m", cost="c", spec=plain, systems=systems, out=tmp_path / "c.json").values
    assert set(found["a"]) == {"gflops"} == set(OperationsCost(**plain).metrics)
    with pytest.raises(ValueError, match="relative_to: 'c' is not among the systems"):
        OperationsCost(**spec | {"relative_to": "c"})
