"""Detections and banks in the plan: who fills them, what their jobs read, who reads them, and what is refused."""

import json
import re
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from retake.schema.provenance import provenance_of
from retake.schema.record import Record
from retake.schema.strict import SettingError
from tests.unit.planning.conftest import STAGE
from tests.unit.planning.test_clips_and_words import put, weights_card

SAMPLE = {
    "clip": {"frames": 8, "step_s": 0.1},
    "at": "start",
    "short_side": [32, 40],
    "crop": 32,
    "flip": True,
}
BOXED = SAMPLE | {"boxes": {"truth": True, "detector": "persons"}}
SEEN = {"view": "videos", "signal": "rgb", "sample": SAMPLE}
MEMORY = {"bank": "people", "window_s": 60.0, "per_step": 5}
FAR = {"method": "pulse", "variant": "far", "dataset": "clips", "seed": 2}
NEAR = FAR | {"variant": "near"}
FILLED = {"method": "pulse", "bank": "people", "dataset": "clips", "seed": 2}
BANK = "results/mini/features/pulse/people/clips/seed2"
TABLE = "results/mini/detections/persons/clips/detections.parquet"
MEDIA = "results/mini/media/videos/clips"
CHECKPOINT = "results/mini/training/pulse/near/clips/seed2/first/checkpoint.safetensors"


@pytest.fixture
def remembering(project):
    """The invented project with a variant that reads a bank, which a variant fills that no table speaks of."""
    recipe = project.recipe
    recipe["views"] = {
        "videos": {"kind": "stream", "size": [48, 64]},
        "keyframes": {"kind": "frames", "sampling": "clock", "every_s": 1.0, "resize": [48, 64]},
    }
    recipe["detectors"] = {
        "persons": {"weights": "finder", "view": "keyframes", "classes": ["person"], "features": True},
        "released": {"dataset": "clips"},
    }
    recipe["banks"] = {
        "people": {
            "variant": "near",
            "rows": "boxes",
            "detector": "persons",
            "min_score": 0.9,
            "dtype": "float16",
        },
        "whole": {"variant": "near", "rows": "clips"},
        "before": {"weights": "finder", "like": "near", "rows": "boxes", "detector": "released"},
        "things": {"detector": "persons", "rows": "objects", "top": 10},
    }
    stages = {"first": [SEEN], "second": [SEEN | {"memory": MEMORY}]}
    recipe["stages"] = {name: deepcopy(STAGE) | {"data": data} for name, data in stages.items()}
    recipe["variants"] = {"near": {"stages": ["first"]}, "far": {"stages": ["second"]}}
    row = {"variant": "far", "dataset": "clips", "protocol": "beam5", "metrics": ["cider"]}
    recipe["tables"] = {"table_1": {"title": "Main", "rows": [row]}}
    recipe["mini"] = {"model": {"width": 8}}
    put(project, "finder", weights_card(tokenizer=[]))
    return project


def reads(project, **memory):
    """The second stage reads with other settings of its memory."""
    project.recipe["stages"]["second"]["data"] = [SEEN | {"memory": MEMORY | memory}]
    return project


def job_of(plan, shard="001", **filled):
    return plan.rows_job(FILLED | filled | {"shard": shard})


# --- who reads ---------------------------------------------------------------------------------------------


def test_a_stage_with_a_memory_reads_the_bank_of_its_run(remembering):
    job = remembering.plan().trainings.job(FAR, "second")
    made_of = {"media": f"{MEDIA}/index.parquet", "checkpoint": CHECKPOINT, "detections": TABLE}
    said = {"window_s": 60.0, "per_step": 5, "direction": "both", "index": f"{BANK}/index.parquet"}
    (data,) = job["recipe"]["data"]
    assert data["memory"] == said | {"made_of": made_of}
    assert job["recipe"]["validation"]["data"]["memory"] == data["memory"]
    assert job["inputs"]["memory"] == [f"{BANK}/index.parquet"]
    assert job["inputs"]["made_of"] == [CHECKPOINT, TABLE, f"{MEDIA}/index.parquet"]
    arrays = [f"{BANK}/shard{s}/features.npy" for s in ("000", "001")]
    assert [path for path in job["inputs"]["arrays"] if "/features/" in path] == arrays


