"""Blocks of attention as the tables of cost are told of them."""

import math

import pytest
import torch

from retake.costs import blocks as costs
from retake.methods.frozencaptioner import attention
from retake.methods.frozencaptioner.blocks import block, pairs
from tests.unit.methods.frozencaptioner.test_attention import Count

SIZES = {
    "frames": 3, "places": 5, "words": 2, "videos": 2, "layers": 2, "width": 8, "key_width": 6, "heads": 2,
    "head_width": 4, "latents": 4, "ffn_factor": 4,
}  # fmt: skip
ASKED = {name: SIZES[name] for name in ("frames", "places", "words", "latents")}


def test_the_papers_numbers_are_those_of_16_frames_of_400_places():
    video = {"frames": 16, "places": 400, "latents": 64}
    assert pairs(attention="full", words=0, **video) == 40_960_000
    assert pairs(attention="separable", words=0, **video) == 2_662_400
    counted = {way: pairs(attention=way, words=1, **video) for way in attention.WAYS}
    assert counted == {"separable": 416, "full": 6_400, "axial": 12_800, "perceiver": 64 * 6_400 + 64}


@pytest.mark.parametrize("way", attention.WAYS)
def test_a_block_asks_what_is_counted_of_each_layer_and_of_the_resampler_once(way, monkeypatch):
    counted = Count(monkeypatch)
    network, inputs = block(attention=way, **(SIZES | {"videos": 1}))
    network(*inputs)
    once = SIZES["latents"] * 15 if way == "perceiver" else 0
    assert counted.scores == once + 2 * (pairs(attention=way, **ASKED) - once)


@pytest.mark.parametrize("way", attention.WAYS)
def test_a_step_through_it_reaches_every_parameter_and_the_words_alone(way):
    network, inputs = block(attention=way, **SIZES)
    network(*inputs).sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    assert inputs[0].grad is not None
    assert inputs[1].grad is None
    again = block(attention=way, **SIZES)[1]
    assert all(torch.equal(a, b) for a, b in zip(inputs, again, strict=True))


def test_full_attention_keeps_more_for_the_backward_pass_than_separable():
    sizes = SIZES | {"frames": 16, "places": 36}
    kept = {way: costs.kept(block(attention=way, **sizes)) for way in ("separable", "full")}
    keys = 2 * 2 * 2 * 16 * 36 * 8 * 4  # keys and values of two layers and two videos, each of width 8
    assert kept["full"] > keys > kept["separable"]
    assert math.isfinite(kept["full"])
