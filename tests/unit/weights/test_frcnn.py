"""The detector: its published size and names, what a small one finds of the mini world, bad input."""

import numpy as np
import pytest
import torch

from retake.miniworld import World, boxes, render
from retake.schema.strict import read_yaml
from retake.weights.frcnn import convert
from retake.weights.frcnn.model import build, described, from_config, published

SIZES = {
    "network": "small", "classes": ["__background__", "person"], "min_px": 64, "max_px": 80,
    "widths": [16, 32, 48], "anchors_px": [16, 24, 32], "box_width": 64, "num_classes": 1,
}  # fmt: skip
SIDES = torch.tensor([80.0, 64.0, 80.0, 64.0])


def keyframes(split, count):
    """A picture of each of `count` clips (N, 3, 64, 80), and the actors' boxes of each."""
    world, shown, found = World(seed=1, cameras=0.0), [], []
    for number in range(count):
        clip = world.clip(split, number, "toy")
        frame = number % clip.num_frames
        shown.append(render(clip, [frame])[0] if len(render(clip, [frame])) == 1 else render(clip)[frame])
        told = boxes(clip)[frame]
        found.append(np.array([box for who, box in told.items() if who.startswith("actor")]).reshape(-1, 4))
    return torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2).float() / 255, found


def batch_of(frames, found, numbers):
    inside = [torch.from_numpy(found[n]).float() for n in numbers]
    return {
        "frames": frames[numbers].unsqueeze(2), "boxes": torch.cat(inside),
        "box_item": torch.cat([torch.full((len(b),), n) for n, b in enumerate(inside)]).long(),
    }  # fmt: skip


def overlap(a, b):
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    both = np.prod(np.maximum(high - low, 0))
    return both / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - both)


def average_precision(answers, truth):
    """By the definition, in loops. answers (score, picture, box); truth picture -> boxes."""
    taken, hits = {n: [False] * len(b) for n, b in enumerate(truth)}, []
    for _, picture, box in sorted(answers, key=lambda one: -one[0]):
        over = [overlap(box, other) for other in truth[picture]]
        best = int(np.argmax(over)) if over else -1
        hits.append(best >= 0 and over[best] >= 0.5 and not taken[picture][best])
        if hits[-1]:
            taken[picture][best] = True
    precisions = [sum(hits[: n + 1]) / (n + 1) for n in range(len(hits))]
    total = sum(map(len, truth))
    return sum(max(precisions[n:]) for n, hit in enumerate(hits) if hit) / total


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model, (frames, found) = build(**SIZES), keyframes("train", 160)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(5):
        for numbers in torch.randperm(160).split(8):
            model.train()
            lost = model.losses(batch_of(frames, found, numbers))
            optimiser.zero_grad()
            (lost["total"] / lost["count"]).backward()
            optimiser.step()
    return model.eval()


def test_a_small_one_finds_who_is_in_the_picture(trained):
    frames, found = keyframes("val", 48)
    answers = []
    for number, one in enumerate(trained.detect(frames)):
        assert set(one["labels"].tolist()) <= {1}
        assert one["features"].shape == (len(one["boxes"]), 64)
        assert one["scores"].tolist() == sorted(one["scores"].tolist(), reverse=True)
        inside = (one["boxes"] / SIDES).numpy().astype(float)
        answers += [(score, number, box) for score, box in zip(one["scores"].tolist(), inside, strict=True)]
    assert average_precision(answers, found) > 0.5


def test_a_picture_is_answered_alone_and_in_its_own_pixels(trained):
    frames, _ = keyframes("val", 3)
    together, alone = trained.detect(frames), trained.detect(frames[1:2])[0]
    assert torch.allclose(together[1]["boxes"], alone["boxes"], atol=1e-3)
    large = torch.nn.functional.interpolate(frames[1:2], scale_factor=2, mode="bilinear")
    best = trained.detect(large)[0]["boxes"][0]
    assert overlap(best.numpy() / 2, alone["boxes"][0].numpy()) > 0.6


def test_written_and_read_it_answers_alike(trained):
    tensors, config = published(trained, SIZES)
    again = from_config(config)
    again.network.load_state_dict(tensors, strict=True)
    frames, _ = keyframes("val", 2)
    for one, other in zip(trained.detect(frames), again.eval().detect(frames), strict=True):
        assert torch.equal(one["boxes"], other["boxes"])
    assert config["classes"] == ["__background__", "person"]


def test_the_published_one_has_the_published_parameters_and_classes():
    card = read_yaml("retake/weights/frcnn/card.yaml")["paper"]["model"]
    assert (len(card["classes"]), card["classes"][:2]) == (91, ["__background__", "person"])
    with torch.device("meta"):
        model = build(**card)
    assert sum(p.numel() for p in model.network.parameters()) == 43_712_278  # as torchvision states it
    tensors = model.network.state_dict()
    assert convert.rename(tensors) == tensors
    assert convert.config(tensors) == described(**card)
    with pytest.raises(ValueError, match=r"'head\.weight' is no name of a detector's"):
        convert.rename({"head.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match="it tells 3 classes, the card names 91"):
        convert.config({"roi_heads.box_predictor.cls_score.bias": torch.zeros(3)})


def test_losses_are_sums_over_pictures_and_no_box_is_no_error():
    torch.manual_seed(0)
    model, (frames, found) = build(**SIZES).train(), keyframes("train", 4)
    lost = model.losses(batch_of(frames, found, torch.arange(4)))
    parts = sum(value for name, value in lost.items() if name not in ("total", "count"))
    assert lost["total"].item() == pytest.approx(parts.item(), rel=1e-5)
    assert lost["count"].item() == 4
    nobody = model.losses(batch_of(frames, [np.zeros((0, 4))] * 4, torch.arange(4)))
    nobody["total"].backward()
    assert torch.isfinite(nobody["total"])


def test_bad_input_is_an_error():
    frames, found = keyframes("train", 2)
    batch, model = batch_of(frames, found, torch.arange(2)), build(**SIZES).train()
    with pytest.raises(ValueError, match="expected x1 < x2 and y1 < y2"):
        model.losses(batch | {"boxes": batch["boxes"][:, [2, 1, 0, 3]]})
    with pytest.raises(ValueError, match="box_item: expected numbers below 2"):
        model.losses(batch | {"box_item": batch["box_item"] + 2})
    with pytest.raises(ValueError, match=r"expected a tensor of shape \(B, 3, 1, H, W\)"):
        model.losses(batch | {"frames": frames.unsqueeze(2).repeat(1, 1, 2, 1, 1)})
    with pytest.raises(RuntimeError, match="has losses in training mode alone"):
        model.eval().losses(batch)
    with pytest.raises(ValueError, match="network: expected one of resnet50_fpn_v2, small, found 'yolo'"):
        build(**SIZES | {"network": "yolo"})
    with pytest.raises(ValueError, match="classes: expected '__background__', then at least one"):
        build(**SIZES | {"classes": ["person"]})
