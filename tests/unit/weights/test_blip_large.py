"""BLIP at a small size against the library's own generation, files in both layouts, and the published size counted."""

import json

import pytest
import torch
from torch.nn.functional import interpolate

from retake.schema.card import read_weights_card
from retake.weights.blip_large import model as blip
from tests.unit.labelling.stand_in import stand_in

stand_in()
CARD = read_weights_card("retake/weights/blip_large/card.yaml")
VISION = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
          "image_size": 16, "patch_size": 4}  # fmt: skip
TEXT = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "max_position_embeddings": 40}  # fmt: skip
SIZES = {"vision": VISION, "text": TEXT, "prompt": "a picture of ", "label_smoothing": 0.0, "vocabulary": 60}
CAPTIONS = ["A red dog runs.", "a blue cat sits", "Two red birds fly by the sea", "a green man opens a box"]
PROMPT = SIZES["prompt"]


def rows(captions=CAPTIONS):
    return [{"text_out": caption} for caption in captions]


@pytest.fixture
def made():
    torch.manual_seed(1)
    model = blip.build(**SIZES, **blip.prepare(rows(), SIZES)).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # at its start a network says one thing of every picture
            parameter.mul_(3)
    return model


def pictures(count: int = 3, size: int = 16) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(5))


def batch(captions=CAPTIONS, size: int = 16):
    return {"frames": pictures(len(captions), size).unsqueeze(2), "text_out": captions}


def test_the_published_network_has_its_parameters():
    """METHODS 3.6: 446.3 million, tied tensors once."""
    lines = blip.SPECIALS + [f"word{n}" for n in range(30522 - len(blip.SPECIALS))]
    with torch.device("meta"):
        model = blip.build(**CARD.paper.model, tokenizer={"vocab.txt": "".join(f"{x}\n" for x in lines)})
    assert round(sum(parameter.numel() for parameter in model.parameters()) / 1e6, 1) == 446.3
    text = model.network.config.text_config
    assert (text.vocab_size, text.bos_token_id, model.begin) == (30524, 30522, 30522)


@torch.no_grad()
@pytest.mark.parametrize(("penalty", "shortest"), [(1.0, 0), (1.4, 9)])
def test_the_likeliest_sentence_is_the_librarys(made, penalty, shortest):
    encoded = made.encode(pictures())
    words = [made.begin, *made.tokens(PROMPT)]
    given = {"repetition_penalty": penalty, "min_length": shortest, "max_length": 14}
    said = made.captions(encoded, [0, 0, 0], PROMPT, top_p=1.0, top_k=1, **given)
    theirs = made.network.generate(
        made.scale(pictures()),
        input_ids=torch.tensor([[*words, made.end]] * 3),
        do_sample=False,
        num_beams=1,
        **given,
    )
    expected = []
    for row in theirs.tolist():
        row = row[len(words) :]
        row = row[: row.index(made.end)] if made.end in row else row
        expected.append(made.tokenizer.decode([t for t in row if t < made.begin]).strip())
    assert said == expected
    assert any(said)


@torch.no_grad()
def test_sentences_do_not_hang_on_their_batch(made):
    given = {"top_p": 0.9, "repetition_penalty": 1.1, "min_length": 6, "max_length": 14}
    seeds = [11, 12, 13]
    together = made.captions(made.encode(pictures()), seeds, PROMPT, **given)
    alone = [
        made.captions(made.encode(pictures()[n : n + 1]), seeds[n : n + 1], PROMPT, **given)[0]
        for n in range(3)
    ]
    assert together == alone
    assert together != made.captions(made.encode(pictures()), [1, 2, 3], PROMPT, **given)


