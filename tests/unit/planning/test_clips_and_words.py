"""Clips inside videos, texts without media and tokenizers in the plan: inputs, JSON, keys, and what is refused."""

from copy import deepcopy

import pytest
import yaml

from retake.schema.strict import SettingError
from tests.unit.planning.conftest import STAGE

RUN = {"method": "pulse", "variant": "short", "dataset": "clips", "seed": 1}
CHUNKS = {"kind": "frames", "count": 4, "resize": [48, 48], "chunk_s": 8.0}
FIRST_OF = {
    "task": "caption",
    "trainable": ["*"],
    "length": {"epochs": 1},
    "batch": {"effective": 8, "at_once": 8},
}
FIRST_OF |= {"optimiser": {"name": "adam", "groups": [{"match": "*", "lr": 0.1}]}}
WORDS = ["vocab.json", "merges.txt"]


def weights_card(**changes):
    names = ["config.json", "model.safetensors", *WORDS]
    card = {
        "title": "Talker", "licence": "none", "layout": "none", "tokenizer": WORDS, "paper": {},
        "source": {"repo": "a/talker", "files": [{"name": name} for name in names]},
        "mini": {"model": {"width": 4}, "pretrain": FIRST_OF | {"dataset": "clips", "text": True}},
    }  # fmt: skip
    return card | changes


@pytest.fixture
def talking(project):
    """The invented project with a language model whose words its second stage takes over."""
    project.recipe["stages"]["first"]["start"] = [{"weights": "talker", "into": "language."}]
    put(project, "talker", weights_card())
    return project


def put(project, name, card):
    folder = project.folder / f"retake/weights/{name}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.yaml").write_text(yaml.safe_dump(card))


def reading(project, name, **facts):
    """A further data set; of the release clips unless it says else."""
    folder = project.folder / f"retake/data/datasets/{name}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.yaml").write_text(
        yaml.safe_dump({"release": "clips", "tasks": ["caption"], "title": name} | facts)
    )
    (folder / "mini.py").write_text("OPTIONS = {}\n")


def test_a_tokenizer_is_an_input_and_stands_in_the_start(talking):
    job = talking.plan().trainings.job(RUN, "first")
    folder = "data/mini/weights/talker"
    files = {name: f"{folder}/{name}" for name in WORDS}
    start = {
        "checkpoint": f"{folder}/model.safetensors",
        "into": "language.",
        "leave_out": [],
        "tokenizer": files,
    }
    assert job["recipe"]["start"] == [start]
    assert job["inputs"]["tokenizer"] == [*files.values()]


def test_a_stage_without_words_has_no_such_input(talking):
    plan = talking.plan()
    job = plan.trainings.job(RUN | {"variant": "long"}, "second")
    assert "tokenizer" not in job["inputs"]
    assert "tokenizer" not in job["recipe"]["start"][0]


def test_a_foundation_in_anothers_place_brings_its_own_words(talking):
    put(talking, "large", weights_card(mini={"same_as": "talker"}, tokenizer=[]))
    talking.recipe["stages"]["first"]["start"] = [{"weights": "large", "into": "language."}]
    plan = talking.plan()
    assert plan.trainings.job(RUN, "first")["inputs"]["tokenizer"] == [
        f"data/mini/weights/talker/{name}" for name in WORDS
    ]


def test_foundations_are_told_apart_by_their_words(talking):
    put(talking, "silent", weights_card(tokenizer=[]))
    talking.recipe["stages"]["second"]["start"] = [{"weights": "silent"}]
    plan = talking.plan()
    kinds = {kind: plan.with_words(plan.pretrained, kind) for kind in (None, "bpe", "wordpiece")}
    assert kinds == {None: ["silent"], "bpe": ["talker"], "wordpiece": []}
    assert sorted(plan.every_weights()) == sorted(
        [f"data/mini/weights/{n}/model.safetensors" for n in ("talker", "silent")]
        + [f"data/mini/weights/talker/{name}" for name in WORDS]
    )


