"""Gates, adapters and how far a gate has moved."""

import math

import pytest
import torch

from retake.methods.frozencaptioner.adapters import Adapter, Gate, gate_move
from retake.methods.frozencaptioner.attention import video_of
from tests.unit.methods.frozencaptioner.small import C, captioner, videos

SIZES = {
    "attention": "separable", "width": 10, "key_width": C, "heads": 2, "head_width": 4, "ffn_factor": 4,
    "gate": "vector", "gate_start": 1.0,
}  # fmt: skip


def test_a_gate_weighs_by_tanh_each_dimension_or_all_alike():
    x = torch.arange(6.0).view(2, 3)
    vector, scalar = Gate(3, kind="vector", start=1.0), Gate(3, kind="scalar", start=1.0)
    assert vector.value.shape == (3,)
    assert scalar.value.shape == (1,)
    assert torch.tanh(vector.value[0]).item() == pytest.approx(0.76159, abs=5e-6)
    assert torch.allclose(vector(x), x * math.tanh(1.0))
    vector.value.data = torch.tensor([0.0, 0.5, -2.0])
    assert torch.allclose(
        vector(x), torch.stack([0 * x[:, 0], math.tanh(0.5) * x[:, 1], -math.tanh(2) * x[:, 2]], 1)
    )
    with pytest.raises(ValueError, match="gate must be vector or scalar, found 'matrix'"):
        Gate(3, kind="matrix", start=0.0)


@torch.no_grad()
def test_an_adapter_is_two_gated_residuals_that_norm_what_they_read():
    torch.manual_seed(0)
    adapter, (features, keep), words = Adapter(**SIZES), videos(), torch.randn(2, 4, 10)
    keys = adapter.attention.keys(adapter.attention.pooled(video_of(features, keep, C)))
    middle = words + math.tanh(1) * adapter.attention(torch.nn.functional.layer_norm(words, (10,)), keys)
    _, up, _, down = adapter.feed
    hidden = torch.nn.functional.layer_norm(middle, (10,)) @ up.weight.T
    wanted = middle + math.tanh(1) * torch.nn.functional.gelu(hidden) @ down.weight.T
    assert up.weight.shape == (40, 10)
    assert torch.allclose(adapter(words, keys), wanted, atol=1e-5)


def test_another_attention_is_refused():
    with pytest.raises(ValueError, match="attention must be one of separable, axial, full, perceiver"):
        Adapter(**(SIZES | {"attention": "none"}))


def test_the_largest_move_of_any_gate_is_told():
    model = captioner(gate_start=1.0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    after = {name: tensor.clone() for name, tensor in before.items()}
    assert gate_move(before, after) == 0.0
    after["adapters.layers.16.feed_gate.value"][3] = 1.2
    after["adapters.layers.22.attention_gate.value"][0] = 0.9
    assert gate_move(before, after) == pytest.approx(math.tanh(1.2) - math.tanh(1.0), abs=1e-6)
    before["adapters.layers.16.feed_gate.value"][3] = 1.5
    assert gate_move(before, after) == pytest.approx(math.tanh(1.5) - math.tanh(1.2), abs=1e-6)


def test_without_gates_before_a_move_is_from_where_they_began():
    after = captioner(gate_start=1.0).state_dict()
    after["adapters.layers.12.feed_gate.value"][0] = 0.5
    for before in (None, {"language.model.decoder.embed_tokens.weight": torch.zeros(1)}):
        assert gate_move(before, after) == pytest.approx(math.tanh(1.0) - math.tanh(0.5), abs=1e-6)
    with pytest.raises(ValueError, match="no checkpoint with gates"):
        gate_move(None, {"language.model.decoder.embed_tokens.weight": torch.zeros(1)})
