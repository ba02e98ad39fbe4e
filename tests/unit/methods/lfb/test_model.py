"""The supported network: sizes, heads, what it remembers, losses by hand, answers, rows of its bank."""

import math

import pytest
import torch

from retake.methods.lfb.model import build, prepare

SMALL = {
    "stem": 8, "widths": [16, 16, 32, 32], "blocks": [1, 1, 1, 1], "strides": [1, 2, 1, 1],
    "temporal": [[0], [], [], []], "non_local": [[], [0], [], []], "group_frames": [0, 2, 0, 0], "dilation": 1,
}  # fmt: skip
SIZES = {
    "backbone": SMALL, "mean": [0.45] * 3, "std": [0.225] * 3, "head": "boxes", "operator": {"name": "none"},
    "num_classes": 3, "loss": "sigmoid", "classes": ["a", "b", "c"], "memory_width": 32, "dropout": 0.3,
    "grid": "detections",
}  # fmt: skip
SMALL_NL = {"name": "nl", "width": 8}
CLIPS = {"head": "clips", "loss": "softmax"}


def model(**changes):
    torch.manual_seed(0)
    return build(**SIZES | changes)


def batch(head="boxes"):
    generator = torch.Generator().manual_seed(1)
    keep = torch.tensor([[True, True, False], [True, False, False]])
    made = {
        "frames": torch.rand(2, 3, 4, 32, 32, generator=generator),
        "memory": torch.randn(2, 3, 32, generator=generator) * keep.unsqueeze(2),
        "memory_keep": keep,
    }
    if head == "clips":
        return made | {"labels": torch.tensor([[0.0, 1, 0], [1, 0, 0]])}
    boxes = torch.tensor([[0.0, 0.1, 0.5, 0.9], [0.2, 0.2, 0.6, 0.7], [0.5, 0.0, 1.0, 1.0]])
    return made | {
        "boxes": boxes, "box_item": torch.tensor([0, 1, 1]), "box_number": torch.tensor([0, 0, 1]),
        "boxes_whole": boxes / 2, "labels": torch.tensor([[0.0, 1, 0], [0, 0, 0], [1, 0, 1]]),
    }  # fmt: skip


def part(whole, item):
    """One clip of a batch, with its boxes."""
    boxes = whole["box_item"] == item
    cut = {k: whole[k][boxes] for k in ("boxes", "box_number", "boxes_whole", "labels")}
    return (
        {k: whole[k][item : item + 1] for k in ("frames", "memory", "memory_keep")}
        | cut
        | {"box_item": torch.zeros(int(boxes.sum())).long()}
    )


def test_the_published_network_has_the_published_parameters():
    """R50-I3D-NL, two layers, 80 classes (METHODS 8.6)."""
    sizes = {"backbone": {"like": "r50"}, "operator": {"name": "nl", "layers": 2}, "memory_width": 2048}
    with torch.device("meta"):
        whole = model(**sizes, num_classes=80, classes=[str(n) for n in range(80)])
    assert sum(t.numel() for t in whole.state_dict().values()) == 38_986_640
    assert whole.classifier.in_features == 2560


@pytest.mark.parametrize("head", ["boxes", "clips"])
@pytest.mark.parametrize("name", ["nl", "sto"])
@torch.no_grad()
def test_at_the_start_the_supported_network_is_the_short_term_one(head, name):
    """Nothing that is remembered reaches a score: the stack adds nothing to what it is given of the clip."""
    supported = model(operator=SMALL_NL | {"name": name}, head=head).eval()
    seen = batch(head)
    short, _, _ = supported.short(seen)
    wanted = supported.classifier(torch.cat([short, supported.operator.operator.reduce_short(short)], dim=1))
    assert torch.equal(supported(seen), wanted)
    changed = seen | {"memory": seen["memory"] * 3}
    assert torch.equal(supported(changed), wanted)
    short_term = model(head=head).eval()
    short_term.backbone.load_state_dict(supported.backbone.state_dict())
    assert torch.equal(short_term.short(seen)[0], short)


def awake(network):
    with torch.no_grad():
        for parameter in network.operator.parameters():
            parameter.normal_(std=0.2)
        network.classifier.weight.normal_()
    return network.eval()


@pytest.mark.parametrize("head", ["boxes", "clips"])
@pytest.mark.parametrize("name", ["nl", "avg", "max"])
@torch.no_grad()
def test_each_clip_remembers_its_own_window_and_no_other(head, name):
    network, seen = awake(model(operator=SMALL_NL | {"name": name}, head=head)), batch(head)
    before = network(seen)
    memory = seen["memory"].clone()
    memory[1, 0] += 5.0
    after = network(seen | {"memory": memory})
    moved = (before != after).any(dim=1).tolist()
    assert moved == ([False, True, True] if head == "boxes" else [False, True])


