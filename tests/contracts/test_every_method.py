"""What any method owes the pipeline. A new folder under methods/ is tested here without being named.

Batches are made by the project's own loader from a small table of the method's task, models are saved and
loaded by the project's own checkpoints, and stages are built from the recipe at mini scale.
"""

import csv
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from retake.data.loader import Source, to_device
from retake.plan import Plan
from retake.planning.recipes import folders_with, load_recipe, overlaid, stages_of, variant_of
from retake.schema.card import read_weights_card
from retake.schema.predictions import checked
from retake.schema.strict import read_yaml
from retake.training import checkpoint
from retake.training.stages import Freezer, matching
from tests.unit.training.small_stage import write_annotations, write_index

METHODS = folders_with("methods", "recipe.yaml")
WEIGHTS = folders_with("weights", "card.yaml")
STAGES = [(method, stage) for method, path in METHODS.items() for stage in load_recipe(path, "mini").stages]
CPU = torch.device("cpu")


@pytest.mark.parametrize("method", METHODS)
def test_what_is_changed_in_a_recipe_is_shown_by_dvc(method):
    assert read_yaml(METHODS[method].with_name("dvc.yaml")) == {"params": ["recipe.yaml"]}


class Case:
    """One stage of one method at mini scale: its builder, a batch, and a protocol."""

    def __init__(self, method, stage, folder):
        self.recipe = load_recipe(METHODS[method], "mini")
        self.stage, self.name = self.recipe.stages[stage], f"retake.methods.{method}.model"
        self.module = import_module(self.name)
        self.sizes = overlaid(self.recipe.model, self.stage.model) | counted(self.recipe)
        self.source = small_source(self.recipe, self.stage, self.sizes, folder)
        self.prepared = prepared_of(self.recipe, self.module, self.source.rows, self.sizes)
        protocol = next(iter(self.recipe.protocols.values())).model_dump(exclude_none=True)
        if isinstance(protocol.get("max_len"), dict):
            protocol["max_len"] = max(protocol["max_len"].values())
        self.protocol = protocol

    def model(self):
        torch.manual_seed(0)
        return self.module.build(**self.sizes, **self.prepared)

    def batch(self, numbers=(0, 1)):
        batch = self.source.batch(list(numbers))
        return to_device(batch | beside(self.stage.data[0], self.sizes, numbers), CPU)


def counted(recipe):
    """What the cards would count: three of everything."""
    return dict.fromkeys(recipe.card_sizes, 3)


def prepared_of(recipe, module, rows, sizes):
    """What a stage would be given beside sizes: by the method's `prepare`, and a tokenizer by weights that have one."""
    prepared = getattr(module, "prepare", lambda rows, sizes: {})(rows, sizes)
    if "tokenizer" not in getattr(module, "PREPARED", ()) or "tokenizer" in prepared:
        return prepared
    started = [start.weights for stage in recipe.stages.values() for start in stage.start if start.weights]
    cards = {name: read_weights_card(WEIGHTS[name]) for name in started}
    (weights,) = {name for name, card in cards.items() if card.tokenizer}
    return prepared | import_module(f"retake.weights.{weights}.model").prepare(
        rows, cards[weights].mini.model
    )


def tokens_of(weights):
    """The axes of a bank between frames and width: none where each frame has one feature."""
    source = WEIGHTS[weights].with_name("model.py").read_text()
    return (6,) if 'OVER = "clip"' in source else ()


def beside(first, sizes, numbers):
    """What a clip has beside its frames where the stage's data says so: two boxes and one, and a window of a bank.

    Each video's numbers are its own, whatever else is in the batch.
    """
    found = {}
    sample = first.sample
    if sample is not None and sample.boxes is not None and sizes.get("head") == "boxes":
        of = [(place, n, box) for place, n in enumerate(numbers) for box in range(2 - n)]
        corner = torch.tensor([[0.1 + 0.2 * n, 0.2 + 0.3 * box] for _, n, box in of])
        boxes = torch.cat([corner, corner + 0.4], dim=1)
        labels = torch.zeros(len(of), sizes["num_classes"])
        labels[range(len(of)), [n + box for _, n, box in of]] = 1.0
        found |= {"boxes": boxes, "boxes_whole": boxes, "labels": labels}
        found["box_item"] = torch.tensor([place for place, _, _ in of])
        found["box_number"] = torch.tensor([box for _, _, box in of])
    if first.memory is not None:
        rows = int(first.memory.window_s) * first.memory.per_step
        windows = [np.random.default_rng(n).standard_normal((rows, sizes["memory_width"])) for n in numbers]
        found["memory"] = torch.from_numpy(np.stack(windows).astype(np.float32))
        found["memory_keep"] = torch.arange(rows).expand(len(windows), rows) < rows // 2
        found["memory"] *= found["memory_keep"][..., None]
    return found


