"""CoViAR's networks at the papers' sizes, its losses, its answers, and which rate each parameter has."""

import math
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import torch
from torch import nn

from retake.methods.coviar.model import build, prepare
from retake.planning.recipes import load_recipe, overlaid, variant_of
from retake.training.optimiser import optimiser_of

RECIPE = Path("retake/methods/coviar/recipe.yaml")
SMALL = {
    "network": {"name": "resnet18", "arguments": {"layers": [1, 1, 1, 1], "channels": [4, 4, 6, 6]}},
    "mean": [0.5, 0.25], "std": [1.0, 0.5], "input_norm": False, "norm_momentum": 0.1,
    "num_classes": 3, "loss": "softmax",
    "classes": ["a", "b", "c"],
}  # fmt: skip


def at_paper_scale(stage, num_classes, dataset=None):
    """The stage's network as the recipe has it, without memory, and the stage's settings."""
    recipe = load_recipe(RECIPE, "paper")
    if dataset is not None:
        recipe = variant_of(recipe, stage, RECIPE, (dataset,))
    sizes = overlaid(recipe.model, recipe.stages[stage].model) | {"num_classes": num_classes}
    with torch.device("meta"):
        return build(**sizes, classes=[str(n) for n in range(num_classes)]), recipe.stages[stage]


def model_of(**changes):
    torch.manual_seed(0)
    return build(**(SMALL | changes)).eval()


@pytest.mark.parametrize(
    ("stage", "classes", "parameters"),
    [  # METHODS 5.6; the batch normalisation of the input has a scale and a shift a channel
        ("i", 101, 58_350_757),
        ("i", 51, 58_248_307),
        ("m", 101, 11_225_189 + 4),
        ("m", 51, 11_199_539 + 4),
        ("r", 101, 11_228_325 + 6),
        ("r", 51, 11_202_675 + 6),
    ],
)
def test_the_networks_have_the_published_sizes(stage, classes, parameters):
    model, _ = at_paper_scale(stage, classes)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_flow_is_seen_by_inception_v3_as_ten_channels():
    """23,834,568 with 1,000 classes; conv1 has 7 more channels of 32 filters of 3 x 3; the classifier is 2048 wide."""
    model, stage = at_paper_scale("flow", 101)
    wanted = 23_834_568 + 7 * 32 * 9 - 899 * 2049 + 2 * 10
    assert sum(p.numel() for p in model.parameters()) == wanted
    assert len(stage.model["mean"]) == 2 * stage.data[0].sample.stack == 10
    assert stage.data[0].sample.segments == 7


def test_motion_has_two_channels_and_residuals_three():
    assert at_paper_scale("m", 101)[0].network.conv1.weight.shape == (64, 2, 7, 7)
    assert at_paper_scale("r", 101)[0].network.conv1.weight.shape == (64, 3, 7, 7)
    assert isinstance(at_paper_scale("m", 101)[0].input_norm, nn.BatchNorm2d)
    assert isinstance(at_paper_scale("i", 101)[0].input_norm, nn.Identity)


def published_share(name):
    """Times the rate, and whether weights decay: METHODS 5.2. `name` as torchvision has it, or data_bn."""
    decay = 0.0 if "bias" in name else 1e-4
    if "fc." in name:
        return 1.0, decay
    if any(part in name for part in ("input_norm", "network.conv1.", "network.bn1.")):
        return 0.1, decay
    return 0.01, decay


@pytest.mark.parametrize(("stage", "rate"), [("m", 1e-3), ("r", 1e-3)])
def test_every_parameter_of_motion_and_residuals_has_the_published_share_of_the_rate(stage, rate):
    model, settings = at_paper_scale(stage, 101)
    shares = rates_of(model, settings)
    assert len(shares) == len(list(model.named_parameters()))
    for name, (lr, decay) in shares.items():
        share, wanted = published_share(name)
        assert lr == pytest.approx(rate * share), name
        assert decay == wanted, name


def test_of_pictures_all_but_the_classifier_has_a_hundredth():
    model, settings = at_paper_scale("i", 101)
    for name, (lr, decay) in rates_of(model, settings).items():
        assert lr == pytest.approx(1e-3 if "fc." in name else 1e-5), name
        assert decay == (0.0 if "bias" in name else 1e-4), name


def test_on_charades_the_rate_is_three_hundredths():
    model, settings = at_paper_scale("m", 157, "charades")
    assert rates_of(model, settings)["network.fc.weight"] == (pytest.approx(3e-2), 1e-4)


def rates_of(model, stage):
    """Parameter -> (rate, decay) that the stage's optimiser has for it."""
    optimiser = optimiser_of(model, stage.optimiser.model_dump())
    place = {id(p): name for name, p in model.named_parameters()}
    return {
        place[id(p)]: (group["lr"], group["weight_decay"])
        for group in optimiser.param_groups
        for p in group["params"]
    }


def test_what_is_not_read_from_the_foundation_begins_at_random():
    """conv1 of motion has two channels, so it cannot be read; the classifier has other classes."""
    for stage in ("i", "m", "r", "flow"):
        model, settings = at_paper_scale(stage, 101)
        left_out = [f"network.{pattern}" for pattern in settings.start[0].leave_out] + ["input_norm.*"]
        for name, _ in model.named_parameters():
            assert matches(name, settings.fresh) == matches(name, left_out), name


def matches(name, patterns):
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def test_training_moves_colours_and_answering_does_not():
    recipe = load_recipe(RECIPE, "paper")
    assert recipe.stages["i"].data[0].sample.colour.model_dump() == {"hue": 36, "light": 50, "saturation": 50}
    assert recipe.stages["m"].data[0].sample.colour is None
    asked = recipe.protocols["views250"]
    assert asked.clips * asked.crops == 250
    assert "colour" not in asked.model_dump()


