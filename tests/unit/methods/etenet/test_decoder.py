"""The decoder against the equations, written out once more in numpy."""

import numpy as np
import pytest
import torch

from retake.methods.etenet.decoder import Decoder
from retake.methods.etenet.text import SOS, UNK

V, C, E, H, A = 7, 5, 4, 6, 3


@pytest.fixture
def decoder():
    torch.manual_seed(1)
    return Decoder(
        vocabulary=V, feature_width=C, embedding=E, hidden=H, attention=A, dropout=0.0, word_dropout=0.0
    ).double()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(decoder, features, words):
    """Logits and attention of one caption, from the paper's equations alone. features (T, C)."""
    w = {name: p.detach().numpy() for name, p in decoder.named_parameters()}
    mean = features.mean(axis=0)
    h = np.tanh(w["first_hidden.weight"] @ mean + w["first_hidden.bias"])  # (16)
    c = np.tanh(w["first_cell.weight"] @ mean + w["first_cell.bias"])  # (17)
    logits, attention = [], []
    for word in words:
        before = w["embed.weight"][word]
        e = [
            w["attend.score.weight"][0]
            @ np.tanh(
                w["attend.of_hidden.weight"] @ h + w["attend.of_frame.weight"] @ v + w["attend.of_frame.bias"]
            )
            + w["attend.score.bias"][0]
            for v in features
        ]  # (3)
        alpha = np.exp(e) / np.exp(e).sum()  # (4)
        beta = sigmoid(w["attend.gate.weight"][0] @ h + w["attend.gate.bias"][0])  # (5)
        context = beta * alpha @ features  # (6)
        z = np.concatenate([context, before])  # (7)
        gates = w["lstm.weight_ih"] @ z + w["lstm.bias_ih"] + w["lstm.weight_hh"] @ h + w["lstm.bias_hh"]
        i, f, g, o = np.split(gates, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)  # (8)-(12)
        h = sigmoid(o) * np.tanh(c)  # (13)
        u = w["mix.weight"] @ np.concatenate([context, h]) + before + w["mix.bias"]  # (14)
        logits.append(w["predict_word.weight"] @ np.tanh(u) + w["predict_word.bias"])  # (15)
        attention.append(alpha)
    return np.array(logits), np.array(attention)


def test_it_computes_the_papers_equations(decoder):
    features = torch.randn(2, 4, C, dtype=torch.double)
    keep = torch.tensor([[True] * 4, [True, True, False, False]])
    words = torch.tensor([[SOS, 3, 5], [SOS, 6, 4]])
    logits, attention = decoder(features, keep, words)
    for item, kept in ((0, 4), (1, 2)):
        wanted, weights = by_hand(decoder, features[item, :kept].numpy(), words[item].tolist())
        assert np.allclose(logits[item].detach().numpy(), wanted, atol=1e-12)
        assert np.allclose(attention[item, :, :kept].detach().numpy(), weights, atol=1e-12)


def test_attention_sums_to_one_over_the_frames_that_are_kept(decoder):
    keep = torch.tensor([[True, True, False]])
    _, attention = decoder(torch.randn(1, 3, C, dtype=torch.double), keep, torch.tensor([[SOS, 3]]))
    assert torch.allclose(attention.sum(dim=2), torch.ones(1, 2, dtype=torch.double))
    assert not attention[:, :, 2].any()


def test_what_stands_on_padded_frames_is_never_read(decoder):
    features = torch.randn(1, 3, C, dtype=torch.double)
    keep = torch.tensor([[True, True, False]])
    before = decoder(features, keep, torch.tensor([[SOS, 3]]))[0]
    features[:, 2] = float("nan")
    assert torch.equal(decoder(features, keep, torch.tensor([[SOS, 3]]))[0], before)


def test_a_video_without_a_frame_is_an_error(decoder):
    with pytest.raises(ValueError, match="keeps no frame"):
        decoder(torch.zeros(1, 2, C).double(), torch.zeros(1, 2, dtype=torch.bool), torch.tensor([[SOS]]))


def test_word_dropout_hides_words_in_training_alone(decoder):
    decoder.word_dropout = 1.0
    features, keep = torch.randn(1, 2, C, dtype=torch.double), torch.ones(1, 2, dtype=torch.bool)
    hidden = decoder.train()(features, keep, torch.tensor([[3, 4]]))[0]
    assert torch.equal(hidden, decoder.eval()(features, keep, torch.tensor([[UNK, UNK]]))[0])
    assert not torch.equal(hidden, decoder(features, keep, torch.tensor([[3, 4]]))[0])


def test_dropout_is_of_training_alone(decoder):
    decoder.dropout = 0.5
    args = (
        torch.randn(1, 2, C, dtype=torch.double),
        torch.ones(1, 2, dtype=torch.bool),
        torch.tensor([[SOS, 4]]),
    )
    decoder.train()
    assert not torch.equal(decoder(*args)[0], decoder(*args)[0])
    decoder.eval()
    assert torch.equal(decoder(*args)[0], decoder(*args)[0])
