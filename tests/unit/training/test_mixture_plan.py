"""A step of parts: which source each worker draws, which rows it has, and what the step then is."""

from collections import Counter
from math import sqrt

import numpy as np
import pytest
import torch

from retake.data.loader import epoch_groups, mini_batches
from retake.training import checkpoint
from retake.training.batch_plan import BatchShape, Part, plan_of
from retake.training.loop import StageRun
from retake.training.mixture_plan import make
from retake.training.settings import checked_stage
from tests.unit.training.small_stage import Metrics, caption_features, caption_rows, stage
from tests.unit.training.small_stage import write_annotations as annotated
from tests.unit.training.small_stage import write_index as indexed
from tests.unit.training.test_resume import StoppedError, stop_at

MODEL = "tests.unit.training.blocks_model"
BATCH = {"effective": 6, "at_once": 4}
OPTIONS = {"workers": 3, "shares": [0.75, 0.25], "items": [5, 2]}


def mixture(**changes):
    batch = changes.pop("batch", BATCH | {"effective": changes.get("workers", 3) * 5})
    return make(OPTIONS | changes, batch, changes.pop("examples", (40, 20)), changes.pop("seed", 1))


class Rows:
    """A source of `num` rows."""

    def __init__(self, num):
        self.num = num

    def order(self, rng):
        return rng.permutation(self.num).tolist()


# --- what is drawn


def counts(plan, epochs, steps):
    """How many workers drew source 0 in each step."""
    return np.array([plan.drawn(e, s).count(0) for e in range(epochs) for s in range(steps)])


@pytest.mark.parametrize("share", [0.95, 0.5])
def test_each_worker_draws_on_its_own_as_a_binomial_count(share):
    workers, num = 64, 4000
    found = counts(mixture(workers=workers, shares=[share, 1 - share]), 4, num // 4)
    mean, var = workers * share, workers * share * (1 - share)
    fourth = var * (1 + (3 * workers - 6) * share * (1 - share))  # central moment of a binomial count
    assert abs(found.mean() - mean) < 4 * sqrt(var / num)
    assert abs(found.var() - var) < 4 * sqrt((fourth - var**2) / num)


def test_drawn_together_all_workers_have_one_source():
    workers, num, share = 64, 4000, 0.75
    found = counts(mixture(workers=workers, draw="together"), 4, num // 4)
    assert set(found.tolist()) == {0, workers}
    assert abs((found == workers).mean() - share) < 4 * sqrt(share * (1 - share) / num)


def test_of_three_sources_each_comes_as_its_share_says():
    shares = [0.5, 0.3, 0.2]
    plan = make(
        OPTIONS | {"shares": shares, "items": [1, 1, 1]}, {"effective": 3, "at_once": 1}, (9, 9, 9), 1
    )
    found = Counter(source for step in range(4000) for source in plan.drawn(0, step))
    for source, share in enumerate(shares):
        assert abs(found[source] / 12000 - share) < 4 * sqrt(share * (1 - share) / 12000)


def test_a_draw_is_a_function_of_seed_epoch_and_step():
    plan = mixture(workers=64)
    assert plan.drawn(2, 7) == mixture(workers=64).drawn(2, 7)
    others = [
        plan.drawn(2, 8),
        plan.drawn(3, 7),
        make(OPTIONS | {"workers": 64}, BATCH | {"effective": 200}, (9, 9), 2).drawn(2, 7),
    ]
    assert all(other != plan.drawn(2, 7) for other in others)


def test_a_step_is_as_large_as_its_parts():
    plan = mixture(at_once=[3, 2])
    shapes = list(plan.shapes(0))
    assert len(shapes) == plan.steps(0)
    for step, shape in enumerate(shapes):
        sources = plan.drawn(0, step)
        assert shape.parts == tuple(Part(s, [5, 2][s], [3, 2][s]) for s in sources)
        assert shape.items == sum([5, 2][s] for s in sources)
    assert len({shape.items for shape in shapes}) > 1


def test_an_epoch_shows_about_as_many_examples_as_there_are():
    assert mixture().steps(0) == 5  # 60 examples, 3 * (0.75 * 5 + 0.25 * 2) = 12.75 a step
    assert mixture(steps_per_epoch=7).steps(3) == 7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shares": [0.7, 0.2]}, "stage: plan: shares: expected numbers that sum to 1, not to 0.9"),
        ({"items": [5]}, "plan: items: expected one for each of 2 shares, not 1"),
        ({"examples": (40, 20, 3)}, "plan.shares: 2 shares for 3 data sources"),
        ({"examples": (40,)}, "plan.shares: 2 shares for 1 data sources"),
        ({"batch": {"effective": 16, "at_once": 4}}, "batch.effective: 16, but the plan makes 6 to 15"),
        ({"batch": {"effective": 5, "at_once": 5}}, "batch.effective: 5, but the plan makes 6 to 15"),
        ({"workers": 0}, "plan: workers"),
    ],
)
def test_a_mixture_that_cannot_be_is_named(changes, message):
    examples, batch = changes.pop("examples", (40, 20)), changes.pop("batch", BATCH)
    with pytest.raises(ValueError, match=message):
        make(OPTIONS | changes, batch, examples, 1)


