"""Whose checkpoint a stage starts from, which trainings a plan has, and what tables say of trainings themselves."""

from copy import deepcopy

import pytest

from retake.plan import Plan
from retake.schema.strict import SettingError, read_yaml
from tests.unit.planning.conftest import STAGE
from tests.unit.planning.test_plan import RUN, says

STAGES = "results/mini/training/pulse/{}/clips/seed{}/{}/checkpoint.safetensors"


def rows(*variants, **more):
    row = {"dataset": "clips", "protocol": "beam5", "metrics": ["cider"]}
    return [row | {"variant": v} | more for v in variants]


def of_training(*variants, split, metrics=("last_loss",)):
    return rows(*variants, split=split, protocol="training", metrics=list(metrics))


@pytest.fixture
def once(project):
    """One pre-training of seed 1 under two fine-tunings that each have three seeds."""
    project.config["seeds"] = [1, 2, 3]
    fine = deepcopy(STAGE) | {"start": {"stage": "first", "seed": 1}}
    project.recipe["stages"] = {"first": STAGE, "fine": fine, "finer": deepcopy(fine) | {"precision": "bf16"}}
    project.recipe["variants"] = {
        "short": {"stages": ["first", "fine"]},
        "long": {"stages": ["first", "finer"]},
    }
    project.recipe["tables"] = {"table_1": {"title": "Main", "rows": rows("short", "long")}}
    return project


def test_a_start_of_one_seed_is_trained_once_under_all_seeds(once):
    plan = once.plan()
    first = STAGES.format("short", 1, "first")  # of both variants: the first that has it owns it
    assert plan.every_checkpoint()[0] == first
    assert sorted(plan.every_checkpoint()) == sorted(
        [first]
        + [STAGES.format(v, seed, s) for v, s in (("short", "fine"), ("long", "finer")) for seed in (1, 2, 3)]
    )
    for seed in (1, 2, 3):
        job = plan.trainings.job(RUN | {"variant": "long", "seed": seed}, "finer")
        assert job["inputs"]["start"] == [first]


def test_without_a_seed_each_run_starts_from_its_own(once):
    for stage in ("fine", "finer"):
        del once.recipe["stages"][stage]["start"]["seed"]
    assert len(once.plan().every_checkpoint()) == 3 + 3 + 3


def test_a_seed_that_no_table_runs_is_trained_for_its_start(once):
    once.config["seeds"] = [2]
    plan = once.plan()
    assert [path.split("/")[6:8] for path in plan.every_checkpoint()] == [
        ["seed1", "first"],
        ["seed2", "fine"],
        ["seed2", "finer"],
    ]
    assert len(plan.every_training_record()) == 3


def test_a_methods_curves_are_of_every_training_and_what_trains_nothing_has_none(once):
    plan = once.plan()
    assert plan.curve_paths() == ["results/mini/curves/pulse.csv"]
    records = [path.replace("checkpoint.safetensors", "record.jsonl") for path in plan.every_checkpoint()]
    assert plan.curves_of("pulse") == records != []
    once.recipe["tables"]["table_1"]["scales"] = ["paper"]
    assert once.plan().curve_paths() == []


def test_a_methods_curves_are_its_own():
    plan = Plan(read_yaml("config.yaml"))
    found = {method: plan.curves_of(method) for method in plan.recipes}
    for method, paths in found.items():
        assert paths
        assert all(path.startswith(f"results/mini/training/{method}/") for path in paths)
    assert sum(map(len, found.values())) == len(plan.every_checkpoint())


def test_starts_of_two_seeds_are_two_trainings(once):
    once.recipe["stages"]["finer"] = deepcopy(once.recipe["stages"]["fine"])
    once.recipe["stages"]["finer"]["start"]["seed"] = 2
    plan = once.plan()
    assert len(plan.every_checkpoint()) == 2 + 3 + 3
    assert plan.trainings.checkpoint(RUN | {"variant": "long"}, "finer") != plan.trainings.checkpoint(
        RUN | {"variant": "short"}, "fine"
    )


def test_published_weights_have_no_seed(project):
    project.recipe["stages"]["first"] = deepcopy(STAGE) | {"start": {"weights": "net", "seed": 1}}
    says(project, "recipe.yaml: stages.first.start", "weights have none, not 1")


def test_a_checkpoint_that_only_a_start_needs_is_listed_with_its_media(project):
    """The origin is a variant of no table, and looks through a view that no other stage does."""
    project.recipe["views"]["few"] = {"kind": "frames", "count": 2}
    project.recipe["stages"]["origin"] = deepcopy(STAGE) | {"data": [{"view": "few"}]}
    project.recipe["stages"]["first"] = deepcopy(STAGE) | {"start": {"variant": "source"}}
    project.recipe["variants"]["source"] = {"stages": ["origin"]}
    plan = project.plan()
    assert STAGES.format("source", 1, "origin") in plan.every_checkpoint()
    assert "results/mini/media/few/clips/index.parquet" in plan.every_media_index()


# --- rows of trainings


