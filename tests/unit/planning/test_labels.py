"""Pseudolabels in the plan: who labels what, the files of a shard, and what a training on labels reads."""

from copy import deepcopy

import pytest
import yaml

from retake.schema.strict import SettingError

RUN = {"method": "pulse", "variant": "told", "dataset": "clips", "seed": 1}
LABELLER = {
    "weights": "speaker", "chunk_s": 8.0, "size": 64, "prompt": "a picture of", "top_p": 0.9, "max_length": 20,
}  # fmt: skip
WEIGHTS = {
    "title": "Speaker", "licence": "none", "layout": "ours", "tokenizer": ["vocab.txt"],
    "source": {"repo": "a/b", "files": [{"name": "model.safetensors"}, {"name": "vocab.txt"}]},
    "paper": {"model": {}},
    "mini": {
        "model": {},
        "pretrain": {
            "task": "caption", "dataset": "clips", "view": "pictures",
            "views": {"pictures": {"kind": "frames", "count": 1}},
            "optimiser": {"name": "adam", "groups": [{"match": "*", "lr": 0.1}]}, "length": {"epochs": 1},
            "batch": {"effective": 8, "at_once": 8},
        },
    },
}  # fmt: skip
OWN = {
    "title": "Own",
    "licence": "yours",
    "access": "folder",
    "media": {"glob": "videos/**/*", "id": "path"},
    "tasks": ["caption"],
}


@pytest.fixture
def labelled(project):
    """The invented project with a labeller, and a variant that learns what it says."""
    project.recipe["labellers"] = {"speaker": deepcopy(LABELLER)}
    told = deepcopy(project.recipe["stages"]["first"])
    told |= {"data": [{"view": "frames16", "labels": "speaker"}], "validation": None}
    project.recipe["stages"]["told"] = told
    project.recipe["variants"]["told"] = {"stages": ["told"]}
    row = {"variant": "told", "dataset": "clips", "protocol": "beam5", "metrics": ["cider"]}
    project.recipe["tables"]["table_1"]["rows"].append(row)
    weights, own = project.folder / "retake/weights/speaker", project.folder / "retake/data/datasets/own"
    for folder, card in ((weights, WEIGHTS), (own, OWN)):
        folder.mkdir(parents=True)
        (folder / "card.yaml").write_text(yaml.safe_dump(card))
    (weights / "model.py").write_text("")
    return project


def test_a_training_on_labels_reads_the_labellers_table_and_answers_are_scored_by_the_releases(labelled):
    plan = labelled.plan()
    table = "results/mini/pseudolabels/speaker/clips.parquet"
    job = plan.trainings.job(RUN, "told")
    assert job["inputs"]["annotations"] == [table]
    assert [data["annotations"] for data in job["recipe"]["data"]] == [table]
    asked = plan.predict_job(RUN, "beam5", "test")
    assert asked["recipe"]["data"]["annotations"] == "results/mini/annotations/clips.parquet"
    assert asked["inputs"]["annotations"] == ["results/mini/annotations/clips.parquet"]


def test_a_shard_reads_its_videos_and_the_labellers_weights_and_tokenizer(labelled):
    job = labelled.plan().label_job("speaker", "clips", "001")
    folder = "data/mini/weights/speaker"
    assert job["inputs"] == {
        "manifest": "results/mini/releases/clips/shard001.json",
        "weights": f"{folder}/model.safetensors",
        "config": f"{folder}/config.json",
        "tokenizer": [f"{folder}/vocab.txt"],
    }
    assert job["recipe"]["labeller"] == "speaker"
    assert job["recipe"]["release"] == "clips"
    assert LABELLER.items() <= job["recipe"]["spec"].items()
    assert labelled.plan().labeller_code("speaker") == "retake/weights/speaker"


def test_what_is_listed_is_what_trainings_read_and_what_the_user_asks_for(labelled):
    assert labelled.plan().every_label_table() == ["results/mini/pseudolabels/speaker/clips.parquet"]
    labelled.recipe["tables"]["table_1"]["rows"].pop()
    plan = labelled.plan()
    assert plan.every_label_table() == []
    assert plan.caption_paths() == []
    (labelled.folder / "films").mkdir()
    labelled.config["own"] = {"videos": "films", "label_with": ["speaker"]}
    plan = labelled.plan()
    own = "results/mini/pseudolabels/speaker/own.parquet"
    assert plan.every_label_table() == plan.caption_paths() == [own]
    assert plan.shown_labels() == ["results/mini/pseudolabels/speaker/own/shard000/shown.parquet"]
    assert (
        plan.label_job("speaker", "own", "000")["inputs"]["manifest"]
        == "results/mini/releases/own/shard000.json"
    )
    assert "own" in plan.releases