def test_the_plan_is_found_by_its_module_and_given_the_seed():
    plan = plan_of({"name": "retake.training.mixture_plan", **OPTIONS}, BATCH, (40, 20), 11)
    assert (plan.seed, plan.steps(0)) == (11, 5)


def test_a_shape_whose_parts_do_not_sum_up_is_refused():
    with pytest.raises(ValueError, match="a step of 5 examples"):
        BatchShape(items=5, at_once=1, parts=(Part(0, 2), Part(1, 2)))


# --- which rows


def groups(shapes, sources, seed=1, epoch=0):
    return list(epoch_groups(sources, shapes, seed=seed, epoch=epoch))


def shape_of(*parts):
    return BatchShape(items=sum(n for _, n in parts), at_once=2, parts=tuple(Part(s, n) for s, n in parts))


def test_a_source_that_is_at_its_end_starts_over_in_a_fresh_order():
    shapes = [shape_of((0, 3), (1, 4))] * 10
    seen = {0: [], 1: []}
    for _, group in groups(shapes, [Rows(40), Rows(7)]):
        for source, row in group:
            seen[source].append(row)
    assert len(seen[0]) == len(set(seen[0])) == 30  # the long one does not
    turns = [seen[1][at : at + 7] for at in range(0, 35, 7)]
    assert all(sorted(turn) == list(range(7)) for turn in turns)
    assert len({tuple(turn) for turn in turns}) > 1


def test_a_sources_rows_do_not_depend_on_how_often_another_is_drawn():
    def of_zero(shapes):
        return [
            row for _, group in groups(shapes, [Rows(9), Rows(5)]) for source, row in group if source == 0
        ]

    assert of_zero([shape_of((0, 2), (1, 1)), shape_of((0, 2))]) == of_zero(
        [shape_of((1, 4)), shape_of((0, 4))]
    )


def test_another_epoch_and_another_seed_have_other_orders():
    shapes = [shape_of((0, 6))]
    found = [groups(shapes, [Rows(50)], seed=s, epoch=e)[0][1] for s, e in ((1, 0), (1, 1), (2, 0), (1, 0))]
    assert found[0] == found[3]
    assert len({tuple(group) for group in found}) == 3


def test_a_source_without_a_row_is_an_error_and_no_endless_search():
    with pytest.raises(ValueError, match=r"data\[1\]: share"):
        groups([shape_of((1, 1))], [Rows(3), Rows(0)])


def test_parts_are_dealt_out_whole_and_cut_apart():
    shape = BatchShape(items=9, at_once=2, parts=(Part(0, 3), Part(1, 2, 1), Part(0, 4, 3)))
    group = [(0, 10), (0, 11), (0, 12), (1, 20), (1, 21), (0, 30), (0, 31), (0, 32), (0, 33)]
    whole = mini_batches(group, 2, parts=shape.parts)
    assert whole == [(0, [10, 11]), (0, [12]), (1, [20]), (1, [21]), (0, [30, 31, 32]), (0, [33])]
    first = mini_batches(group, 2, rank=0, num_processes=2, parts=shape.parts)
    second = mini_batches(group, 2, rank=1, num_processes=2, parts=shape.parts)
    assert first == [(0, [10, 11]), (0, [12]), (0, [30, 31, 32]), (0, [33])]
    assert second == [(1, [20]), (1, [21])]
    assert mini_batches(group, 2, rank=3, num_processes=4, parts=shape.parts) == []


