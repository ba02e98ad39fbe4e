from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from retake.training import checkpoint
from tests.unit.training.small_stage import ETENET, model_sizes

WORDS = {"vocabulary": ["<eos>", "<unk>", "<sos>", "a", "dog"]}


def network():
    torch.manual_seed(0)
    return nn.ModuleDict(
        {"encoder": nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), "decoder": nn.Linear(3, 1)}
    )


def written(path, tensors, header=None):
    checkpoint.write_tensors(path, tensors, header or {})
    return path


def start(path, into="", leave_out=()):
    return {"checkpoint": path, "into": into, "leave_out": list(leave_out)}


@pytest.fixture
def parts(tmp_path):
    """The network's two halves, each as a file of its own, and the values they hold."""
    whole = network()
    for parameter in whole.parameters():
        parameter.data.uniform_()
    encoder = {
        k.removeprefix("encoder."): v for k, v in whole.state_dict().items() if k.startswith("encoder.")
    }
    decoder = {k: v for k, v in whole.state_dict().items() if k.startswith("decoder.")}
    published = encoder | {"fc.weight": torch.zeros(9)}
    return whole.state_dict(), written(tmp_path / "e", published), written(tmp_path / "d", decoder)


def test_two_starts_fill_one_model(parts):
    values, encoder, decoder = parts
    model = network()
    checkpoint.start_from(model, [start(encoder, "encoder.", ["fc.*"]), start(decoder)], [])
    assert all(torch.equal(v, values[k]) for k, v in model.state_dict().items())


def test_a_name_the_model_does_not_have_is_an_error(parts):
    _, encoder, decoder = parts
    with pytest.raises(ValueError, match=r"1 names the model does not have, first \['encoder.fc.weight'\]"):
        checkpoint.start_from(network(), [start(encoder, "encoder."), start(decoder)], [])


def test_what_no_start_gives_is_an_error(parts):
    _, encoder, _ = parts
    with pytest.raises(ValueError, match=r"2 of the model's tensors are not there, first \['decoder.bias'"):
        checkpoint.start_from(network(), [start(encoder, "encoder.", ["fc.*"])], [])


def test_running_statistics_must_be_there_but_not_their_counter(parts, tmp_path):
    values, _, _ = parts
    without = {k: v for k, v in values.items() if not k.endswith("num_batches_tracked")}
    checkpoint.start_from(network(), [start(written(tmp_path / "a", without))], [])
    del without["encoder.1.running_mean"]
    with pytest.raises(ValueError, match="running_mean"):
        checkpoint.start_from(network(), [start(written(tmp_path / "b", without))], [])


def test_what_is_called_fresh_begins_at_random(parts):
    _, encoder, _ = parts
    model = network()
    before = model["decoder"].weight.clone()
    checkpoint.start_from(model, [start(encoder, "encoder.", ["fc.*"])], ["decoder.*"])
    assert torch.equal(model["decoder"].weight, before)


def test_fresh_must_match_and_must_not_be_given(parts):
    _, encoder, decoder = parts
    starts = [start(encoder, "encoder.", ["fc.*"]), start(decoder)]
    with pytest.raises(ValueError, match="fresh: 'head"):
        checkpoint.start_from(network(), starts, ["head.*"])
    with pytest.raises(ValueError, match="leave it out"):
        checkpoint.start_from(network(), starts, ["decoder.bias"])


def test_a_tensor_given_twice_another_shape_and_an_idle_pattern_are_errors(parts, tmp_path):
    values, encoder, decoder = parts
    with pytest.raises(ValueError, match="an earlier start gave already"):
        checkpoint.start_from(network(), [start(decoder), start(decoder)], [])
    with pytest.raises(ValueError, match="leave_out: 'classif"):
        checkpoint.start_from(network(), [start(encoder, "encoder.", ["classif.*"])], [])
    other = written(tmp_path / "o", values | {"decoder.weight": torch.zeros(1, 4)})
    with pytest.raises(ValueError, match=r"'decoder.weight' has shape \(1, 4\), the model's is \(1, 3\)"):
        checkpoint.start_from(network(), [start(other)], [])


def etenet(tmp_path, name="c"):
    from retake.methods.etenet.model import build

    torch.manual_seed(0)
    model = build(**model_sizes(), **WORDS)
    path = tmp_path / f"{name}.safetensors"
    checkpoint.save(path, model, sizes=model_sizes(), prepared=WORDS, recipe_sha256="0")
    return model, path


def test_a_checkpoint_builds_its_model_again(tmp_path):
    model, path = etenet(tmp_path)
    again = checkpoint.load(ETENET, path)
    assert not again.training
    assert again.vocabulary.words == WORDS["vocabulary"]
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in model.state_dict().items())


def test_the_same_weights_are_the_same_bytes(tmp_path):
    assert len({etenet(tmp_path, name)[1].read_bytes() for name in "abcd"}) == 1


def test_a_foreign_or_broken_file_is_named(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ValueError, match=r"foreign\.safetensors: no checkpoint of ours"):
        checkpoint.load(ETENET, tmp_path / "foreign.safetensors")
    (tmp_path / "broken").write_bytes(b"not tensors")
    with pytest.raises(ValueError, match="broken: cannot be read as safetensors"):
        checkpoint.read_tensors(tmp_path / "broken")


