"""Operators over a bank: each against a loop over boxes and slots, sizes as published, empty slots, odd sizes."""

import itertools
import math

import pytest
import torch

from retake.methods.lfb.operators import DEFAULTS, operator_of

B, M, WIDTH, KEEP = 2, 5, 12, [[True, True, False, True, False], [False] * 5]
ITEM = torch.tensor([0, 0, 1])


def made(**sizes):
    torch.manual_seed(0)
    operator = operator_of({"width": 8, "dropout": 0.0} | sizes, short_width=10, memory_width=WIDTH)
    with torch.no_grad():
        for parameter in operator.parameters():
            parameter.normal_(std=0.5)
    return operator.eval()


def inputs():
    generator = torch.Generator().manual_seed(1)
    keep = torch.tensor(KEEP)
    memory = torch.randn(B, M, WIDTH, generator=generator) * keep.unsqueeze(2)
    return torch.randn(3, 10, generator=generator), memory, keep, ITEM


def dense(layer, vector):
    return [
        sum(w * v for w, v in zip(row, vector, strict=True)) + b
        for row, b in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
    ]


def normed(vector):
    mean = sum(vector) / len(vector)
    variance = sum((v - mean) ** 2 for v in vector) / len(vector)
    return [(v - mean) / math.sqrt(variance + 1e-5) for v in vector]


def literal_layer(layer, short, slots, sizes):
    """One box's S against the slots that take part, as METHODS 8.1 says it."""
    asked = dense(layer.theta, short)
    keys, values = [dense(layer.phi, slot) for slot in slots], [dense(layer.g, slot) for slot in slots]
    if sizes["dot"] == "concat":
        affinity = [max(0.0, dense(layer.pair, asked + key)[0]) for key in keys]
    else:
        affinity = [sum(a * k for a, k in zip(asked, key, strict=True)) for key in keys]
    if sizes["dot"] == "softmax":
        factor = len(asked) ** -0.5 if sizes["scale"] else 1.0
        weights = [math.exp(a * factor) for a in affinity]
        weights = [w / sum(weights) for w in weights]
    else:
        weights = [a / len(slots) for a in affinity]
    found = [sum(w * value[c] for w, value in zip(weights, values, strict=True)) for c in range(len(asked))]
    if sizes["pre_act"]:
        found = normed(found) if sizes["layer_norm"] else found
        found = dense(layer.out, [max(0.0, v) for v in found])
        return [s + v for s, v in zip(short, found, strict=True)]
    found = dense(layer.out, found)
    found = normed(found) if sizes["layer_norm"] else found
    return [max(0.0, s + v) for s, v in zip(short, found, strict=True)]


def literal(operator, sizes, short, slots):
    network = operator.operator
    short = dense(network.reduce_short, short)
    slots = [dense(network.reduce_memory, slot) for slot in slots]
    for layer in network.layers:
        short = literal_layer(layer, short, slots, sizes)
    return short


def slots_of(memory, item, pad):
    return [
        row for row, kept in zip(memory[item].tolist(), KEEP[item], strict=True) if kept or pad == "attend"
    ]


CASES = [
    {"layers": layers, "scale": scale, "layer_norm": norm, "dot": dot, "pre_act": pre, "pad": pad}
    for layers, (scale, norm), dot, pre, pad in itertools.product(
        (1, 3),
        ((True, True), (False, False)),
        ("softmax", "dot", "concat"),
        (True, False),
        ("attend", "masked"),
    )
]


@pytest.mark.parametrize("sizes", CASES, ids=lambda s: "-".join(map(str, s.values())))
@torch.no_grad()
def test_the_non_local_operator_is_that_of_the_paper_in_loops(sizes):
    operator, (short, memory, keep, item) = made(name="nl", **sizes), inputs()
    found = operator(short, memory, keep, item)
    for number, clip in enumerate(item.tolist()):
        if slots := slots_of(memory, clip, sizes["pad"]):
            assert found[number].tolist() == pytest.approx(
                literal(operator, sizes, short[number].tolist(), slots), abs=1e-4, rel=1e-4
            )


@torch.no_grad()
def test_a_window_without_a_slot_adds_what_a_feature_of_zeros_would():
    operator, (short, memory, keep, item) = made(name="nl", pad="masked", layers=1), inputs()
    network, alone = operator.operator, operator(short, memory, keep, item)[2]
    layer = network.layers[0]
    wanted = network.reduce_short(short[2]) + layer.out(torch.zeros(8))
    assert torch.allclose(alone, wanted, atol=1e-5)