def test_a_prediction_reads_it_too_and_a_protocol_says_the_window(remembering):
    remembering.recipe["protocols"]["long"] = {"beam": 5, "max_len": 20, "window_s": 120.0}
    plan = remembering.plan()
    job = plan.predict_job(FAR, "long", "test")
    assert job["recipe"]["data"]["memory"] == plan.trainings.job(FAR, "second")["recipe"]["data"][0]["memory"]
    assert job["recipe"]["protocol"]["window_s"] == 120.0
    assert job["inputs"]["memory"] == [f"{BANK}/index.parquet"]
    assert job["inputs"]["checkpoint"].endswith("far/clips/seed2/second/checkpoint.safetensors")


def test_who_reads_no_bank_has_no_such_key_or_input(remembering):
    job = remembering.plan().trainings.job(NEAR, "first")
    assert not {"memory", "detections"} & set(job["recipe"]["data"][0])
    assert list(job["inputs"]) == ["annotations", "index", "arrays", "start"]


def test_a_detectors_table_is_an_input_of_who_learns_its_boxes(remembering):
    remembering.recipe["stages"]["first"]["data"] = [SEEN | {"sample": BOXED}]
    plan = remembering.plan()
    job = plan.trainings.job(NEAR, "first")
    assert job["recipe"]["data"][0]["detections"] == TABLE
    assert TABLE in job["inputs"]["index"]
    assert plan.detected() == [("persons", "clips")]


@pytest.fixture
def elsewhere(remembering):
    """Another release, whose videos the trained variant is asked about; boxes are brought for the first alone."""
    more = remembering.card | {
        "title": "More",
        "sources": [{"url": "http://localhost/m.zip", "file": "m.zip"}],
    }
    remembering.write()
    folder = remembering.folder / "retake/data/datasets"
    (folder / "more").mkdir()
    (folder / "more/card.yaml").write_text(yaml.safe_dump(more))
    (folder / "more/mini.py").write_text((folder / "clips/mini.py").read_text())
    remembering.config["run"][0]["datasets"] = ["clips", "more"]
    remembering.recipe["stages"]["second"]["data"] = [SEEN | {"sample": BOXED, "memory": MEMORY}]
    remembering.recipe["detectors"]["persons"] = {"dataset": "clips", "elsewhere": "lookers"}
    remembering.recipe["detectors"]["lookers"] = {"weights": "finder", "view": "keyframes", "features": True}
    remembering.recipe["banks"]["things"]["detector"] = "lookers"
    return remembering


def trained(plan, *runs):
    for run, stage in runs:
        path = Path(plan.trainings.checkpoint(run, stage))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"abc")


def test_the_bank_of_another_data_sets_videos_is_filled_by_what_is_there(elsewhere):
    """Nothing is trained for it: no checkpoint is an input, of the answer or of the bank."""
    plan = elsewhere.plan()
    trained(plan, (FAR, "second"))
    with pytest.raises(
        SettingError, match=r"near/clips/seed2/first/checkpoint\.safetensors: no such checkpoint"
    ):
        plan.caption_job(FAR, "beam5", "more")
    trained(plan, (NEAR, "first"))
    folder = "results/mini/features/pulse/people/clips@more/seed2"
    found = "results/mini/detections/lookers/more"
    job = plan.caption_job(FAR, "beam5", "more")
    memory = job["recipe"]["data"]["memory"]
    media = "results/mini/media/videos/more/index.parquet"
    assert memory["index"] == f"{folder}/index.parquet"
    assert memory["made_of"] == {
        "media": media, "checkpoint": CHECKPOINT, "detections": f"{found}/detections.parquet",
    }  # fmt: skip
    assert job["inputs"]["memory"] == [f"{folder}/index.parquet"]
    assert job["inputs"]["made_of"] == [f"{found}/detections.parquet", media]
    paths = [p for v in job["inputs"].values() for p in ([v] if isinstance(v, str) else v)]
    assert not [path for path in paths if "/training/" in path or "/clips/" in path]
    assert job["recipe"]["data"]["detections"] == f"{found}/detections.parquet"
    assert job["recipe"]["data"]["every_s"] == 1.0
    place = FILLED | {"dataset": "clips@more"}
    shard = plan.rows_job(place | {"shard": "001"})
    assert shard["inputs"] == {
        "index": "results/mini/media/videos/more/shard001/index.parquet",
        "arrays": [f"results/mini/media/videos/more/shard001/{n}.npy" for n in ("streams", "packets")],
        "detections": f"{found}/shard001/detections.parquet",
    }
    assert shard["recipe"]["checkpoint"] == CHECKPOINT
    assert shard["recipe"]["checkpoint_sha256"].startswith("ba7816bf")
    index = plan.index_rows_job(place)
    assert (sorted(index["inputs"]), index["recipe"]["checkpoint"]) == (
        ["arrays", "detections", "media", "shards"], CHECKPOINT,
    )  # fmt: skip
    fits = re.compile(plan.bank_place).fullmatch
    places = ["clips", "more", "clips@more", "more@clips", "clips@clips", "more@more"]
    assert all(fits(one) for one in places)
    assert not any(fits(one) for one in ("other", "clips@", "@clips", "clips@other", "clips@more@clips", ""))