def test_a_pretraining_on_texts_sees_no_media(talking):
    plan = talking.plan()
    job = plan.trainings.pretrain_job("talker")
    (data,) = job["recipe"]["data"]
    table = "results/mini/annotations/clips.parquet"
    assert data == {
        "dataset": "clips",
        "split": "train",
        "annotations": table,
        "kind": "text",
        "share": 1.0,
        "rows": "all",
    }
    assert job["recipe"]["validation"]["data"]["kind"] == "text"
    assert job["inputs"] == {"annotations": [table], "index": [], "arrays": []}
    assert "text" not in job["recipe"]
    assert not [path for path in plan.every_media_index() if "None" in path]


def test_a_stage_of_texts_sees_no_media(project):
    project.recipe["stages"]["first"]["data"] = [{"text": True}]
    job = project.plan().trainings.job(RUN, "first")
    assert [d["kind"] for d in job["recipe"]["data"]] == ["text"]
    assert job["inputs"]["index"] == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({}, "expected exactly one of view, bank and text: true"),
        ({"text": True, "view": "frames16"}, "expected exactly one of view, bank and text: true"),
        (
            {"view": "chunks", "sample": {"segments": 2, "crop": 32}},
            "sample: view 'chunks' is cut into clips already",
        ),
    ],
)
def test_a_source_says_one_thing_that_is_seen(project, source, said):
    project.recipe["views"]["chunks"] = CHUNKS
    project.recipe["stages"]["first"]["data"] = [source]
    with pytest.raises(SettingError, match=said):
        project.plan()


def test_chunks_need_no_table_and_segments_need_theirs(project):
    reading(project, "spoken")
    project.recipe["views"] |= {"chunks": CHUNKS, "said": CHUNKS | {"chunk_s": None, "segments_of": "spoken"}}
    project.recipe["stages"]["first"]["data"] = [{"view": "said"}]
    plan = project.plan()
    manifest = {"manifest": "results/mini/releases/clips/shard000.json"}
    assert plan.view_inputs("chunks", "clips", "000") == manifest
    table = {"segments": "results/mini/annotations/spoken.parquet"}
    assert plan.view_inputs("said", "clips", "000") == manifest | table
    assert "spoken" in plan.datasets
    assert plan.views["said"]["segments_of"] == "spoken"


def test_segments_of_an_unknown_data_set_are_refused(project):
    project.recipe["views"]["said"] = CHUNKS | {"chunk_s": None, "segments_of": "clisp"}
    with pytest.raises(
        SettingError, match=r"views\.said\.segments_of: no data set 'clisp'; did you mean 'clips'"
    ):
        project.plan()


@pytest.mark.parametrize("through", ["view", "bank"])
def test_segments_of_another_release_are_refused(project, through):
    reading(
        project, "films", release="films", access="open", licence="none", sources=[{"url": "u", "file": "f"}]
    )
    project.recipe["views"]["said"] = CHUNKS | {"chunk_s": None, "segments_of": "films"}
    project.recipe["stages"]["first"]["data"] = [{through: "said"}]
    if through == "bank":
        put(project, "talker", weights_card())
        project.recipe["banks"] = {"said": {"weights": "talker", "view": "said"}}
    with pytest.raises(
        SettingError, match=r"said\.segments_of: 'films' reads release 'films', and 'clips' is seen"
    ):
        project.plan()


def test_a_view_is_cut_in_one_way(project):
    project.recipe["views"]["both"] = CHUNKS | {"segments_of": "clips"}
    with pytest.raises(SettingError, match="expected at most one of chunk_s and segments_of"):
        project.plan()