def test_whole_parts_of_one_source_share_a_mini_batch_where_they_fit():
    parts = (Part(0, 2, 5), Part(1, 1), Part(0, 2, 5), Part(1, 2), Part(0, 2, 5), Part(0, 6, 5))
    group = [(part.source, 10 * n + row) for n, part in enumerate(parts) for row in range(part.items)]
    assert mini_batches(group, 2, parts=parts) == [
        (0, [0, 1, 20, 21]),
        (1, [10]),
        (1, [30, 31]),
        (0, [40, 41]),
        (0, [50, 51, 52, 53, 54]),
        (0, [55]),
    ]
    assert mini_batches(group, 2, rank=0, num_processes=2, parts=parts) == [
        (0, [0, 1, 20, 21]),
        (0, [40, 41]),
    ]


# --- what is trained


def mixed(folder, **changes):
    """A stage on two sources of different lengths, whose captions differ in words; a step has parts of 3 and of 1."""
    data = []
    for number, videos in enumerate((6, 2)):
        place = folder / f"source{number}"
        place.mkdir(parents=True)
        rows = caption_rows({"train": videos, "val": 2})
        for row in rows:
            row["text_out"] += " and more" * number
        entry = {"annotations": str(annotated(place / "toy.parquet", rows)), "kind": "features"}
        index = str(indexed(place / "bank", caption_features(rows, seed=number)))
        data.append(entry | {"dataset": "toy", "index": index, "split": "train"})
    plan = {"name": "retake.training.mixture_plan", "workers": 4, "shares": [0.5, 0.5], "items": [3, 1]}
    recipe = stage(data[0]) | {"data": data}
    recipe |= {
        "model": {"width": 6, "classes": 6},
        "trainable": ["blocks.*.adapter.*", "blocks.*.gate", "table.*"],
        "optimiser": {"name": "sgd", "groups": [{"match": "*", "lr": 0.3}], "clip": {"norm": 1.0}},
        "batch": {"effective": 8, "at_once": 2},
        "plan": plan | {"steps_per_epoch": 4},
        "length": {"steps": 10},
        "validation": None,
    }
    return recipe | changes


def test_a_step_is_the_sum_over_all_parts_by_the_count_of_all_their_words(tmp_path):
    """Parts differ in items and items in words: a mean over parts, or over items, would be another gradient."""
    recipe = mixed(tmp_path, length={"steps": 1})
    recipe["optimiser"] = recipe["optimiser"] | {"clip": None}
    made = StageRun(MODEL, checked_stage(recipe), 3, Metrics(), tmp_path / "s")
    shape, group = groups(made.plan.shapes(0), made.sources, seed=3)[0]
    assert {part.source for part in shape.parts} == {0, 1}
    nll, words = 0.0, 0.0
    for source, row in group:  # row by row, in no batches
        found = made.model.losses(made.sources[source].batch([row]))
        nll, words = nll + found["total"], words + found["count"]
    wanted = torch.autograd.grad(nll / words, made.trained)
    made.train()
    assert all(torch.allclose(p.grad, w, atol=1e-6) for p, w in zip(made.trained, wanted, strict=True))
    assert max(w.abs().max() for w in wanted) > 1e-3


def run(recipe, folder, metric):
    made = StageRun(MODEL, checked_stage(recipe), 1, metric, folder / "scratch")
    made.train()
    made.save(folder / "c.safetensors")
    return (folder / "c.safetensors").read_bytes()


@pytest.mark.parametrize("step", [3, 6])
def test_stopped_in_the_middle_of_an_epoch_it_goes_on_to_the_same_bits(tmp_path, step):
    recipe = mixed(tmp_path)
    whole = run(recipe, tmp_path / "whole", Metrics())
    with pytest.raises(StoppedError):
        run(recipe, tmp_path / "stopped", stop_at(step, Metrics()))
    assert run(recipe, tmp_path / "stopped", Metrics()) == whole
    assert checkpoint.read_tensors(tmp_path / "whole/c.safetensors")[0]["table.weight"].isfinite().all()