def test_boxes_that_a_data_set_brings_are_elsewhere_those_of_another_detector(elsewhere):
    plan = elsewhere.plan()
    assert [plan.detector_on("persons", release) for release in ("clips", "more")] == ["persons", "lookers"]
    assert plan.detector_on("lookers", "clips") == "lookers"
    assert plan.detected() == [("persons", "clips")]
    del elsewhere.recipe["detectors"]["persons"]["elsewhere"]
    plan = elsewhere.plan()
    trained(plan, (FAR, "second"), (NEAR, "first"))
    said = "detectors.persons: 'clips' has boxes of release 'clips', not of 'more'; `elsewhere` names"
    with pytest.raises(SettingError, match=said):
        plan.caption_job(FAR, "beam5", "more")


# --- who fills ---------------------------------------------------------------------------------------------


def test_who_fills_a_bank_is_trained_though_no_table_speaks_of_it(remembering):
    plan = remembering.plan()
    trained = [(run["variant"], run["seed"], stage) for run, stage in plan.every_training()]
    assert trained == [("near", 1, "first"), ("far", 1, "second"), ("near", 2, "first"), ("far", 2, "second")]


def test_what_features_and_media_ask_for(remembering):
    plan = remembering.plan()
    assert plan.every_rows_index() == [f"{BANK[:-1]}{seed}/index.parquet" for seed in (1, 2)]
    assert plan.every_detections_table() == [TABLE]
    assert plan.every_media_index() == [
        f"results/mini/media/{view}/clips/index.parquet" for view in ("keyframes", "videos")
    ]
    assert plan.row_banks == ["before", "people", "things", "whole"]
    assert plan.banks == {}


def test_a_shard_of_boxes_is_made_from_checkpoint_videos_and_detections(remembering):
    job = job_of(remembering.plan())
    folder = f"{MEDIA}/shard001"
    assert job["inputs"] == {
        "index": f"{folder}/index.parquet",
        "arrays": [f"{folder}/streams.npy", f"{folder}/packets.npy"],
        "checkpoint": CHECKPOINT,
        "detections": "results/mini/detections/persons/clips/shard001/detections.parquet",
    }
    assert job["recipe"]["module"] == "retake.methods.pulse.model"
    shown = job["recipe"]["data"]
    assert (shown["kind"], shown["signal"], shown["sample"]["clip"]) == ("stream", "rgb", SAMPLE["clip"])
    bank = job["recipe"]["bank"]
    assert (bank["rows"], bank["min_score"], bank["every_s"], bank["dtype"]) == ("boxes", 0.9, 1.0, "float16")
    assert not {"variant", "weights", "detector", "seed", "like", "view"} & set(bank)


def test_a_foundation_looks_as_a_variant_does_and_has_no_seed(remembering):
    plan = reads(remembering, bank="before").plan()
    assert plan.every_rows_index() == ["results/mini/features/pulse/before/clips/seed0/index.parquet"]
    job = job_of(plan, bank="before", seed=0)
    assert job["inputs"]["checkpoint"] == "data/mini/weights/finder/model.safetensors"
    assert job["inputs"]["config"] == "data/mini/weights/finder/config.json"
    assert job["recipe"]["module"] == "retake.weights.finder.model"
    assert job["recipe"]["data"]["sample"]["crop"] == 32
    assert plan.rows_code(FILLED | {"bank": "before"}) == ["retake/weights/finder"]
    assert [run["variant"] for run, _ in plan.every_training()] == ["far", "far"]