def small_source(recipe, stage, sizes, folder):
    """Two videos with whatever a task may ask for; the second is shorter, where videos are seen whole.

    Where frames are sampled, the videos are what the sampler would give: as many frames and as large.
    """
    rng = np.random.default_rng(0)
    first = stage.data[0]
    view = recipe.views[first.view or recipe.banks[first.bank].view]
    kind = "frames" if first.view else "features"
    if first.sample is not None:
        count = first.sample.segments or first.sample.clip.frames
        shape = (count, first.sample.crop, first.sample.crop, len(sizes["mean"]))
        arrays = {f"v{n}": rng.integers(0, 256, shape, dtype=np.uint8) for n in range(2)}
    elif kind == "frames":
        side, count = view.crop or view.resize or 32, view.count or 8
        height, width = (side, side) if isinstance(side, int) else side
        arrays = {
            f"v{n}": rng.integers(0, 256, (count - n, height, width, 3), dtype=np.uint8) for n in range(2)
        }
    else:
        count = view.count or 8
        shape = (count, *tokens_of(recipe.banks[first.bank].weights), sizes["feature_width"])
        arrays = {f"v{n}": rng.standard_normal(shape).astype(np.float32)[n:] for n in range(2)}
    told = {"text_in": "what is shown?", "value": 1.5}
    rows = [
        {"item_id": f"i{n}", "video_id": f"v{n}", "ref_id": f"r{n}", "split": "train", "text_out": text,
         "labels": [n], **told}
        for n, text in enumerate(["a dog jumps over the box", "two red cars wait"])
    ]  # fmt: skip
    spec = {
        "annotations": write_annotations(folder / "t.parquet", rows),
        "index": write_index(folder / "a", arrays, f"{kind}.npy"), "kind": kind, "split": "train",
    }  # fmt: skip
    return Source(spec, num_classes=sizes.get("num_classes"))


def test_no_release_is_made_into_the_same_frames_under_two_names():
    """Views are shared by name, those of foundations, too: one frame twice is decoded, kept and indexed twice."""
    plan = Plan(read_yaml("config.yaml"))
    names = defaultdict(set)
    for _, _, _, view, release, _ in (path.split("/") for path in plan.every_media_index()):
        value, sides = plan.views[view], (plan.views[view].get("crop"), plan.views[view].get("resize"))
        whole = sides[0] is not None and sides[1] in ([sides[0]] * 2, sides[0])
        names[release, str(sorted((value | ({"crop": None} if whole else {})).items()))].add(view)
    assert [found for found in names.values() if len(found) > 1] == []


@pytest.fixture(params=STAGES, ids="/".join)
def case(request, tmp_path):
    torch.set_num_threads(1)
    return Case(*request.param, tmp_path)


@pytest.fixture(params=METHODS)
def method(request):
    return request.param


def test_saved_and_loaded_it_answers_the_same(case, tmp_path):
    model, path = case.model().eval(), tmp_path / "c.safetensors"
    checkpoint.save(path, model, sizes=case.sizes, prepared=case.prepared, recipe_sha256="0")
    again = checkpoint.load(case.name, path)
    assert again.predict(case.batch(), case.protocol) == model.predict(case.batch(), case.protocol)
    assert again.losses(case.batch())["total"].item() == model.losses(case.batch())["total"].item()


def test_asked_twice_it_answers_the_same(case):
    model = case.model().eval()
    assert model.predict(case.batch(), case.protocol) == model.predict(case.batch(), case.protocol)
    assert model.losses(case.batch())["total"].item() == model.losses(case.batch())["total"].item()


def test_its_answers_fit_the_tasks_table_one_for_each_item(case):
    rows = case.model().eval().predict(case.batch(), case.protocol)
    items = case.batch()["item_id"]
    several = [row if isinstance(row, list) else [row] for row in rows]  # of boxes an item has a row each
    table = checked(
        pd.DataFrame([{"item_id": i, **row} for i, of in zip(items, several, strict=True) for row in of]),
        case.recipe.tasks[0],
    )
    assert sorted(set(table["item_id"])) == sorted(items)
    assert len(table) == sum(map(len, several))


