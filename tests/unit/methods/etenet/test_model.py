"""EtENet's loss, inputs and sizes."""

import math

import pytest
import torch

from retake.methods.etenet.model import build, prepare
from retake.methods.etenet.text import SPECIALS
from retake.training.stages import norms_of

WORDS = [*SPECIALS, "a", "dog", "runs"]
SIZES = {
    "encoder": None, "feature_width": 5, "embedding": 4, "hidden": 6, "attention": 3, "dropout": 0.0,
    "word_dropout": 0.0, "dsa_weight": 0.5, "dsa_divisor": "frames", "min_count": 1, "max_words": None,
}  # fmt: skip
ENCODER = {
    "name": "resnet18", "arguments": {"layers": [1, 1, 1, 1], "channels": [4, 4, 5, 5], "stem_width": 8},
    "mean": [0.5] * 3, "std": [0.5] * 3,
}  # fmt: skip


def model_of(**changes):
    torch.manual_seed(0)
    return build(**(SIZES | changes), vocabulary=WORDS)


def batch_of(captions, frames=4):
    torch.manual_seed(1)
    keep = torch.ones(len(captions), frames, dtype=torch.bool)
    return {"features": torch.randn(len(captions), frames, 5), "keep": keep, "text_out": captions}


def test_the_loss_is_likelihood_of_words_and_end_plus_weighted_attention_gap():
    model, batch = model_of(), batch_of(["a dog", "a dog runs"])
    batch["keep"][0, 3] = False
    losses = model.losses(batch)
    words = torch.tensor([[3, 4, 0, -1], [3, 4, 5, 0]])
    logits, attention = model.decoder(
        batch["features"], batch["keep"], torch.tensor([[2, 3, 4, 0], [2, 3, 4, 5]])
    )
    nll = dsa = 0.0
    for item, (length, kept) in enumerate([(3, 3), (4, 4)]):
        spoken = logits[item, :length].log_softmax(dim=1)
        nll -= sum(spoken[t, words[item, t]] for t in range(length))
        dsa += ((1 - attention[item, :length, :kept].sum(dim=0)) ** 2).mean()
    assert losses["nll"].item() == pytest.approx(nll.item(), rel=1e-5)
    assert losses["dsa"].item() == pytest.approx(dsa.item(), rel=1e-5)
    assert losses["total"].item() == pytest.approx((nll + 0.5 * dsa).item(), rel=1e-5)
    assert losses["count"].item() == 2


def test_uniform_attention_over_as_many_frames_as_words_leaves_no_gap():
    model = model_of()
    model.decoder.attend.score.weight.data.zero_()
    losses = model.losses(batch_of(["a dog runs"], frames=4))  # three words and the end: four steps
    assert losses["dsa"].item() == pytest.approx(0.0, abs=1e-10)


@pytest.mark.parametrize(("divisor", "factor"), [("frames", 1.0), ("features", 4 / 5), ("none", 4.0)])
def test_the_gap_is_divided_by_frames_features_or_nothing(divisor, factor):
    batch = batch_of(["a dog"])
    by_frames = model_of().losses(batch)["dsa"].item()
    assert model_of(dsa_divisor=divisor).losses(batch)["dsa"].item() == pytest.approx(
        by_frames * factor, rel=1e-5
    )


def test_captions_of_one_batch_add_up():
    model = model_of()
    both, batch = model.losses(batch_of(["a dog", "runs"])), batch_of(["a dog", "runs"])
    parts = [model.losses({k: v[i : i + 1] for k, v in batch.items()})["total"].item() for i in range(2)]
    assert both["total"].item() == pytest.approx(sum(parts), rel=1e-5)


def test_rows_that_show_one_video_are_encoded_once_to_the_same_end():
    model = model_of(encoder=ENCODER)
    torch.manual_seed(2)
    frames = torch.rand(3, 3, 2, 32, 32)
    frames[2] = frames[0]
    batch = {"frames": frames, "keep": torch.ones(3, 2, dtype=torch.bool), "text_out": ["a", "dog", "runs"]}
    model.eval()
    seen = []
    model.encoder.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    apart = model.losses(batch)["total"]
    shared = model.losses(batch | {"same_as": torch.tensor([0, 1, 0])})["total"]
    assert shared.item() == pytest.approx(apart.item(), rel=1e-5)
    assert seen == [6, 4]


def test_reading_frames_without_an_encoder_says_so():
    with pytest.raises(ValueError, match="this stage reads features"):
        model_of().losses(
            {"frames": torch.zeros(1), "keep": torch.ones(1, 1, dtype=torch.bool), "text_out": ["a"]}
        )


def test_it_is_prepared_from_the_training_captions():
    rows = [{"text_out": "A dog!"}, {"text_out": "a cat"}]
    assert prepare(rows, SIZES) == {"vocabulary": [*SPECIALS, "a", "cat", "dog"]}
    assert prepare(rows, SIZES | {"min_count": 2}) == {"vocabulary": [*SPECIALS, "a"]}


def test_a_vocabulary_over_the_limit_is_refused():
    with pytest.raises(ValueError, match="max_words is 2"):
        model_of(max_words=2)


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("embedding", "attention", "wanted"),
    [
        (486, 256, 19_964_744), (486, 512, 20_489_544), (486, 1536, 22_588_744),
        (468, 256, 19_458_998), (468, 512, 19_983_798), (468, 1536, 22_082_998),
    ],
)  # fmt: skip
def test_the_decoder_has_the_papers_size(embedding, attention, wanted):
    vocabulary = SPECIALS + [str(n) for n in range(12_000 - len(SPECIALS))]
    sizes = SIZES | {"feature_width": 1536, "hidden": 512, "embedding": embedding, "attention": attention}
    with torch.device("meta"):
        assert count(build(**sizes, vocabulary=vocabulary).decoder) == wanted


def test_the_encoder_has_the_papers_size():
    encoder = ENCODER | {"name": "inception_resnet_v2", "arguments": {}}
    with torch.device("meta"):
        model = build(**(SIZES | {"encoder": encoder, "feature_width": 1536}), vocabulary=WORDS)
    norms = norms_of(model, ["encoder.*"])
    assert count(model.encoder) == 54_306_464
    assert model.encoder.num_features == 1536
    assert len(norms) == 204
    assert sum(p.numel() for norm in norms.values() for p in norm.parameters()) == 60_544


def test_at_first_every_word_is_about_as_likely():
    model = model_of()
    losses = model.losses(batch_of(["a dog runs"]))
    assert losses["nll"].item() / 4 == pytest.approx(math.log(len(WORDS)), rel=0.5)
