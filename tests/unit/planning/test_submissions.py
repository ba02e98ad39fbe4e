"""Files for servers in the plan: what they are made of, that nobody else asks for them, and which are refused."""

from copy import deepcopy

import pytest
import yaml

from retake.schema.strict import SettingError
from tests.unit.planning.conftest import CARD

RUN = {"method": "pulse", "variant": "long", "dataset": "clips", "seed": "1"}
FILE = RUN | {"protocol": "beam5", "split": "test", "form": "json"}


@pytest.fixture
def sending(project):
    project.card["submission"] = {"splits": ["test"], "form": "json"}
    return project


def test_a_file_is_made_of_predictions_annotations_and_the_release(sending):
    plan = sending.plan()
    job = plan.submission_job(FILE)
    assert job == {
        "inputs": {
            "predictions": ["results/mini/predictions/pulse/long/clips/seed1/beam5/test.parquet"],
            "annotations": ["results/mini/annotations/clips.parquet"],
            "files": ["results/mini/releases/clips/files.json"],
        },
        "recipe": {"datasets": ["clips"], "root": "data/mini/clips"},
    }
    assert plan.submission_code("clips") == "retake/data/datasets/clips/submission.py"
    plan.check_targets(["results/mini/submissions/pulse/long/clips/seed1/beam5/test.json"])


def test_parts_of_other_readings_are_sent_with_what_they_are_fused_to(sending):
    """Of the same data set they are not: their scores are in the fused ones."""
    folder = sending.folder / "retake/data/datasets/other"
    sending.write()
    folder.mkdir()
    (folder / "card.yaml").write_text(
        yaml.safe_dump({"release": "clips", "title": "Other", "tasks": ["caption"]})
    )
    sending.recipe["variants"]["pair"] = {
        "parts": [{"variant": "long"}, {"variant": "short", "dataset": "other"}],
        "combiner": "retake.methods.pulse.model:join",
    }
    plan = sending.plan()
    job = plan.submission_job(FILE | {"variant": "pair"})
    assert job["recipe"]["datasets"] == ["clips", "other"]
    assert job["inputs"]["predictions"] == [
        "results/mini/predictions/pulse/pair/clips/seed1/beam5/test.parquet",
        "results/mini/predictions/pulse/short/other/seed1/beam5/test.parquet",
    ]
    assert job["inputs"]["annotations"] == [
        f"results/mini/annotations/{n}.parquet" for n in ("clips", "other")
    ]
    assert plan.submission_code("other") == "retake/data/datasets/clips/submission.py"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (
            "pulse/long/clips/seed1/beam5",
            "expected results/mini/submissions/<method>/<variant>/<dataset>/seed<seed>",
        ),
        ("pulse/long/clips/1/beam5/test.json", "expected results/mini/submissions/<method>"),
        ("puls/long/clips/seed1/beam5/test.json", "no method 'puls' in this run; did you mean 'pulse'?"),
        ("pulse/lang/clips/seed1/beam5/test.json", "no variant 'lang'; did you mean 'long'?"),
        ("pulse/long/clip/seed1/beam5/test.json", "no data set 'clip' in this run; did you mean 'clips'?"),
        ("pulse/long/clips/seed1/beam/test.json", "no protocol 'beam'; did you mean 'beam5'?"),
        ("pulse/long/clips/seed1/beam5/train.json", "reads splits test as json, not 'train' as json"),
        ("pulse/long/clips/seed1/beam5/test.csv", "reads splits test as json, not 'test' as csv"),
    ],
)
def test_what_no_server_reads_is_one_line(sending, target, said):
    with pytest.raises(SettingError) as error:
        sending.plan().check_targets([f"results/mini/submissions/{target}"])
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_data_set_without_a_server_is_named(project):
    with pytest.raises(SettingError, match=r"clips/card.yaml: submission: missing; no server scores 'clips'"):
        project.plan().submission_job(FILE)


def test_a_server_scores_splits_of_the_card(project):
    project.card = deepcopy(CARD) | {"submission": {"splits": ["tests"], "form": "csv"}}
    with pytest.raises(SettingError, match=r"submission.splits: 'tests'; the card has test, train"):
        project.plan()


# --- several splits in one training ------------------------------------------------------------------------


def learning(project, split, **stage):
    project.recipe["stages"]["first"] = deepcopy(project.recipe["stages"]["first"]) | stage
    project.recipe["stages"]["first"]["data"] = [{"view": "frames16", "split": split}]
    return project


def test_a_stage_may_learn_from_several_splits_and_shares_no_checkpoint_with_another(project):
    run = RUN | {"variant": "short"}
    before = project.plan().trainings._key("pulse", "short", "first", "clips")
    plan = learning(project, ["train", "test"], validation=None).plan()
    assert plan.trainings.job(run, "first")["recipe"]["data"][0]["split"] == ["train", "test"]
    assert plan.trainings._key("pulse", "short", "first", "clips") != before
    assert plan.predict_job(run, "beam5", "test")["recipe"]["data"]["split"] == "test"


@pytest.mark.parametrize(
    ("split", "stage", "said"),
    [
        (["train", "train"], {}, "split: train, train: each is named once"),
        (["train"], {}, "split"),
        (["train", "val"], {}, "validation.split: 'val' is learnt from; expected another, or null"),
        ("val", {}, "validation.split: 'val' is learnt from; expected another, or null"),
    ],
)
def test_splits_that_do_not_fit_are_one_line(project, split, stage, said):
    with pytest.raises(SettingError) as error:
        learning(project, split, **stage).plan()
    assert said in str(error.value)
    assert "\n" not in str(error.value)
