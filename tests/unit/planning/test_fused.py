"""Fusions across data sets of one release and across seeds: what they read, what is trained, what is refused."""

from copy import deepcopy

import pytest
import yaml

from retake.schema.strict import SettingError

OWN = "retake.methods.pulse.join:joined"


@pytest.fixture
def pairs(project):
    """The invented method on a release `clips` with three readings: words, things, and both."""
    project.card["tasks"] = []
    readings = {"words": ["caption"], "things": ["caption"], "both_of": ["caption"]}
    for name, tasks in readings.items():
        folder = project.folder / f"retake/data/datasets/{name}"
        folder.mkdir(parents=True)
        card = {"release": "clips", "title": name, "tasks": tasks, "splits": {"train": 10, "test": 5}}
        (folder / "card.yaml").write_text(yaml.safe_dump(card))
    parts = [{"variant": "short", "dataset": "words"}, {"variant": "long", "dataset": "things"}]
    project.recipe["variants"]["pair"] = {"parts": parts, "combiner": OWN}
    project.recipe["protocols"]["beam5"] = {"beam": 5}
    row = {"variant": "pair", "dataset": "both_of", "protocol": "beam5", "metrics": ["cider"]}
    project.recipe["tables"] = {"table_1": {"title": "Both", "headline": True, "rows": [row]}}
    project.config["run"][0]["datasets"] = ["both_of"]
    return project


RUN = {"method": "pulse", "variant": "pair", "dataset": "both_of", "seed": 1}
FOLDER = "results/mini/predictions/pulse"


def test_a_fusion_reads_what_its_parts_answer_on_their_own_data_sets_and_all_tables(pairs):
    job = pairs.plan().fuse_job(RUN, "beam5", "test")
    assert job["inputs"] == {
        "parts": [
            f"{FOLDER}/short/words/seed1/beam5/test.parquet",
            f"{FOLDER}/long/things/seed1/beam5/test.parquet",
        ],
        "annotations": [
            f"results/mini/annotations/{name}.parquet" for name in ("both_of", "words", "things")
        ],
    }
    assert job["recipe"] == {"task": "caption", "combiner": OWN, "weights": [1.0, 1.0]}


def test_what_parts_answer_on_is_trained_and_listed_though_no_table_and_no_run_names_it(pairs):
    plan = pairs.plan()
    checkpoints = plan.every_checkpoint()
    assert {path.split("/")[5] for path in checkpoints} == {"words", "things"}
    # long starts from what short trains, on the same data set
    trained = [("short", "words", "first"), ("short", "things", "first"), ("long", "things", "second")]
    assert {tuple(path.split("/")[4:8]) for path in checkpoints} == {
        (variant, dataset, f"seed{seed}", stage) for variant, dataset, stage in trained for seed in (1, 2)
    }
    runs = {(run["variant"], run["dataset"], run["seed"]) for run in plan.every_trained_run()}
    assert runs == {(v, d, s) for v, d in (("short", "words"), ("long", "things")) for s in (1, 2)}
    assert plan.datasets == ["both_of", "things", "words"]
    assert plan.asked_on("pulse") == ["both_of", "words", "things"]
    assert plan.every_prediction() == [
        f"{FOLDER}/pair/both_of/seed{seed}/beam5/test.parquet" for seed in (1, 2)
    ]
    assert plan.fused() == {"both", "pair"}
    assert "pair" not in plan.trained()
    assert plan.score_job(RUN, "beam5", "test")["inputs"]["predicted"].startswith(
        "results/mini/records/fuse_predictions"
    )