@torch.no_grad()
def test_a_short_term_operator_sees_the_boxes_of_its_own_clip():
    """By hand: an operator that is given the features of the boxes as a bank."""
    network, seen = awake(model(operator=SMALL_NL | {"name": "sto"})), batch()
    short, item, _ = network.short(seen)
    for clip in range(2):
        own = short[item == clip]
        keep = torch.ones(1, len(own)).bool()
        zero = torch.zeros(len(own)).long()
        found = network.operator.operator(own, own.unsqueeze(0), keep, zero)
        wanted = network.classifier(torch.cat([own, found], dim=1))
        assert torch.allclose(network(seen)[item == clip], wanted, atol=1e-5)


@torch.no_grad()
def test_a_short_term_operator_of_clips_sees_their_time_steps_whose_mean_is_the_feature():
    network, seen = awake(model(operator=SMALL_NL | {"name": "sto"}, head="clips")), batch("clips")
    maps = network.maps(seen)
    memory, keep = network.own(*network.short(seen), 2)
    assert keep.all()
    assert torch.allclose(memory.mean(dim=1), network.short(seen)[0], atol=1e-6)
    assert torch.allclose(memory[1, 0], maps[1, :, 0].mean(dim=(1, 2)), atol=1e-6)


def test_the_loss_of_boxes_is_by_hand():
    network, seen = model().eval(), batch()
    scores = network(seen).sigmoid().tolist()
    total = 0.0
    for row, labels in zip(scores, seen["labels"].tolist(), strict=True):
        total += sum(-math.log(p if y else 1 - p) for p, y in zip(row, labels, strict=True)) / 3
    found = network.losses(seen)
    assert found["total"].item() == pytest.approx(total, rel=1e-4)
    assert found["count"].item() == 3


def test_losses_add_up_over_the_clips_of_a_batch():
    network, seen = awake(model(operator=SMALL_NL)), batch()
    parts = [network.losses(part(seen, item)) for item in range(2)]
    whole = network.losses(seen)
    for name in ("total", "count"):
        assert whole[name].item() == pytest.approx(sum(p[name].item() for p in parts), rel=1e-4)


def test_the_loss_of_clips_is_by_hand():
    network, seen = model(**CLIPS).eval(), batch("clips")
    scores = network(seen).softmax(dim=1)
    found = network.losses(seen)
    assert found["total"].item() == pytest.approx(-(scores[0, 1].log() + scores[1, 0].log()).item(), rel=1e-4)
    assert found["top1"].item() == sum(int(scores[n].argmax() == label) for n, label in enumerate((1, 0)))
    several = seen | {"labels": torch.ones(2, 3)}
    with pytest.raises(ValueError, match="every clip needs exactly one label"):
        network.losses(several)
    assert model(**CLIPS | {"loss": "sigmoid"}).losses(several)["count"].item() == 2


@pytest.mark.parametrize("operator", ["none", "nl", "sto", "max"])
def test_a_clip_without_a_box_is_no_error(operator):
    network, seen = model(operator=SMALL_NL | {"name": operator}), batch()
    none = {"boxes": torch.zeros(0, 4), "boxes_whole": torch.zeros(0, 4), "labels": torch.zeros(0, 3)}
    empty = seen | none | {"box_item": torch.zeros(0).long(), "box_number": torch.zeros(0).long()}
    found = network.losses(empty)
    found["total"].backward()
    assert (found["total"].item(), found["count"].item()) == (0.0, 0.0)
    assert network.eval().predict(empty, {}) == [[], []]
    assert network.bank_rows(empty).shape == (0, 32)
    one = part(seen, 0) | {
        "frames": seen["frames"],
        "memory": seen["memory"],
        "memory_keep": seen["memory_keep"],
    }
    assert [len(rows) for rows in network.predict(one, {})] == [1, 0]


def test_answers_of_boxes_are_a_list_a_clip():
    network, seen = model().eval(), batch()
    found = network.predict(seen, {})
    assert [[row["box_number"] for row in rows] for rows in found] == [[0], [0, 1]]
    assert found[1][1]["box_xyxy"] == seen["boxes_whole"][2].tolist()
    assert found[1][1]["scores"] == pytest.approx(network(seen)[2].sigmoid().tolist())


def test_answers_of_clips_are_probabilities():
    found = model(**CLIPS).eval().predict(batch("clips"), {})
    assert [sum(row["scores"]) for row in found] == pytest.approx([1.0, 1.0])
    sigmoid = model(**CLIPS | {"loss": "sigmoid"}).eval()
    wanted = sigmoid(batch("clips")).sigmoid()[0].tolist()
    assert sigmoid.predict(batch("clips"), {})[0]["scores"] == pytest.approx(wanted)