def test_clips_of_other_lengths_are_trained_apart(project):
    """Also where a bank stands between the view and the stage."""
    put(project, "talker", weights_card())
    project.recipe["views"]["chunks"] = CHUNKS
    project.recipe["banks"] = {"heard": {"weights": "talker", "view": "chunks"}}
    project.recipe["stages"]["heard"] = deepcopy(STAGE) | {"data": [{"bank": "heard"}]}
    project.recipe["variants"] |= {"whole": {"stages": ["heard"]}, "same": {"stages": ["heard"]}}
    plan = project.plan()
    keys = [plan.trainings._key("pulse", variant, "heard") for variant in ("whole", "same")]
    assert keys[0] == keys[1]
    project.recipe["views"]["chunks"] = CHUNKS | {"chunk_s": 4.0}
    assert project.plan().trainings._key("pulse", "whole", "heard") != keys[0]


def test_pickles_ask_for_memory_where_they_are_rewritten(talking):
    talking.config["scale"] = "paper"
    assert talking.plan().fetching_mb == 1000
    files = [{"name": n} for n in ("config.json", *WORDS)] + [
        {"name": "a.bin", "becomes": "model.safetensors"}
    ]
    put(talking, "talker", weights_card(source={"repo": "a/talker", "files": files}))
    assert talking.plan().fetching_mb > 2 * 2600 * 1.5


KEYFRAMES = {
    "task": "caption", "dataset": "clips", "view": "keyframes",
    "views": {"keyframes": {"kind": "frames", "sampling": "clock", "every_s": 1.0, "resize": [48, 64]}},
}  # fmt: skip
WHOLE = {"clip": {"frames": 1, "step_s": 0}, "crop": None, "boxes": {"one_class": True}}


def test_a_pretraining_may_say_which_frames_and_boxes_it_sees(talking):
    spent = FIRST_OF | KEYFRAMES | {"sample": WHOLE}
    put(talking, "detector", weights_card(tokenizer=[], mini={"model": {"width": 4}, "pretrain": spent}))
    talking.recipe["stages"]["second"]["start"] = [{"weights": "detector"}]
    job = talking.plan().trainings.pretrain_job("detector")
    for data in (job["recipe"]["data"][0], job["recipe"]["validation"]["data"]):
        assert data["sample"] == {
            "clip": {"frames": 1, "step_s": 0.0}, "at": "start", "short_side": None, "crop": None, "flip": False,
            "labels": "item",
            "boxes": {"truth": True, "detector": None, "min_score": 0.9, "match_iou": 0.9, "one_class": True},
        }  # fmt: skip
    assert "sample" not in job["recipe"]


def test_a_pretraining_may_see_an_items_rows_together(talking):
    plain = talking.plan().trainings.pretrain_job("talker")["recipe"]
    for rows in ("by_item", "all"):
        spent = FIRST_OF | KEYFRAMES | {"rows": rows}
        put(talking, "detector", weights_card(tokenizer=[], mini={"model": {"width": 4}, "pretrain": spent}))
        talking.recipe["stages"]["second"]["start"] = [{"weights": "detector"}]
        job = talking.plan().trainings.pretrain_job("detector")["recipe"]
        assert job["data"][0]["rows"] == rows
        assert job["validation"]["data"].get("rows", "all") == "all"
        assert "rows" not in job
    assert plain["data"][0]["rows"] == "all"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"sample": WHOLE | {"boxes": {"detector": "persons"}}},
            "sample.boxes.detector: a card has none, not 'persons'",
        ),
        ({"sample": WHOLE, "view": None, "text": True}, "sample: frames are cut from a view"),
    ],
)
def test_a_pretrainings_sample_that_cannot_be_is_named(changes, words, talking):
    spent = FIRST_OF | KEYFRAMES | changes
    put(talking, "detector", weights_card(tokenizer=[], mini={"model": {"width": 4}, "pretrain": spent}))
    talking.recipe["stages"]["second"]["start"] = [{"weights": "detector"}]
    with pytest.raises(SettingError, match=words):
        talking.plan()