def test_objects_are_read_from_their_detector_alone(remembering):
    plan = reads(remembering, bank="things", per_step=10).plan()
    job = job_of(plan, bank="things", seed=0)
    shard = "results/mini/detections/persons/clips/shard001"
    assert job["inputs"] == {
        "index": "results/mini/media/keyframes/clips/shard001/index.parquet",
        "detections": f"{shard}/detections.parquet",
        "arrays": [f"{shard}/features.npy"],
    }
    assert (job["recipe"]["module"], job["recipe"]["data"]) == (None, None)
    assert plan.rows_code(FILLED | {"bank": "things"}) == []


def test_a_bank_may_name_stage_seed_and_the_annotated_part(remembering):
    recipe = remembering.recipe
    recipe["stages"]["more"] = deepcopy(STAGE) | {"data": [SEEN]}
    recipe["variants"]["near"]["stages"] = ["first", "more"]
    recipe["banks"]["whole"] |= {"seed": 7, "part": "annotated"}
    plan = reads(remembering, bank="whole").plan()
    folder = "results/mini/training/pulse/near/clips/seed7"
    job = job_of(plan, bank="whole", seed=7)
    assert job["inputs"]["checkpoint"] == f"{folder}/more/checkpoint.safetensors"
    assert job["inputs"]["annotations"] == "results/mini/annotations/clips.parquet"
    assert plan.every_rows_index() == ["results/mini/features/pulse/whole/clips/seed7/index.parquet"]
    recipe["banks"]["whole"]["stage"] = "first"
    assert job_of(remembering.plan(), bank="whole", seed=7)["inputs"]["checkpoint"] == (
        f"{folder}/first/checkpoint.safetensors"
    )


def test_the_index_is_made_from_all_shards_and_what_they_are_made_of(remembering):
    job = remembering.plan().index_rows_job(FILLED)
    shards = [f"{BANK}/shard{s}" for s in ("000", "001")]
    assert job["inputs"] == {
        "shards": [f"{s}/index.parquet" for s in shards],
        "arrays": [f"{s}/{file}.npy" for file in ("features", "boxes") for s in shards],
        "media": f"{MEDIA}/index.parquet",
        "checkpoint": CHECKPOINT,
        "detections": TABLE,
    }


def test_detections_are_found_in_frames_or_brought_by_a_data_set(remembering):
    plan = remembering.plan()
    assert (plan.detectors_that(look=True), plan.detectors_that(look=False)) == (["persons"], ["released"])
    of = SimpleNamespace(detector="persons", release="clips", shard="000")
    found = plan.detect_job(of)
    frames = "results/mini/media/keyframes/clips/shard000"
    assert found["inputs"] == {
        "index": f"{frames}/index.parquet",
        "arrays": [f"{frames}/frames.npy"],
        "weights": "data/mini/weights/finder/model.safetensors",
        "config": "data/mini/weights/finder/config.json",
    }
    assert found["recipe"]["detector"]["classes"] == ["person"]
    of.detector = "released"
    brought = plan.detect_job(of)
    assert brought["inputs"] == {
        "manifest": "results/mini/releases/clips/shard000.json",
        "files": ["results/mini/releases/clips/files.json"],
    }
    assert brought["recipe"] == {
        "detector": {"dataset": "clips", "classes": [], "keep": 0.05, "top": None},
        "root": "data/mini/clips",
    }


# --- keys --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "values"),
    [
        (("banks", "people"), {"min_score": 0.8}),
        (("detectors", "persons"), {"keep": 0.2}),
        (("stages", "first"), {"length": {"epochs": 5}}),
        (("stages", "second", "data", 0, "memory"), {"window_s": 30.0}),
    ],
)
def test_what_fills_a_bank_decides_who_shares_a_checkpoint(remembering, place, values):
    def key():
        return remembering.plan().trainings._key("pulse", "far", "second", "clips")

    before = key()
    assert key() == before
    at = remembering.recipe = deepcopy(remembering.recipe)
    for part in place:
        at = at[part]
    at |= values
    assert key() != before