def test_accumulated_signals_and_those_of_one_step_differ_in_nothing_else():
    recipe = load_recipe(RECIPE, "mini")
    for scale in ("paper", "mini"):
        recipe = load_recipe(RECIPE, scale)
        for stage, signal in (("m", "motion"), ("r", "residual")):
            traced = recipe.stages[stage].model_dump()
            single = variant_of(recipe, f"{stage}_orig", RECIPE).stages[stage].model_dump()
            assert single["data"][0].pop("signal") == f"{signal}_step"
            assert traced["data"][0].pop("signal") == signal
            assert single == traced


def frames_of(videos=2, segments=3, channels=2, side=32):
    torch.manual_seed(1)
    return torch.rand(videos, channels, segments, side, side)


def test_frames_are_seen_alone_scaled_by_channel():
    model, frames = model_of(), frames_of()
    logits = model(frames)
    for b in range(2):
        for t in range(3):
            one = (frames[b, :, t] - torch.tensor([0.5, 0.25]).view(2, 1, 1)) / torch.tensor([1.0, 0.5]).view(
                2, 1, 1
            )
            assert torch.allclose(logits[b, t], model.network(one[None])[0], atol=1e-5)


def test_the_input_is_normalised_before_the_network():
    model = model_of(input_norm=True)
    model.input_norm.running_mean[:] = torch.tensor([0.1, 0.2])
    model.input_norm.running_var[:] = 4.0
    scaled = model.scale(frames_of()[:, :, 0])
    wanted = (scaled - torch.tensor([0.1, 0.2]).view(2, 1, 1)) / math.sqrt(4.0 + 1e-5)
    assert torch.allclose(model(frames_of()[:, :, :1])[:, 0], model.network(wanted), atol=1e-5)


def test_a_batch_gives_its_share_to_every_normalisations_statistics():
    model = model_of(input_norm=True, norm_momentum=0.3).train()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {norm.momentum for norm in norms} == {0.3}
    assert len(norms) > 5
    scaled = model.scale(frames_of().transpose(1, 2).flatten(0, 1))
    model(frames_of())
    assert torch.allclose(model.input_norm.running_mean, 0.3 * scaled.mean(dim=(0, 2, 3)), atol=1e-6)
    for stage in ("i", "m", "r", "flow"):
        network = at_paper_scale(stage, 101)[0]
        assert {n.momentum for n in network.modules() if isinstance(n, nn.BatchNorm2d)} == {0.1}


def test_one_label_is_scored_on_the_mean_of_the_segments_logits():
    model = model_of()
    batch = {"frames": frames_of(), "labels": torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])}
    seen = model(batch["frames"]).mean(dim=1).tolist()
    wanted = 0.0
    for logits, label in zip(seen, (1, 2), strict=True):
        wanted += math.log(sum(math.exp(x) for x in logits)) - logits[label]
    losses = model.losses(batch)
    assert losses["total"].item() == pytest.approx(wanted, rel=1e-5)
    assert losses["count"].item() == 2
    right = sum(
        max(range(3), key=logits.__getitem__) == label for logits, label in zip(seen, (1, 2), strict=True)
    )
    assert losses["top1"].item() == right


def cross_entropies(logits, labels):
    """Binary cross entropy of each number, by the book."""
    return [
        -math.log(1 / (1 + math.exp(-x))) if y else -math.log(1 - 1 / (1 + math.exp(-x)))
        for x, y in zip(logits, labels, strict=True)
    ]


def test_several_labels_are_scored_class_by_class_and_frame_by_frame():
    model, frames = model_of(loss="sigmoid"), frames_of(videos=1)
    labels = torch.tensor([[[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    each = cross_entropies(model(frames).flatten().tolist(), labels.flatten().tolist())
    found = model.losses({"frames": frames, "labels": labels})["total"].item()
    assert found == pytest.approx(sum(each) / len(each), rel=1e-5)
    whole = torch.tensor([[1.0, 0.0, 1.0]])
    each = cross_entropies(model(frames)[0].mean(dim=0).tolist(), whole[0].tolist())
    found = model.losses({"frames": frames, "labels": whole})["total"].item()
    assert found == pytest.approx(sum(each) / 3, rel=1e-5)


@pytest.mark.parametrize("labels", [[[1.0, 1.0, 0.0]], [[0.0, 0.0, 0.0]]])
def test_one_label_is_asked_for_where_one_is_scored(labels):
    with pytest.raises(ValueError, match="exactly one label"):
        model_of().losses({"frames": frames_of(videos=1), "labels": torch.tensor(labels)})


def test_answers_are_logits_not_probabilities():
    model = model_of()
    rows = model.predict({"frames": frames_of()}, {})
    wanted = model(frames_of()).mean(dim=1)
    assert torch.allclose(torch.tensor([row["scores"] for row in rows]), wanted, atol=1e-6)


def test_a_checkpoint_knows_what_its_classes_are_called():
    rows = [{"labels": [2], "text_out": "Archery"}, {"labels": [0], "text_out": "Bowling"}]
    assert prepare(rows, {"num_classes": 3}) == {"classes": ["Bowling", "1", "Archery"]}


def test_an_unknown_loss_and_names_that_do_not_fit_are_errors():
    with pytest.raises(ValueError, match="one of softmax, sigmoid, found 'hinge'"):
        model_of(loss="hinge")
    with pytest.raises(ValueError, match="3 classes have a name, num_classes is 4"):
        model_of(num_classes=4)
