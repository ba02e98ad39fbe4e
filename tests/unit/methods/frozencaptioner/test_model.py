"""FrozenCaptioner as a whole: what gates do, what trains, what the loss is, and that it learns."""

import math

import pytest
import torch

from retake.methods.frozencaptioner.model import build, rows_of, training_metrics
from retake.training.stages import Freezer
from tests.unit.methods.frozencaptioner.small import (
    LANGUAGE,
    SIZES,
    TOKENIZER,
    C,
    batch_of,
    captioner,
    published,
    videos,
)
from tests.unit.methods.frozencaptioner.test_language import PUBLISHED

WAYS = ["separable", "axial", "full", "perceiver"]
WORDS = torch.tensor([[2, 4, 5, 6, 4], [2, 6, 6, 5, 5]])


def scores(model, features, keep, words=WORDS):
    return model.score(words, model.look({"features": features, "keep": keep}))


@pytest.mark.parametrize("attention", WAYS)
@pytest.mark.parametrize("gate", ["vector", "scalar"])
@torch.no_grad()
def test_with_gates_at_0_the_answers_are_the_language_models_to_the_bit(attention, gate):
    model = captioner(attention=attention, gate=gate)
    assert torch.equal(scores(model, *videos()), published(model.language)(WORDS).logits)


@torch.no_grad()
def test_with_gates_at_1_each_branch_of_each_layer_changes_them():
    features, keep = videos()
    plain = published(captioner().language)(WORDS).logits
    for layer in SIZES["adapter_layers"]:
        for branch in ("attention_gate", "feed_gate"):
            model = captioner()
            getattr(model.adapters.layers[str(layer)], branch).value.fill_(1.0)
            assert not torch.allclose(scores(model, features, keep), plain, atol=1e-6), (layer, branch)


@pytest.mark.parametrize("attention", WAYS)
@torch.no_grad()
def test_with_gates_at_1_another_video_changes_them(attention):
    model = captioner(attention=attention, gate_start=1.0)
    features, keep = videos()
    found = scores(model, features, keep)
    assert not torch.allclose(found, scores(model, features + torch.randn(C), keep), atol=1e-6)
    features[1, 2] = 9.0  # a padded frame
    assert torch.equal(found, scores(model, features, keep))


@torch.no_grad()
def test_words_do_not_see_those_behind_them_and_frames_are_all_seen_by_the_first():
    model, (features, keep) = captioner(gate_start=1.0), videos()
    found = scores(model, features, keep)
    other = WORDS.clone()
    other[:, 3:] = 4
    assert torch.allclose(scores(model, features, keep, other)[:, :3], found[:, :3], atol=1e-6)
    for frame in range(2):
        moved = features.clone()
        moved[:, frame, :, 0] += 2
        assert not torch.allclose(scores(model, moved, keep)[:, 0], found[:, 0], atol=1e-6)


@pytest.mark.parametrize("attention", WAYS)
@pytest.mark.parametrize("start", [0.0, 1.0])
def test_adapters_train_and_nothing_else_has_a_gradient(attention, start):
    model = captioner(attention=attention, gate_start=start)
    freezer = Freezer(model, ["adapters.*"], {"frozen": [], "affine": "frozen"})
    freezer.train()
    model.losses(batch_of(["abc", "b"]))["total"].backward()
    graded = {name for name, p in model.named_parameters() if p.grad is not None}
    assert graded == {name for name, _ in model.named_parameters() if name.startswith("adapters.")}
    assert not model.language.training
    moves = [p.grad.abs().max() for name, p in model.named_parameters() if name.endswith("_gate.value")]
    assert len(moves) == 12
    assert min(moves) > 0  # at 0 it is the gates that begin


def test_there_is_no_graph_below_the_first_adapter():
    model = captioner(gate_start=1.0)
    model.language.requires_grad_(True)  # even then
    seen = {}
    for number, layer in enumerate(model.language.model.decoder.layers):
        layer.register_forward_hook(lambda m, i, out, n=number: seen.update({n: out.requires_grad}))
    scores(model, *videos())
    assert [n for n, graph in seen.items() if graph] == list(range(12, 24))


def test_a_stage_that_would_train_the_language_model_is_refused():
    model = captioner()
    Freezer(model, ["*"], {"frozen": [], "affine": "frozen"})
    with pytest.raises(ValueError, match=r"`trainable` may name adapters\.\* only"):
        model.losses(batch_of(["a"]))