def test_parts_of_a_fusion_may_be_fused_of_two_seeds(pairs):
    pairs.recipe["variants"]["twice"] = {
        "parts": [{"variant": "short"}, {"variant": "short", "seed_offset": 10}]
    }
    pairs.recipe["variants"]["pair"]["parts"][0]["variant"] = "twice"
    plan = pairs.plan()
    runs = [(run["variant"], run["dataset"], run["seed"]) for run in plan.trained_parts(RUN)]
    assert runs == [("short", "words", 1), ("short", "words", 11), ("long", "things", 1)]
    inner = plan.fuse_job(RUN | {"variant": "twice", "dataset": "words", "seed": "2"}, "beam5", "test")
    # no table of annotations where the scores are of the same classes
    assert inner["inputs"] == {
        "parts": [f"{FOLDER}/short/words/seed{seed}/beam5/test.parquet" for seed in (2, 12)]
    }
    assert any("/seed11/" in path for path in plan.every_checkpoint())


def test_parts_of_another_release_are_no_matter_until_they_are_asked_for(pairs):
    """Another method's data sets are not read because a recipe knows how it would fuse on them."""
    folder = pairs.folder / "retake/data/datasets/others"
    folder.mkdir(parents=True)
    (folder / "card.yaml").write_text(yaml.safe_dump(deepcopy(pairs.card) | {"tasks": ["caption"]}))
    (folder / "mini.py").write_text("OPTIONS = {'captions_per_video': 8}\n")
    pairs.recipe["tables"]["table_1"]["rows"][0] |= {"dataset": "others", "variant": "short"}
    pairs.config["run"][0]["datasets"] = ["others"]
    plan = pairs.plan()
    assert plan.datasets == ["others"]
    pairs.recipe["tables"]["table_1"]["rows"][0]["variant"] = "pair"
    for chosen in (["others"], ["others", "both_of"]):
        pairs.config["run"][0]["datasets"] = chosen
        with pytest.raises(
            SettingError, match=r"pair\.parts: 'words' is no reading of the release of 'others'"
        ):
            pairs.plan()


def test_videos_are_answered_by_the_parts(pairs):
    with pytest.raises(SettingError, match=r"variants\.pair: is fused .* answered by short, long"):
        pairs.plan().caption_job(RUN, "beam5", "both_of")


def test_a_change_on_a_data_set_that_only_a_part_answers_on_is_laid_over_its_training(pairs):
    pairs.recipe["per_dataset"] = {"things": {"model": {"dropout": 0.9}}}
    plan = pairs.plan()
    jobs = {
        run["dataset"]: plan.trainings.job(run, stage)["recipe"]["model"]
        for run, stage in plan.every_training()
    }
    assert jobs["things"]["dropout"] == 0.9
    assert jobs["words"]["dropout"] == 0.3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"combiner": "sum"}, "variants.pair: combiner 'sum' joins scores of the same classes"),
        ({"fuse": {"short": 1.0}}, "variants.pair: expected either stages"),
        ({"stages": ["first"]}, "variants.pair: expected either stages"),
        ({"parts": [{"variant": "shrot", "dataset": "words"}]}, "no variant 'shrot'; did you mean 'short'"),
        ({"parts": [{"variant": "short", "dataset": "wrods"}]}, "variants.pair.parts: no data set 'wrods'"),
        ({"parts": [{"variant": "short", "dataset": "clips"}]}, "'clips' is a release, no data set"),
        ({"parts": [{"variant": "short"}, {"variant": "short"}]}, "variants.pair: part 'short' stands twice"),
        ({"parts": [{"variant": "pair", "dataset": "words"}]}, "variants.pair: its parts go in a circle"),
        ({"parts": [{"variant": "short", "seed_offset": -1}]}, "seed_offset"),
        ({"parts": [{"variant": "short", "split": "val"}]}, "split"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change, said, pairs):
    pairs.recipe["variants"]["pair"] |= change
    with pytest.raises(SettingError) as caught:
        pairs.plan()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_fusions_of_each_other_are_refused(pairs):
    pairs.recipe["variants"]["other"] = {"fuse": {"third": 1.0}}
    pairs.recipe["variants"]["third"] = {"fuse": {"other": 1.0}}
    with pytest.raises(SettingError, match=r"variants\.other: its parts go in a circle"):
        pairs.plan()