@torch.no_grad()
def test_rows_of_a_bank_are_the_features_of_boxes_clips_and_cells():
    network, seen = model(operator=SMALL_NL).eval(), batch()
    maps = network.maps(seen)
    assert torch.equal(network.bank_rows(seen), network.short(seen)[0])
    assert network.bank_rows({"frames": seen["frames"]}, grid="global").shape == (2, 32)
    cells = network.bank_rows({"frames": seen["frames"]}, grid=2)
    assert torch.allclose(cells.mean(dim=1), maps.mean(dim=(2, 3, 4)), atol=1e-5)
    steps = network.bank_rows({"frames": seen["frames"]}, grid="steps")
    assert steps.shape == (2, maps.shape[2], 32)
    assert torch.allclose(steps[1, 1], maps[1, :, 1].mean(dim=(1, 2)), atol=1e-6)
    assert torch.allclose(cells[1, 2], maps[1, :, :, 2:, :2].mean(dim=(1, 2, 3)), atol=1e-5)
    assert torch.equal(model(grid=4).eval().bank_rows(seen), model().eval().bank_rows(seen, grid=4))
    clips = model(**CLIPS).eval()
    assert torch.allclose(clips.bank_rows(batch("clips")), clips.maps(seen).mean(dim=(2, 3, 4)))


def stored(network, seen, grid):
    """The batch with what a bank would keep of it in the place of frames and boxes."""
    rows = network.bank_rows(seen, grid=grid)
    rows = rows.unsqueeze(1) if grid == "global" else rows
    return {k: v for k, v in seen.items() if k not in ("frames", "boxes")} | {
        "stored": rows,
        "item_id": ["a", "b"],
    }


STORED = [("boxes", "detections"), ("clips", "global"), ("clips", "steps")]
CASES = [(*of, name) for of in STORED for name in ("none", "nl", "avg", "max", "sto")]


@pytest.mark.parametrize(("head", "grid", "name"), [case for case in CASES if case[1:] != ("global", "sto")])
def test_stored_rows_give_what_the_frames_give(head, grid, name):
    """Scores, losses and the gradients of all but the backbone, which is not asked; a clip without a box, too."""
    network = model(operator=SMALL_NL | {"name": name}, head=head).eval()
    if network.operator is not None:
        awake(network)
    seen = batch(head)
    read = stored(network, seen, grid)
    wanted = network.predict(seen, {})
    for row, other in zip(network.predict(read, {}), wanted, strict=True):
        for one, two in zip(
            *([found] if isinstance(found, dict) else found for found in (row, other)), strict=True
        ):
            assert one.pop("scores") == pytest.approx(two.pop("scores"), abs=1e-5)
            assert one == two
    losses = [network.losses(made)["total"] for made in (seen, read)]
    assert losses[1].item() == pytest.approx(losses[0].item(), rel=1e-6, abs=1e-5)
    losses[1].backward()
    assert all(p.grad is None for p in network.backbone.parameters())
    if head == "boxes":
        none = {key: read[key][:0] for key in ("box_item", "box_number", "boxes_whole", "stored")}
        assert network.predict(read | none, {}) == [[], []]


def test_a_mean_over_time_has_no_steps_to_look_up():
    network = model(operator=SMALL_NL | {"name": "sto"}, head="clips").eval()
    with pytest.raises(ValueError, match="stored: an operator over a clip's own features needs its steps"):
        network(stored(network, batch("clips"), "global"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"loss": "hinge"}, "loss must be one of softmax, sigmoid, found 'hinge'"),
        ({"head": "frames"}, "head must be one of boxes, clips, found 'frames'"),
        ({"grid": 3}, "grid must be one of detections, global, steps, 2, 4, found 3"),
        ({"loss": "softmax"}, "a box may have several labels or none, so it takes sigmoid"),
        ({"num_classes": 4}, "3 classes have a name, num_classes is 4"),
    ],
)
def test_sizes_that_do_not_fit_are_an_error(changes, said):
    with pytest.raises(ValueError, match=said):
        model(**changes)


def test_a_batch_that_does_not_fit_is_an_error():
    seen = batch()
    with pytest.raises(ValueError, match="the batch has no memory"):
        model(operator=SMALL_NL)({key: seen[key] for key in ("frames", "boxes", "box_item")})
    with pytest.raises(ValueError, match=r"labels have shape \(2, 3\), the scores \(3, 3\)"):
        model().losses(seen | {"labels": torch.zeros(2, 3)})


def test_classes_have_the_names_that_rows_give_them():
    rows = [{"labels": [1], "text_out": "wave"}, {"labels": [], "text_out": None}]
    assert prepare(rows, {"num_classes": 3}) == {"classes": ["0", "wave", "2"]}