@torch.no_grad()
def test_the_loss_is_the_likelihood_of_the_words_and_of_the_end():
    model, batch = captioner(gate_start=1.0), batch_of(["ab", "caab"])
    losses, nll = model.losses(batch), 0.0
    for row, ids in enumerate([[4, 5, 2], [6, 4, 4, 5, 2]]):
        one = {"features": batch["features"][row : row + 1], "keep": batch["keep"][row : row + 1]}
        for n, word in enumerate(ids):
            before = torch.tensor([[2, *ids[:n]]])
            nll -= model.score(before, model.look(one))[0, -1].log_softmax(dim=0)[word].item()
    assert losses["total"].item() == pytest.approx(nll, rel=1e-5)
    assert losses["count"].item() == 3 + 5


@torch.no_grad()
def test_a_caption_that_is_too_long_is_cut_and_has_no_end():
    model = captioner(max_tokens=3)
    words, say = model.words(["abca", "ab", "abc"], torch.device("cpu"))
    assert words.tolist() == [[2, 4, 5], [2, 4, 5], [2, 4, 5]]
    assert say.tolist() == [[4, 5, 6], [4, 5, 2], [4, 5, 6]]
    words, say = model.words(["a", "ab"], torch.device("cpu"))
    assert words.tolist() == [[2, 4, 1], [2, 4, 5]]
    assert say.tolist() == [[4, 2, -100], [4, 5, 2]]


@torch.no_grad()
def test_rows_that_show_one_video_look_at_it_once_to_the_same_end():
    model, batch = captioner(gate_start=1.0), batch_of(["ab", "c", "ba"])
    batch["features"][2], batch["keep"][2] = batch["features"][0], batch["keep"][0]
    seen = []
    model.adapters.layers["12"].attention.over_time.key.register_forward_hook(
        lambda module, inputs, output: seen.append(len(inputs[0]))
    )
    apart = model.losses(batch)["total"].item()
    shared = model.losses(batch | {"same_as": torch.tensor([0, 1, 0])})["total"].item()
    assert shared == pytest.approx(apart, rel=1e-6)
    assert seen == [3, 2]


def test_an_image_is_a_video_of_one_frame():
    model = captioner(gate_start=1.0)
    features, keep = videos(frames=3)
    picture = features[:1, :1]
    among = torch.cat([picture, torch.zeros_like(features[:1, 1:])], dim=1)
    kept = torch.tensor([[True, False, False]])
    found = scores(model, picture, kept[:, :1], WORDS[:1])
    assert torch.allclose(found, scores(model, among, kept, WORDS[:1]), atol=1e-6)
    assert not torch.allclose(found, scores(model, features[:1], keep[:1], WORDS[:1]), atol=1e-4)