def test_variants_that_read_the_same_share_and_others_do_not(remembering):
    data = [SEEN | {"memory": MEMORY | {"bank": "whole"}}]
    remembering.recipe["variants"] |= {
        "same": {"base": "far"},
        "other": {"base": "far", "set": {"stages": {"second": {"data": data}}}},
    }
    plan = remembering.plan()
    owners = {v: plan.trainings.owner("pulse", v, "second", "clips")[0] for v in ("far", "same", "other")}
    assert owners == {"far": "far", "same": "far", "other": "other"}


# --- refused -----------------------------------------------------------------------------------------------


def test_a_bank_that_is_read_by_who_fills_it_is_a_circle(remembering):
    remembering.recipe["banks"]["people"]["variant"] = "far"
    with pytest.raises(SettingError, match="starts and banks go in a circle: far/second <- far/second"):
        remembering.plan()


def test_a_circle_may_have_several_steps(remembering):
    recipe = remembering.recipe
    recipe["stages"]["first"]["data"] = [SEEN | {"memory": MEMORY | {"bank": "whole"}}]
    recipe["banks"]["whole"]["variant"] = "far"
    said = "variants.near: starts and banks go in a circle: near/first <- far/second <- near/first"
    with pytest.raises(SettingError, match=said):
        remembering.plan()


CHANGES = [
    ("detectors.persons", {"dataset": "clips"}, "detectors.persons: expected exactly one of weights and dataset"),
    ("detectors.persons", {"view": "videos"}, "detectors.persons.view: expected a view of kind frames, 'videos'"),
    ("detectors.persons", {"view": "keyframe"}, "detectors.persons.view: no view 'keyframe'; did you mean 'keyframes'"),
    ("detectors.persons", {"wieghts": "x"}, "detectors.persons.wieghts: unknown key; did you mean 'weights'"),
    ("detectors.released", {"features": True}, "detectors.released: features: boxes that a data set brings have none"),
    ("detectors.persons", {"elsewhere": "released"}, "detectors.persons: elsewhere: a network looks at every release"),
    ("detectors.released", {"elsewhere": "person"}, "detectors.released.elsewhere: no detector 'person'; did you mean"),
    ("detectors.released", {"elsewhere": "released"}, "released.elsewhere: 'released' is no network that looks"),
    ("detectors.released", {"dataset": "clip"}, "detectors.released.dataset: no data set 'clip'; did you mean 'clips'"),
    ("detectors.persons", {"weights": "finda"}, "detectors.persons: no weights 'finda'; did you mean 'finder'"),
    ("banks.people", {"variant": "neer"}, "banks.people.variant: no variant 'neer'; did you mean 'near'"),
    ("banks.people", {"detector": "person"}, "banks.people.detector: no detector 'person'; did you mean 'persons'"),
    ("banks.people", {"detector": None}, "banks.people: detector: rows of boxes need the boxes"),
    ("banks.people", {"weights": "finder"}, "banks.people: rows: boxes are of weights or of a variant"),
    ("banks.people", {"rows": None}, "banks.people: expected weights and view, or rows and what makes them"),
    ("banks.people", {"rows": "boxs"}, "banks.people.rows: Input should be 'boxes', 'clips' or 'objects'"),
    ("banks.people", {"stage": "frist"}, "banks.people.stage: no stage 'frist'; did you mean 'first'"),
    ("banks.people", {"stage": "second"}, "banks.people.stage: variant 'near' has no stage 'second'; have first"),
    ("banks.people", {"every_s": 1.5}, "banks.people.every_s: 1.5 s is no multiple of the 1 s of detector 'persons'"),
    ("banks.people", {"grid": 2}, "banks.people: grid: fields are of rows: clips, not boxes"),
    ("banks.people", {"view": "videos"}, "banks.people: view: a bank of boxes looks as its variant"),
    ("banks.whole", {"top": 3}, "banks.whole: min_score and top: are of boxes, of which clips have none"),
    ("banks.whole", {"detector": "persons"}, "banks.whole: detector: rows of clips have no boxes"),
    ("banks.before", {"like": None}, "banks.before: like: expected exactly where weights make rows"),
    ("banks.before", {"seed": 3}, "banks.before: seed: is of a variant's checkpoint, which makes no rows here"),
    ("banks.things", {"detector": "released"}, "banks.things.detector: 'released' stores no features"),
    ("banks.things", {"variant": "near"}, "banks.things: rows: objects are a detector's own"),
    ("stages.second.data.0.memory", {"bank": "peeple"}, "data.memory: no bank 'peeple'; did you mean 'people'"),
    ("stages.second.data.0.memory", {"window_s": 0.2}, "memory.window_s: 0.2 s is less than a step of 'people', 1 s"),
    ("stages.second.data.0.memory", {"direction": "future"}, "memory.direction: Input should be 'both' or 'past'"),
    ("stages.second.data.0", {"view": None, "bank": "people", "memory": None, "sample": None, "signal": None},
     "stages.second.data.bank: 'people' has rows of boxes; expected it in memory"),
    ("stages.second.data.0", {"view": None, "text": True, "sample": None, "signal": None},
     "memory: stands beside what a view shows"),
    ("stages.first.data.0.sample", {"boxes": {"detector": "persona"}}, "boxes: no detector 'persona'; did you mean"),
    ("stages.first.data.0.sample", {"clip": None, "segments": 3, "at": None, "short_side": None},
     "stage 'first' of 'near' has no sample.clip, by which to show seconds"),
    ("variants.far", {"set": {"banks": {"people": {"min_score": 0.1}}}},
     "variants.far.set.banks.people: a bank of rows is one for all; give this one another name"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "values", "said"), CHANGES, ids=[said[:60] for *_, said in CHANGES])