def test_a_tensor_with_two_names_is_stored_once_and_read_under_both(tmp_path):
    tied = nn.ModuleDict({"a": nn.Linear(2, 2, bias=False), "b": nn.Linear(2, 2, bias=False)})
    tied["b"].weight = tied["a"].weight
    tensors, aliases = checkpoint.state_of(tied)
    assert (list(tensors), aliases) == (["a.weight"], {"b.weight": "a.weight"})
    path = written(tmp_path / "t", tensors, {"aliases": aliases})
    apart = nn.ModuleDict({"a": nn.Linear(2, 2, bias=False), "b": nn.Linear(2, 2, bias=False)})
    checkpoint.start_from(apart, [start(path)], [])
    assert torch.equal(apart["b"].weight, tied["a"].weight)


def test_a_write_that_fails_leaves_the_file_before(tmp_path, monkeypatch):
    path = written(tmp_path / "x", {"a": torch.zeros(1)})
    before = path.read_bytes()

    def fails(tensors, file, metadata):
        file.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(checkpoint, "save_file", fails)
    with pytest.raises(OSError, match="no space"):
        checkpoint.write_tensors(path, {"a": torch.ones(1)}, {})
    assert path.read_bytes() == before


def test_a_model_that_a_file_fills_is_not_drawn_and_another_one_is():
    with checkpoint.Undrawn():
        before = torch.get_rng_state()
        nn.Linear(4, 4)
        nn.init.normal_(nn.Embedding(3, 2).weight)
        kept = torch.full((2,), 7.0)
        assert kept.normal_() is kept
        assert kept.tolist() == [0.0, 0.0]
        endless = torch.full((2,), torch.inf)  # as fresh memory may be: no draw within two deviations
        assert nn.init.trunc_normal_(endless).tolist() == [0.0, 0.0]
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.zeros(2).add_(1).tolist() == [1.0, 1.0]  # all else is as ever
    assert not torch.equal(kept.normal_(), torch.full((2,), 7.0))


def test_a_truncated_draw_that_is_left_out_looks_at_nothing(monkeypatch):
    """What lies in fresh memory may be beyond its bounds, and what is drawn in its place lies there, too."""
    monkeypatch.setattr(checkpoint, "LARGE", 8)
    monkeypatch.setattr(torch, "empty_like", lambda *a, **k: pytest.fail("drawn anew"))
    there = torch.full((8,), 9.0)
    with checkpoint.Undrawn() as draws:
        nn.init.trunc_normal_(there)
    assert [id(t) for t in draws.drawn] == [id(there)]
    assert there.tolist() == [9.0] * 8


def test_a_truncated_draw_is_one_however_often_it_is_drawn_anew():
    bounded, left, last = (torch.zeros(64) for _ in range(3))
    with checkpoint.Undrawn(save={0, 2}) as draws:
        nn.init.trunc_normal_(bounded, a=-0.5, b=0.5)  # 38% of the numbers suit at the first time
        nn.init.normal_(left)
        nn.init.normal_(last)
    assert len(draws.drawn) == 3
    assert 0 < bounded.abs().max() <= 0.5
    assert not left.any()
    assert last.any()
    alone = nn.init.trunc_normal_(torch.full((64,), 9.0))  # as torch has it, once more
    assert alone.abs().max() <= 2


def test_what_is_large_in_a_file_is_not_copied_and_training_leaves_the_file_as_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "LARGE", 6)
    path, model = written(tmp_path / "whole", network().state_dict()), network()
    checkpoint.start_from(model, [start(path)], [])
    large, small = model["encoder"][0].weight, model["decoder"].weight  # of 6 numbers, and of 3
    maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    ends = [map(partial(int, base=16), words[0].split("-")) for words in maps if words[-1] == str(path)]
    places = [range(*two) for two in ends]
    assert any(large.data_ptr() in place for place in places)
    assert not any(small.data_ptr() in place for place in places)
    before = path.read_bytes()
    with torch.no_grad():
        large.add_(1)
    assert path.read_bytes() == before


@pytest.mark.parametrize("tied", [True, False])
def test_large_parameters_that_are_one_stay_one_and_others_do_not_become_one(tmp_path, monkeypatch, tied):
    monkeypatch.setattr(checkpoint, "LARGE", 1)
    one = nn.Linear(2, 2)
    path = tmp_path / "c"
    model = nn.ModuleDict({"a": one, "b": one})
    checkpoint.save(path, model, sizes={}, prepared={}, recipe_sha256="")
    other = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    if tied:
        other["b"] = other["a"]
    checkpoint.start_from(other, [start(path)], [])
    assert torch.equal(other["b"].weight, one.weight)
    with torch.no_grad():
        other["a"].weight.zero_()
    assert torch.equal(other["b"].weight, torch.zeros(2, 2) if tied else one.weight)


@pytest.mark.parametrize("large", [True, False])
def test_what_gigabytes_of_files_give_is_not_drawn_first(parts, monkeypatch, large):
    values, encoder, _ = parts
    monkeypatch.setattr(checkpoint, "DRAWN_UP_TO", 0 if large else 2**28)

    def build():
        return nn.ModuleDict(
            {"encoder": nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), "decoder": nn.Linear(3, 1)}
        )

    torch.manual_seed(5)
    wanted = nn.Linear(3, 1) if large else build()["decoder"]
    torch.manual_seed(5)
    model, _ = checkpoint.started(build, [start(encoder, "encoder.", ["fc.*"])], ["decoder.*"])
    assert torch.equal(model["decoder"].weight, wanted.weight)
    assert torch.equal(model["decoder"].bias, wanted.bias)
    assert torch.equal(model["encoder"][0].weight, values["encoder.0.weight"])