def test_it_learns_to_name_what_the_features_show():
    sizes = {"language": LANGUAGE | {"layers": 4}, "adapter_layers": [1, 3], "gate_start": 1.0}
    model = captioner(**sizes)
    Freezer(model, ["adapters.*"], {"frozen": [], "affine": "frozen"})
    torch.manual_seed(2)
    features = 0.1 * torch.randn(4, 3, 4, C)
    for n in range(4):
        features[n, :, n % 2, n] += 2.0
    batch = {
        "features": features, "keep": torch.ones(4, 3, dtype=torch.bool), "text_out": ["ab", "ba", "cc", "acb"],
    }  # fmt: skip
    optimiser = torch.optim.Adam(model.adapters.parameters(), lr=1e-2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    first = model.losses(batch)["total"].item()
    for _ in range(80):
        optimiser.zero_grad()
        model.losses(batch)["total"].backward()
        optimiser.step()
    assert model.losses(batch)["total"].item() < first / 5
    assert [row["text"] for row in model.predict(batch, {"beam": 1, "max_len": 6})] == batch["text_out"]
    after = model.state_dict()
    assert all(torch.equal(after[n], t) for n, t in before.items() if n.startswith("language."))
    assert 0 < training_metrics(before, after)["gate_move"] < 1


def test_answers_are_those_of_the_longest_beam_asked_for():
    model = captioner(gate_start=1.0)
    batch = batch_of(["a", "b"])
    for beam in (1, 3):
        rows = model.predict(batch, {"beam": beam, "max_len": 4})
        assert [sorted(row) for row in rows] == [["text"], ["text"]]
        assert model.predict(batch, {"beam": beam, "max_len": 4}) == rows
        assert all(len(row["text"]) <= 4 for row in rows)


@pytest.mark.parametrize("layers", [[], [14, 12], [12, 12], [12, 24]])
def test_layers_that_are_not_there_or_not_in_order_are_refused(layers):
    with pytest.raises(ValueError, match="adapter_layers: expected rising numbers below 24"):
        captioner(adapter_layers=layers)


def test_a_tokenizer_with_more_tokens_than_the_language_model_is_refused():
    with pytest.raises(ValueError, match="tokenizer: has 7 tokens, the language model 6"):
        captioner(language=LANGUAGE | {"words": 6})


def test_frames_where_features_are_read_are_named():
    with pytest.raises(ValueError, match=r"this model reads features, the batch has \['frames', 'keep'\]"):
        captioner().look({"frames": torch.zeros(1), "keep": torch.ones(1, 1, dtype=torch.bool)})


@pytest.fixture(scope="module")
def full_size():
    sizes = SIZES | {
        "language": PUBLISHED, "feature_width": 768, "heads": 32, "head_width": 64, "latents": 64, "max_tokens": 64,
    }  # fmt: skip
    with torch.device("meta"):
        return {way: build(**(sizes | {"attention": way}), tokenizer=TOKENIZER) for way in WAYS}


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_at_the_papers_size_adapters_are_what_their_layers_add_up_to(full_size):
    d, c = 2048, 768
    cross = 2 * c + d * d + 2 * c * d + d * d  # norm, query, key and value, answer
    rest = 2 * d + 2 * d + 8 * d * d + 2 * d  # norms, feed-forward of four times the width, two gates
    resampler = 64 * c + 2 * c + (2 * c + 2 * c * d + 2 * c * d) + 2 * c + 8 * c * c
    assert count(full_size["separable"].adapters) == 6 * (2 * cross + 2 * d * d + rest) == 390_162_432
    assert count(full_size["axial"].adapters) == count(full_size["separable"].adapters)
    assert count(full_size["full"].adapters) == 6 * (cross + rest)
    assert count(full_size["perceiver"].adapters) == 6 * (cross + rest) + resampler
    for model in full_size.values():
        assert count(model.language) == 1_315_758_080
        assert count(model) == count(model.language) + count(model.adapters)


def test_at_first_every_word_is_about_as_likely():
    losses = captioner(gate_start=1.0).losses(batch_of(["abc", "b"]))
    assert losses["total"].item() / losses["count"].item() == pytest.approx(math.log(8), rel=0.5)


def test_captions_of_about_one_length_are_read_at_once_and_padding_is_not_asked(monkeypatch):
    """By hand: of lengths 5, 2, 4, 3, two at a time, 5 and 4 are read with 5 places, 3 and 2 with 3."""
    batch = batch_of(["abca", "a", "abc", "ab"])
    whole = captioner(gate_start=1.0).losses(batch)
    monkeypatch.setattr("retake.methods.frozencaptioner.model.TOGETHER", 2)
    model, read, told = captioner(gate_start=1.0), [], []
    model.language.model.decoder.layers[0].register_forward_hook(
        lambda m, i, out: read.append(tuple(out.shape))
    )
    model.language.model.decoder.final_layer_norm.register_forward_hook(
        lambda m, i, out: told.append(len(out))
    )
    apart = model.losses(batch)
    assert read == [(2, 5, 16), (2, 3, 16)]
    assert told == [5 + 4, 3 + 2]
    assert apart["total"].item() == pytest.approx(whole["total"].item(), rel=1e-6)
    assert apart["count"].item() == whole["count"].item() == 5 + 2 + 4 + 3


def test_keys_are_copied_only_where_rows_are_left_out_moved_or_repeated():
    keys = {2: (torch.arange(6.0).view(3, 2), torch.arange(3))}
    assert rows_of(keys, torch.arange(3)) is keys
    for rows in ([0, 1], [1, 0, 2], [0, 1, 2, 2]):
        found = rows_of(keys, torch.tensor(rows))[2]
        assert found[1].tolist() == rows
        assert torch.equal(found[0], keys[2][0][rows])


def test_each_caption_is_told_of_its_own_video_however_they_are_sorted(monkeypatch):
    batch = batch_of(["a", "abca", "ab"])
    monkeypatch.setattr("retake.methods.frozencaptioner.model.TOGETHER", 1)
    model = captioner(gate_start=1.0)
    alone = [
        model.losses({key: value[n : n + 1] for key, value in batch.items()})["total"].item()
        for n in range(3)
    ]
    assert model.losses(batch)["total"].item() == pytest.approx(sum(alone), rel=1e-6)