def test_what_does_not_fit_is_one_line(remembering, place, values, said):
    at = remembering.recipe = deepcopy(remembering.recipe)
    for part in place.split("."):
        at = at[int(part) if part.isdigit() else part]
    at |= values
    for key in [key for key, value in at.items() if value is None]:
        del at[key]
    with pytest.raises(SettingError) as error:
        remembering.plan()
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_fused_variant_fills_no_bank(remembering):
    recipe = remembering.recipe
    recipe["variants"]["both"] = {"fuse": {"near": 1.0, "far": 1.0}}
    recipe["banks"]["people"]["variant"] = "both"
    with pytest.raises(SettingError, match=r"banks\.people\.variant: 'both' is fused and has no checkpoint"):
        remembering.plan()


def test_a_bank_of_frames_is_no_memory_and_says_nothing_of_seconds(remembering):
    bank = {"weights": "finder", "view": "keyframes"}
    remembering.recipe["banks"]["plain"] = bank
    with pytest.raises(SettingError, match=r"data.memory: bank 'plain' is of frames; expected one with rows"):
        reads(remembering, bank="plain").plan()
    reads(remembering)
    plan = remembering.plan()
    defaults = {"at_once": 64, "precision": "fp32", "dtype": "float32"}
    assert plan.banks == {"plain": bank | defaults}, "what its job read before there were others"
    remembering.recipe["banks"]["plain"] = bank | {"every_s": 2.0}
    with pytest.raises(SettingError, match=r"banks\.plain: every_s: is of banks with rows"):
        remembering.plan()


# --- where a number comes from -----------------------------------------------------------------------------


def test_a_predictions_provenance_tells_its_own_checkpoint_from_the_banks(remembering, tmp_path):
    remembering.recipe["stages"]["second"]["data"] = [SEEN | {"sample": BOXED, "memory": MEMORY}]
    job = remembering.plan().predict_job(FAR, "beam5", "test")
    paths = [p for value in job["inputs"].values() for p in ([value] if isinstance(value, str) else value)]
    line = {
        "kind": "job",
        "params": job["recipe"],
        "inputs": {p: f"sha of {p}" for p in paths},
        "code": "c",
        "digest": "d",
    }
    record = tmp_path / "record.jsonl"
    record.write_text(json.dumps(line) + "\n")
    assert Record.read(record).job["digest"] == "d"
    digests = provenance_of({}, record)["digests"]
    assert {name: value.removeprefix("sha of ") for name, value in digests.items() if "sha of" in value} == {
        "checkpoint": "results/mini/training/pulse/far/clips/seed2/second/checkpoint.safetensors",
        "annotations": "results/mini/annotations/clips.parquet",
        "media": f"{MEDIA}/index.parquet",
        "memory": f"{BANK}/index.parquet",
        "detections": TABLE,
    }
