import pytest
import torch
from torch import nn

from retake.training.optimiser import clip, optimiser_of, rate_at, set_rate
from retake.training.settings import OPTIMISER, filled


def settings(**changes):
    return filled("optimiser", {"name": "adam", "groups": [{"match": "*", "lr": 0.1}]} | changes, OPTIMISER)


def network():
    return nn.ModuleDict({"encoder": nn.Linear(2, 2), "decoder": nn.Linear(2, 1)})


def test_each_group_has_its_rate_and_decay_and_the_first_match_wins():
    groups = [{"match": "encoder.weight", "lr": 1.0, "weight_decay": 0.5}, {"match": "*", "lr": 2.0}]
    made = optimiser_of(network(), settings(groups=groups)).param_groups
    assert [(len(g["params"]), g["lr"], g["weight_decay"]) for g in made] == [(1, 1.0, 0.5), (3, 2.0, 0.0)]


def test_a_group_that_matches_nothing_trained_is_an_error():
    model = network()
    model["encoder"].requires_grad_(False)
    with pytest.raises(ValueError, match=r"optimiser.groups\[0\]: 'encoder.\*'"):
        optimiser_of(model, settings(groups=[{"match": "encoder.*", "lr": 1.0}]))


def test_a_trained_parameter_without_a_group_is_an_error():
    with pytest.raises(ValueError, match="no group matches trained parameters"):
        optimiser_of(network(), settings(groups=[{"match": "encoder.*", "lr": 1.0}]))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("adam", torch.optim.Adam),
        ("adamw", torch.optim.AdamW),
        ("sgd", torch.optim.SGD),
        ("adadelta", torch.optim.Adadelta),
    ],
)
def test_optimisers_are_had_by_name(name, kind):
    assert type(optimiser_of(network(), settings(name=name))) is kind


def test_an_unknown_optimiser_is_named():
    with pytest.raises(ValueError, match="found 'adm'"):
        optimiser_of(network(), settings(name="adm"))


def test_options_reach_the_optimiser():
    made = optimiser_of(network(), settings(amsgrad=True, betas=[0.5, 0.6], eps=1e-3)).param_groups[0]
    assert (made["amsgrad"], made["betas"], made["eps"]) == (True, (0.5, 0.6), 1e-3)
    made = optimiser_of(network(), settings(name="sgd", momentum=0.7, nesterov=True)).param_groups[0]
    assert (made["momentum"], made["nesterov"]) == (0.7, True)


def gradient(*values):
    parameter = nn.Parameter(torch.zeros(len(values)))
    parameter.grad = torch.tensor(values)
    return parameter


def test_clipping_by_value_cuts_elements_and_by_norm_scales_all():
    by_value, by_norm, free = gradient(3.0, -40.0), gradient(3.0, -4.0), gradient(3.0, -40.0)
    clip([by_value], {"value": 10.0, "norm": None})
    clip([by_norm], {"norm": 1.0})
    clip([free], None)
    assert by_value.grad.tolist() == [3.0, -10.0]
    assert by_norm.grad.tolist() == pytest.approx([0.6, -0.8], rel=1e-4)
    assert free.grad.tolist() == [3.0, -40.0]


def test_two_limits_at_once_are_refused():
    with pytest.raises(ValueError, match="exactly one"):
        clip([gradient(1.0)], {"value": 1.0, "norm": 1.0})


@pytest.mark.parametrize(
    ("name", "shares"),
    [
        ("constant", [0.5, 1, 1, 1, 1, 1]),
        ("linear", [0.5, 1, 1, 0.8, 0.6, 0.4]),
        ("cosine", [0.5, 1, 1, None, 0.6, None]),
    ],
)
def test_rates_over_a_run(name, shares):
    schedule = {"name": name, "warmup_steps": 2, "floor": 0.2}
    for step, share in enumerate(shares):
        if share is not None:
            assert rate_at(step, 6, schedule) == pytest.approx(share)


def test_an_unknown_schedule_is_named():
    with pytest.raises(ValueError, match="found 'plateau'"):
        rate_at(3, 6, {"name": "plateau", "warmup_steps": 0, "floor": 0.0})


def test_each_drop_leaves_its_factor_of_the_rate_from_the_step_on_that_it_names():
    schedule = {"name": "steps", "warmup_steps": 0, "floor": 0.0, "drops": [2, 4], "factor": 0.1}
    assert [rate_at(step, 6, schedule) for step in range(6)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_a_share_is_of_each_groups_own_rate():
    made = optimiser_of(
        network(), settings(groups=[{"match": "encoder.*", "lr": 1.0}, {"match": "*", "lr": 3.0}])
    )
    set_rate(made, 0.5)
    set_rate(made, 0.1)
    assert [g["lr"] for g in made.param_groups] == pytest.approx([0.1, 0.3])


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_on_a_processor_all_parameters_step_at_once_and_as_the_papers_algorithm_says(name):
    torch.manual_seed(2)
    model = network()
    groups = [{"match": "*", "lr": 0.1, "weight_decay": 0.01 if name == "adamw" else 0.0}]
    made = optimiser_of(model, settings(name=name, groups=groups, betas=[0.8, 0.9], eps=1e-3))
    assert made.param_groups[0]["fused"]
    parameters = list(model.parameters())
    wanted = [p.detach().double() for p in parameters]
    first, second = ([torch.zeros_like(p) for p in wanted] for _ in range(2))
    for step in (1, 2, 3):
        for n, parameter in enumerate(parameters):
            parameter.grad = torch.randn_like(parameter)
            given = parameter.grad.double()
            first[n] = 0.8 * first[n] + 0.2 * given
            second[n] = 0.9 * second[n] + 0.1 * given**2
            wanted[n] = wanted[n] * (1 - 0.1 * groups[0]["weight_decay"])
            size = (second[n] / (1 - 0.9**step)).sqrt() + 1e-3
            wanted[n] = wanted[n] - 0.1 * first[n] / (1 - 0.8**step) / size
        made.step()
    for parameter, value in zip(parameters, wanted, strict=True):
        assert torch.allclose(parameter.detach().double(), value, atol=1e-6)