def test_a_row_of_a_training_is_scored_without_a_prediction(once):
    once.recipe["tables"]["table_2"] = {
        "title": "How it went",
        "rows": of_training("short", "long", split="finer", metrics=["last_loss", "diverged"])[1:],
    }
    plan = once.plan()
    scores = [f"results/mini/metrics/pulse/long/clips/seed{n}/training/finer.json" for n in (1, 2, 3)]
    assert plan.metrics_of_table("pulse", "table_2") == plan.every_training_score() == scores
    assert len(plan.every_metrics_file()) == 2 * 3 + 3
    assert len(plan.every_prediction()) == 2 * 3
    assert len(plan.every_checkpoint()) == 1 + 3 + 3
    assert plan.tables_of("pulse") == ["table_1", "table_2"]
    job = plan.training_score_job(RUN | {"variant": "long", "seed": 2}, "finer")
    trained = STAGES.format("long", 2, "finer")
    assert job["inputs"] == {
        "checkpoint": trained,
        "trained": trained.replace("checkpoint.safetensors", "record.jsonl"),
        "start": [STAGES.format("short", 1, "first")],
    }
    assert job["recipe"]["metrics"] == ["diverged", "last_loss"]
    assert job["recipe"]["start"] == [
        {"checkpoint": STAGES.format("short", 1, "first"), "into": "", "leave_out": []}
    ]
    assert job["recipe"]["identity"] == {
        "method": "pulse", "variant": "long", "dataset": "clips", "seed": 2, "scale": "mini",
        "protocol": "training", "split": "finer", "items_of": None,
    }  # fmt: skip


def test_a_table_of_trainings_alone_trains_no_further_than_the_stage(once):
    once.recipe["tables"] = {
        "table_1": {"title": "How", "seeds": [1], "rows": of_training("long", split="first")}
    }
    plan = once.plan()
    assert plan.every_checkpoint() == [STAGES.format("short", 1, "first")]
    assert plan.every_prediction() == []
    assert plan.every_media_index() == ["results/mini/media/frames16/clips/index.parquet"]


def test_a_training_on_a_named_data_set_needs_no_run_on_it(once):
    """The stage reads `other` whatever the target: it is one training, and its row is of `other`."""
    datasets = once.folder / "retake/data/datasets"
    (datasets / "other").mkdir(parents=True)
    once.write()
    (datasets / "other/card.yaml").write_text((datasets / "clips/card.yaml").read_text())
    (datasets / "other/mini.py").write_text((datasets / "clips/mini.py").read_text())
    once.recipe["stages"]["first"] = deepcopy(STAGE) | {"data": [{"dataset": "other", "view": "frames16"}]}
    row = of_training("short", split="first")[0] | {"dataset": "other"}
    once.recipe["tables"]["table_2"] = {"title": "How", "seeds": [1], "rows": [row]}
    plan = once.plan()
    path = "results/mini/training/pulse/short/other/seed1/first/checkpoint.safetensors"
    assert (
        plan.training_score_job(RUN | {"variant": "short", "dataset": "other"}, "first")["inputs"][
            "checkpoint"
        ]
        == path
    )
    assert plan.every_checkpoint().count(path) == 1
    assert "table_2" in plan.tables_of("pulse")
    once.recipe["tables"]["table_2"]["rows"] = rows("short", dataset="other")  # a prediction does need one
    assert "table_2" not in once.plan().tables_of("pulse")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (of_training("short", split="frist"), ["no stage 'frist'", "'first'"]),
        (
            of_training("short", split="finer"),
            ["variant 'short' has no stage 'finer'", "did you mean 'fine'?"],
        ),
        (of_training("short", split="first", metrics=["cider"]), ["'cider' is not of protocol 'training'"]),
        (rows("short", metrics=["grad_spread"]), ["'grad_spread' is not of protocol 'beam5'"]),
    ],
)
def test_a_row_that_is_of_no_training_is_named(once, row, words):
    once.recipe["tables"]["table_1"]["rows"] = row
    says(once, "tables.table_1", *words)


def test_a_fused_variant_was_not_trained(once):
    once.recipe["variants"]["both"] = {"fuse": {"short": 1.0, "long": 1.0}}
    once.recipe["tables"]["table_1"]["rows"] = of_training("both", split="first")
    says(once, "variant 'both' has no stage 'first'")


def test_no_protocol_may_have_the_reserved_name(project):
    project.recipe["protocols"]["training"] = {}
    says(project, "protocols.training: the name is taken")


# --- mixtures


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shares": [0.5, 0.4]}, ["shares: expected numbers that sum to 1, not to 0.9"]),
        ({"items": [8]}, ["items: expected one for each of 2 shares, not 1"]),
        ({"draw": "all"}, ["draw"]),
        ({"wrokers": 2}, ["wrokers", "did you mean 'workers'?"]),
        ({"shares": [0.5, 0.25, 0.25], "items": [1, 1, 1]}, ["3 shares for 2 data sources"]),
    ],
)
def test_a_mixture_that_cannot_be_is_named_before_any_job(project, options, words):
    plan = {"name": "retake.training.mixture_plan", "workers": 4, "shares": [0.5, 0.5], "items": [8, 1]}
    data = [{"view": "frames16"}, {"view": "frames16", "rows": "one_per_item"}]
    project.recipe["stages"]["first"] = deepcopy(STAGE) | {"data": data, "plan": plan}
    assert project.plan().trainings.job(RUN, "first")["recipe"]["plan"] == plan
    plan |= options
    says(project, "recipe.yaml: stages.first", *words)


def test_how_a_stage_is_trained_reaches_its_job(project):
    project.recipe["stages"]["first"] = deepcopy(STAGE) | {"parallel": "fsdp2", "diverged": "keep"}
    recipe = project.plan().trainings.job(RUN, "first")["recipe"]
    assert (recipe["parallel"], recipe["diverged"]) == ("fsdp2", "keep")
    project.recipe["stages"]["first"]["parallel"] = "fsdp"
    with pytest.raises(SettingError, match=r"stages\.first\.parallel"):
        project.plan()