@torch.no_grad()
def test_positions_are_interpolated_bicubically_where_pictures_have_another_size(made):
    other = blip.build(**SIZES | {"vision": VISION | {"image_size": 24}}, tokenizer=made.tokenizer_files)
    tensors, _, _ = blip.published(made, SIZES)
    name = "vision_model.embeddings.position_embedding"
    grid = tensors[name][:, 1:].reshape(1, 4, 4, 24).permute(0, 3, 1, 2)
    grid = (
        interpolate(grid, size=(6, 6), mode="bicubic", align_corners=False)
        .permute(0, 2, 3, 1)
        .reshape(1, 36, 24)
    )
    blip.fill(other, tensors | {name: torch.cat([tensors[name][:, :1], grid], dim=1)})
    seen = made.encode(pictures(size=24))
    assert seen.shape == (3, 37, 24)
    assert torch.allclose(seen, other.eval().encode(pictures(size=24)), atol=1e-5)


def test_a_size_that_cuts_patches_is_refused(made):
    made.check_size(320)
    with pytest.raises(ValueError, match="size: 18 px is no multiple of the patches' 4 px"):
        made.check_size(18)


def test_what_is_learnt_are_the_captions_tokens_and_the_end(made):
    words, learnt = made.rows(CAPTIONS, torch.device("cpu"))
    head = 1 + len(made.tokens(PROMPT))
    for row, kept, caption in zip(words.tolist(), learnt.tolist(), CAPTIONS, strict=True):
        said = made.tokens(caption.lower().replace(".", ""))
        assert row[:head] == [made.begin, *made.tokens(PROMPT)]
        assert row[head : head + len(said) + 1] == [*said, made.end]
        assert kept == [head <= n <= head + len(said) for n in range(len(row))]


def test_the_loss_is_the_sum_over_those_tokens_one_by_one(made):
    losses = made.losses(batch())
    total, count = 0.0, 0
    for n, caption in enumerate(CAPTIONS):
        words, learnt = made.rows([caption], torch.device("cpu"))
        encoded = made.encode(pictures(len(CAPTIONS))[n : n + 1])
        logits = made.network.text_decoder(words, encoder_hidden_states=encoded).logits[0].log_softmax(dim=1)
        for at in range(1, words.shape[1]):
            if learnt[0, at]:
                total, count = total - float(logits[at - 1, words[0, at]].detach()), count + 1
    assert float(losses["count"]) == count
    assert float(losses["total"].detach()) == pytest.approx(total, rel=1e-5)
    assert float(losses["nll"]) == pytest.approx(total, rel=1e-5)
    again = made.losses(batch() | {"same_as": torch.arange(len(CAPTIONS))})
    assert float(again["total"].detach()) == pytest.approx(total, rel=1e-5)


def test_words_are_scored_only_after_tokens_that_are_learnt_from(made):
    scored = []
    made.network.text_decoder.cls.register_forward_hook(lambda m, i, out: scored.append(tuple(out.shape)))
    losses = made.losses(batch())
    words = made.network.config.text_config.vocab_size
    assert scored == [(int(losses["count"]), words)]


def test_a_picture_with_several_captions_is_looked_at_once(made, monkeypatch):
    looked = []
    encode = made.encode
    monkeypatch.setattr(made, "encode", lambda frames: looked.append(len(frames)) or encode(frames))
    frames = pictures(2).unsqueeze(2)[torch.tensor([0, 0, 1, 1])]
    shared = made.losses({"frames": frames, "text_out": CAPTIONS, "same_as": torch.tensor([0, 0, 2, 2])})
    apart = made.losses({"frames": frames, "text_out": CAPTIONS})
    assert looked == [2, 4]
    assert float(shared["total"].detach()) == pytest.approx(float(apart["total"].detach()), rel=1e-6)


def test_the_mini_network_learns_its_captions_by_heart():
    torch.manual_seed(1)
    model = blip.build(**SIZES, **blip.prepare(rows(), SIZES))
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(150):
        optimiser.zero_grad()
        losses = model.losses(batch())
        losses["total"].backward()
        optimiser.step()
    said = model.eval().predict(batch(), {"max_len": 30})
    assert [row["text"] for row in said] == [blip.cleaned(caption) for caption in CAPTIONS]


