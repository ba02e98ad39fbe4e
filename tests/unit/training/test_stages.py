from types import SimpleNamespace

import pytest
import torch
from torch import nn

from retake.training.stages import Freezer, check_stored, matching, norms_of

PLAIN = {"frozen": [], "affine": "frozen"}


def network():
    encoder = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5))
    return nn.ModuleDict({"encoder": encoder, "decoder": nn.Linear(4, 2)})


def test_a_pattern_chooses_parameters_by_name():
    assert matching(["decoder.*"], ["encoder.0.weight", "decoder.weight"], "trainable") == {"decoder.weight"}


def test_a_pattern_that_matches_none_is_named():
    with pytest.raises(
        ValueError, match=r"trainable: 'decodr\.\*' matches no parameter; there are decoder\.\*"
    ):
        Freezer(network(), ["decodr.*"], PLAIN)


def test_only_what_is_named_has_gradients():
    model = network()
    freezer = Freezer(model, ["decoder.*"], PLAIN)
    assert freezer.trained == ["decoder.weight", "decoder.bias"]
    assert [n for n, p in model.named_parameters() if p.requires_grad] == freezer.trained


def test_a_part_that_is_not_trained_is_in_evaluation_mode_whole():
    model = network()
    Freezer(model, ["decoder.*"], PLAIN).train()
    assert model["decoder"].training
    assert not any(module.training for module in model["encoder"])


def test_modes_are_set_anew_after_an_evaluation_and_not_walked_through_otherwise(monkeypatch):
    model, walked = network(), []
    model["decoder"].eval()
    freezer, own = Freezer(model, ["decoder.*"], PLAIN), model.train
    monkeypatch.setattr(model, "train", lambda mode=True: walked.append(mode) or own(mode))
    for _ in range(3):
        freezer.train()
    assert walked == [True]
    model.eval()
    freezer.train()
    assert model["decoder"].training
    assert not any(module.training for module in model["encoder"])
    model = network()
    model["decoder"].eval()  # by itself, and nothing is frozen
    Freezer(model, ["*"], PLAIN).train()
    assert model["decoder"].training


def test_frozen_normalisation_keeps_its_statistics_while_its_neighbours_train():
    model = network()
    freezer = Freezer(model, ["*"], {"frozen": ["encoder.*"], "affine": "frozen"})
    freezer.train()
    before = {k: v.clone() for k, v in model.state_dict().items() if k.startswith("encoder.1")}
    model["encoder"](torch.randn(5, 3, 2, 2) + 3)
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in before.items())
    assert model["encoder"][0].training
    assert model["encoder"][2].training
    assert "encoder.1.weight" not in freezer.trained
    assert "encoder.0.weight" in freezer.trained


def test_scale_and_shift_of_frozen_normalisation_may_train():
    freezer = Freezer(network(), ["*"], {"frozen": ["encoder.*"], "affine": "trained"})
    freezer.train()
    assert "encoder.1.weight" in freezer.trained
    assert not freezer.model["encoder"][1].training


def test_normalisation_that_is_not_frozen_goes_on_measuring():
    model = network()
    Freezer(model, ["*"], PLAIN).train()
    assert model["encoder"][1].training


def test_normalisations_are_found_by_their_own_name_too():
    assert list(norms_of(network(), ["encoder.1"])) == ["encoder.1"]
    with pytest.raises(ValueError, match=r"batch_norm\.frozen"):
        norms_of(network(), ["decoder.*"])


def test_freezing_everything_is_an_error():
    model = nn.ModuleDict({"norm": nn.BatchNorm1d(3)})
    with pytest.raises(ValueError, match="nothing is left to train"):
        Freezer(model, ["*"], {"frozen": ["norm*"], "affine": "frozen"})
    with pytest.raises(ValueError, match="expected frozen or trained"):
        Freezer(model, ["*"], {"frozen": ["norm*"], "affine": "thawed"})


def test_what_stored_rows_stand_for_is_not_trained():
    model, shown, read = (
        SimpleNamespace(__name__="m", STORED=("encoder.",)),
        {"stored": None},
        {"stored": {"index": "i"}},
    )
    check_stored(model, [shown], ["encoder.0.weight"])
    check_stored(model, [shown, read], ["decoder.weight"])
    with pytest.raises(ValueError, match=r"trainable: 'encoder\.0\.bias' is trained, and its work is read"):
        check_stored(model, [shown, read], ["decoder.weight", "encoder.0.bias"])
    with pytest.raises(ValueError, match="data: stored: m names no STORED"):
        check_stored(SimpleNamespace(__name__="m"), [read], ["decoder.weight"])


def test_a_frozen_part_within_a_frozen_part_is_put_still_with_it_once():
    model = network()
    freezer = Freezer(model, ["decoder.*"], PLAIN)
    assert freezer.still == [model["encoder"]]