def test_weights_of_a_labeller_are_among_the_plans(labelled):
    assert list(labelled.plan().weights) == ["speaker"]
    labelled.recipe["labellers"]["speaker"]["weights"] = "speakr"
    with pytest.raises(SettingError, match=r"labellers.speaker: no weights 'speakr'; did you mean 'speaker'"):
        labelled.plan()


def test_another_labeller_trains_another_checkpoint_and_another_speed_the_same(labelled):
    before = labelled.plan().trainings._key("pulse", "told", "told")
    labelled.recipe["labellers"]["speaker"]["at_once"] = 7
    assert labelled.plan().trainings._key("pulse", "told", "told") == before
    labelled.recipe["labellers"]["speaker"]["top_p"] = 0.5
    assert labelled.plan().trainings._key("pulse", "told", "told") != before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": "spaeker"}, r"stages.told: no labeller 'spaeker'; did you mean 'speaker'"),
        (
            {"labels": "speaker", "split": "val"},
            r"split: what a labeller writes is all of split 'train', not 'val'",
        ),
    ],
)
def test_labels_that_nobody_writes_are_refused(change, said, labelled):
    labelled.recipe["stages"]["told"]["data"] = [{"view": "frames16"} | change]
    with pytest.raises(SettingError, match=said):
        labelled.plan()


def test_labels_are_not_validated_on(labelled):
    del labelled.recipe["stages"]["told"]["validation"]
    with pytest.raises(
        SettingError, match=r"stages.told.validation: a labeller writes no split to validate on"
    ):
        labelled.plan()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"top_p": 1.5}, "labellers.speaker.top_p"),
        ({"sise": 3}, "labellers.speaker.sise: unknown key; did you mean 'size'"),
        ({"min_length": 30}, "min_length: 30 is more than max_length, 20"),
        ({"repetition_penalty": 0.5}, "labellers.speaker.repetition_penalty"),
    ],
)
def test_a_labeller_that_cannot_be_is_refused(change, said, labelled):
    labelled.recipe["labellers"]["speaker"] |= change
    with pytest.raises(SettingError, match=said):
        labelled.plan()


def test_a_labellers_name_may_not_be_that_of_the_releases_labels(labelled):
    labelled.recipe["labellers"]["release"] = deepcopy(LABELLER)
    with pytest.raises(
        SettingError, match=r"labellers.release: that name stands for the labels of the release"
    ):
        labelled.plan()


def test_targets_and_the_users_wishes_must_name_what_there_is(labelled):
    plan = labelled.plan()
    plan.check_targets(["results/mini/pseudolabels/speaker/clips.parquet"])
    with pytest.raises(
        SettingError, match="no method of this run has a labeller 'speker'; did you mean 'speaker'"
    ):
        plan.check_targets(["results/mini/pseudolabels/speker/clips.parquet"])
    with pytest.raises(SettingError, match="no release 'clisp' in this run; did you mean 'clips'"):
        plan.check_targets(["results/mini/pseudolabels/speaker/clisp.parquet"])
    with pytest.raises(
        SettingError, match=r"no release 'own' in this run; name it in config.yaml, own.label_with"
    ):
        plan.check_targets(["results/mini/pseudolabels/speaker/own.parquet"])
    labelled.config["own"] = {"videos": "films", "label_with": ["speker"]}
    with pytest.raises(SettingError, match=r"own.label_with: no method of this run has a labeller 'speker'"):
        labelled.plan()


def test_two_methods_whose_labellers_share_a_name_must_agree(labelled):
    labelled.write()
    other = labelled.folder / "retake/methods/echo"
    other.mkdir()
    (other / "model.py").write_text(labelled.model)
    recipe = deepcopy(labelled.recipe)
    (other / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    labelled.config["run"].append({"method": "echo", "datasets": ["clips"]})
    assert list(labelled.plan().labellers) == ["speaker"]
    recipe["labellers"]["speaker"]["top_p"] = 0.8
    (other / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    with pytest.raises(
        SettingError, match=r"labellers.speaker: another method's labeller of that name differs"
    ):
        labelled.plan()