@pytest.mark.parametrize("pad", ["attend", "masked"])
@pytest.mark.parametrize(("name", "pool"), [("avg", lambda v: sum(v) / len(v)), ("max", max)])
def test_pools_take_the_mean_or_the_largest_over_the_window(name, pool, pad):
    operator, (short, memory, keep, item) = made(name=name, pad=pad), inputs()
    assert operator.width == WIDTH
    found = operator(short, memory, keep, item)
    for number, clip in enumerate(item.tolist()):
        slots = slots_of(memory, clip, pad) or [[0.0] * WIDTH]
        assert found[number].tolist() == pytest.approx([pool(v) for v in zip(*slots, strict=True)], abs=1e-6)


def test_empty_slots_matter_as_published_and_not_where_they_are_masked():
    short, memory, keep, item = inputs()
    more = (
        torch.cat([memory, torch.zeros(B, 3, WIDTH)], dim=1),
        torch.cat([keep, torch.zeros(B, 3).bool()], dim=1),
    )
    for name, pad in itertools.product(("nl", "avg", "max"), ("attend", "masked")):
        operator = made(name=name, pad=pad)
        same = torch.allclose(operator(short, memory, keep, item), operator(short, *more, item), atol=1e-6)
        assert same == (pad == "masked" or name == "max"), (name, pad)  # the largest has seen a zero already


@pytest.mark.parametrize(("layers", "count"), [(1, 3_148_800), (2, 4_199_424), (3, 5_250_048)])
def test_parameters_are_the_published_ones(layers, count):
    with torch.device("meta"):
        operator = operator_of({"name": "nl", "layers": layers}, short_width=2048, memory_width=2048)
    assert sum(p.numel() for p in operator.parameters()) == count


@pytest.mark.parametrize("dot", ["softmax", "dot", "concat"])
@torch.no_grad()
def test_at_the_start_the_stack_returns_its_input(dot):
    operator = operator_of({"layers": 3, "dot": dot}, short_width=10, memory_width=WIDTH).eval()
    short, memory, keep, item = inputs()
    assert torch.equal(operator(short, memory, keep, item), operator.operator.reduce_short(short))


def test_dropout_is_asked_before_and_inside_the_layers_and_can_be_left_out():
    def rates(operator):
        return [m.p for m in operator.modules() if isinstance(m, torch.nn.Dropout)]

    assert rates(operator_of({}, short_width=4, memory_width=4)) == [0.2] * 3
    operator, (short, memory, keep, item) = made(name="nl", dropout=0.5).train(), inputs()
    answers = [operator(short, memory, keep, item) for _ in range(2)]
    assert not torch.equal(*answers)
    still = made(name="nl", dropout=0.0).train()
    assert torch.equal(*(still(short, memory, keep, item) for _ in range(2)))


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"name": "mean"}, "operator: name: expected one of none, nl, avg, max, sto, found 'mean'"),
        ({"dot": "product"}, "operator: dot: expected one of softmax, dot, concat, found 'product'"),
        ({"pad": "zeros"}, "operator: pad: expected one of attend, masked, found 'zeros'"),
        ({"heads": 2}, "operator: no size 'heads'; expected name, layers"),
    ],
)
def test_sizes_that_nobody_has_are_an_error(sizes, said):
    with pytest.raises(ValueError, match=said):
        operator_of(sizes, short_width=4, memory_width=4)


def test_a_memory_that_does_not_fit_is_an_error():
    operator, (short, memory, keep, item) = made(name="nl"), inputs()
    with pytest.raises(ValueError, match=r"expected a tensor of shape \(B, M, C=12\)"):
        operator(short, memory[..., :3], keep, item)
    with pytest.raises(ValueError, match="a slot that memory_keep leaves out is not zero"):
        operator(short, memory + 1, keep, item)


def test_the_defaults_are_those_of_the_paper():
    assert operator_of({"name": "none"}, short_width=4, memory_width=4) is None
    wanted = {"layers": 2, "width": 512, "dropout": 0.2, "dot": "softmax", "pre_act": True, "pad": "attend"}
    assert wanted.items() <= DEFAULTS.items()