def test_padding_changes_nothing(case):
    """For the inputs whose padding the recipe says is masked (`pads`)."""
    kind = case.source.kind
    if kind not in case.recipe.pads:
        assert not hasattr(case.model(), "masks"), "a model that masks padding says so in its recipe"
        return
    model = case.model().eval()
    before, answers = model.losses(case.batch()), model.predict(case.batch(), case.protocol)
    batch = case.batch()
    batch[kind] = batch[kind].clone()
    padded = ~batch["keep"][:, None] if kind == "frames" else ~batch["keep"]
    padded = padded[(..., *[None] * (batch[kind].ndim - padded.ndim))]
    assert padded.any()
    batch[kind] = torch.where(padded, torch.full_like(batch[kind], 0.77), batch[kind])
    assert model.losses(batch)["total"].item() == pytest.approx(before["total"].item(), rel=1e-6)
    assert model.predict(batch, case.protocol) == answers


def test_losses_are_sums_that_add_up_over_the_batch(case):
    model = case.model().eval()
    whole = model.losses(case.batch())
    parts = [model.losses(case.batch([n])) for n in range(2)]
    assert {"total", "count"} <= whole.keys()
    for name, value in whole.items():
        assert value.ndim == 0
        assert value.item() == pytest.approx(sum(p[name].item() for p in parts), rel=1e-4), name


def test_a_stage_trains_what_its_recipe_says_and_nothing_else(case):
    model = case.model()
    freezer = Freezer(model, case.stage.trainable, case.stage.batch_norm.model_dump())
    freezer.train()
    names = [name for name, _ in model.named_parameters()]
    for group in case.stage.optimiser.groups:
        matching([group.match], freezer.trained, "group")
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model.losses(case.batch())["total"].backward()
    assert {n for n, p in model.named_parameters() if p.grad is not None} == set(freezer.trained)
    optimiser.step()
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert moved <= matching(case.stage.trainable, names, "trainable")
    assert moved


def test_it_can_learn_two_clips_by_heart(case):
    """Steps, rate and factor stand in the recipe (`learns_by_heart`).

    Where what is frozen was learnt by another stage and is read from a bank, all is trained: at random it says nothing.
    """
    asked = case.recipe.learns_by_heart
    model = case.model()
    trainable = ["*"] if case.stage.data[0].stored is not None else case.stage.trainable
    Freezer(model, trainable, case.stage.batch_norm.model_dump()).train()
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=asked["lr"])
    first = model.losses(case.batch())["total"].item()
    for _ in range(int(asked["steps"])):
        optimiser.zero_grad()
        model.losses(case.batch())["total"].backward()
        optimiser.step()
    assert model.eval().losses(case.batch())["total"].item() < first / asked["factor"]


def test_at_paper_scale_every_stage_builds(method):
    """On the meta device: shapes alone, no memory. The exact counts are unit tests of the method."""
    recipe = load_recipe(METHODS[method], "paper")
    module = import_module(f"retake.methods.{method}.model")
    rows, built = [{"text_out": "a dog", "text_in": "what?", "labels": [0]}], set()
    for name, variant in recipe.variants.items():
        resolved = variant_of(recipe, name, METHODS[method])
        for stage in variant.stages or ([] if variant.joined else stages_of(recipe, name)):
            sizes = overlaid(resolved.model, resolved.stages[stage].model) | counted(resolved)
            prepared = prepared_of(recipe, module, rows, sizes)
            asked = repr((sizes, resolved.stages[stage].trainable, resolved.stages[stage].optimiser.groups))
            if asked in built:
                continue
            built.add(asked)
            with torch.device("meta"):
                model = module.build(**sizes, **prepared)
            spec = resolved.stages[stage]
            trained = Freezer(model, spec.trainable, spec.batch_norm.model_dump()).trained
            for group in spec.optimiser.groups:
                matching([group.match], trained, f"{method}/{stage}")


def test_its_loss_curve_is_the_golden_one(method, tmp_path):
    """Ten steps on a fixed seed; the file beside this folder was written by tests/golden/write.py."""
    from tests.golden.write import curve

    golden = Path("tests/golden") / f"{method}.csv"
    assert golden.is_file(), f"{golden} is missing: python -m tests.golden.write {method}"
    with golden.open(newline="") as file:
        wanted = [(row["stage"], int(row["step"]), float(row["loss"])) for row in csv.DictReader(file)]
    found = curve(method, tmp_path)
    assert [row[:2] for row in found] == [row[:2] for row in wanted]
    assert [row[2] for row in found] == pytest.approx([row[2] for row in wanted], rel=1e-3)