def test_the_vocabulary_is_the_same_each_time_and_no_larger_than_asked():
    many = rows([f"a {a} {b}" for a in ("red", "blue", "green") for b in ("dog", "cat", "bird", "house")] * 3)
    first = blip.prepare(many, SIZES)["tokenizer"]["vocab.txt"]
    assert all(blip.prepare(many, SIZES)["tokenizer"]["vocab.txt"] == first for _ in range(5))
    lines = first.splitlines()
    assert lines[: len(blip.SPECIALS)] == blip.SPECIALS
    assert len(lines) <= SIZES["vocabulary"]
    assert {"a", "red", "dog", "bird"} <= set(lines)
    with pytest.raises(ValueError, match=r"vocab.txt has \d+ tokens, vocabulary is 10"):
        blip.build(**SIZES | {"vocabulary": 10}, tokenizer={"vocab.txt": first})


@torch.no_grad()
def test_what_is_published_is_read_again_in_either_layout(made):
    tensors, config, files = blip.published(made, SIZES)
    assert not tensors.keys() & blip.TIED.keys()
    older = {name: tensor for name, tensor in tensors.items() if name != "text_decoder.cls.predictions.bias"}
    older["text_decoder.cls.predictions.decoder.bias"] = tensors["text_decoder.cls.predictions.bias"]
    older["text_decoder.bert.embeddings.position_ids"] = torch.arange(40).unsqueeze(0)
    given = {"top_p": 0.9, "max_length": 14}
    said = made.captions(made.encode(pictures()), [1, 2, 3], PROMPT, **given)
    for layout in (tensors, older):
        again = blip.from_config(json.loads(json.dumps(config)), files).eval()
        blip.fill(again, layout)
        assert again.captions(again.encode(pictures()), [1, 2, 3], PROMPT, **given) == said


def test_a_large_file_is_not_copied_and_halves_become_what_the_network_is_of(made, monkeypatch):
    monkeypatch.setattr(blip, "LARGE", 1)
    tensors, config, files = blip.published(made, SIZES)
    name = "vision_model.post_layernorm.weight"
    for given, copied in ((tensors, False), ({key: tensor.half() for key, tensor in tensors.items()}, True)):
        again = blip.from_config(json.loads(json.dumps(config)), files)
        blip.fill(again, given)
        own = again.network.state_dict()[name]
        assert (own.data_ptr() != given[name].data_ptr()) == copied
        assert own.dtype == torch.float32


def test_files_of_another_architecture_are_refused(made):
    tensors, config, files = blip.published(made, SIZES)
    with pytest.raises(
        ValueError, match=r"model_type: expected 'blip' \(BlipForConditionalGeneration\), not 'vit'"
    ):
        blip.from_config({"model_type": "vit"}, files)
    with pytest.raises(ValueError, match=r"vocab.txt is missing"):
        blip.from_config(config, {})
    with pytest.raises(ValueError, match=r"vocab.txt has 3 tokens; the network was made for \d+"):
        blip.from_config(config, {"vocab.txt": "[PAD]\n[CLS]\n[SEP]\n"})
    with pytest.raises(ValueError, match="another architecture: 1 names that BLIP does not have, first"):
        blip.fill(made, tensors | {"head.weight": torch.zeros(2)})
    name = "vision_model.post_layernorm.weight"
    with pytest.raises(
        ValueError, match=f"another architecture: 1 of BLIP's tensors are not there, first .*{name}"
    ):
        blip.fill(made, {key: tensor for key, tensor in tensors.items() if key != name})
    with pytest.raises(ValueError, match=rf"'{name}' has shape \(5,\), config.json says \(24,\)"):
        blip.fill(made, tensors | {name: torch.zeros(5)})


def test_sizes_are_complete_and_known():
    with pytest.raises(ValueError, match="vision: expected hidden_size"):
        blip.config_of(VISION | {"width": 3}, TEXT, ["[PAD]", "[SEP]"])
    lines = blip.prepare(rows(), SIZES)["tokenizer"]["vocab.txt"]
    for scale in (CARD.mini.model, CARD.paper.model):
        blip.config_of(scale["vision"], scale["text"], lines.splitlines())
