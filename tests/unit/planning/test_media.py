"""Views of every kind in the plan: the files of a shard, what its job reads, what a training is told."""

from copy import deepcopy

import pytest

from retake.schema.strict import SettingError

RUN = {"method": "pulse", "variant": "short", "dataset": "clips", "seed": 1}
MEDIA = "results/mini/media"
VIEWS = {
    "encoded": {"kind": "stream", "size": [48, 64], "gop": 12, "quality": 1},
    "moves": {"kind": "motion", "of": "encoded", "signals": ["iframe", "motion"]},
    "native": {"kind": "motion", "of": None, "signals": ["motion"]},
    "flows": {"kind": "flow", "of": "encoded"},
}


@pytest.fixture
def coded(project):
    """The invented project with a view of each kind, and a variant that looks at each."""
    project.recipe["views"] |= deepcopy(VIEWS)
    seen = {
        "on_the_fly": {"view": "encoded", "signal": "motion"},
        "stored": {"view": "moves", "signal": "motion"},
        "pictures": {"view": "moves", "signal": "iframe"},
        "flow": {"view": "flows"},
    }
    for name, source in seen.items():
        project.recipe["stages"][name] = project.recipe["stages"]["first"] | {"data": [source]}
        project.recipe["variants"][name] = {"stages": [name]}
        row = {"variant": name, "dataset": "clips", "protocol": "beam5", "metrics": ["cider"]}
        project.recipe["tables"]["table_1"]["rows"].append(row)
    return project


def test_each_kind_has_views_of_its_own(coded):
    plan = coded.plan()
    assert {kind: plan.views_of(kind) for kind in ("frames", "stream", "motion", "flow", "sound")} == {
        "frames": ["frames16"],
        "stream": ["encoded"],
        "motion": ["moves", "native"],
        "flow": ["flows"],
        "sound": [],
    }


def test_a_shard_is_made_of_the_releases_files_or_of_the_stream_views_shard(coded):
    plan = coded.plan()
    manifest = {"manifest": "results/mini/releases/clips/shard001.json"}
    assert plan.view_inputs("encoded", "clips", "001") == manifest
    assert plan.view_inputs("native", "clips", "001") == manifest
    shard = f"{MEDIA}/encoded/clips/shard001"
    for view in ("moves", "flows"):
        assert plan.view_inputs(view, "clips", "001") == manifest | {
            "streams": f"{shard}/index.parquet",
            "streams_failures": f"{shard}/failures.csv",
            "arrays": [f"{shard}/streams.npy", f"{shard}/packets.npy"],
        }


@pytest.mark.parametrize(
    ("variant", "view", "names", "told"),
    [
        ("short", "frames16", ["frames.npy"], {"kind": "frames"}),
        ("on_the_fly", "encoded", ["streams.npy", "packets.npy"], {"kind": "stream", "signal": "motion"}),
        ("stored", "moves", ["packed_frames.npy", "packed.npy"], {"kind": "motion", "signal": "motion"}),
        ("pictures", "moves", ["packed_frames.npy", "packed.npy"], {"kind": "motion", "signal": "iframe"}),
        ("flow", "flows", ["packed_frames.npy", "packed.npy"], {"kind": "flow"}),
    ],
)
def test_a_training_and_its_answers_are_told_kind_and_signal_and_read_every_array(
    variant, view, names, told, coded
):
    plan, run = coded.plan(), RUN | {"variant": variant}
    stage = coded.recipe["variants"][variant]["stages"][0]
    trained, asked = plan.trainings.job(run, stage), plan.predict_job(run, "beam5", "test")
    arrays = [f"{MEDIA}/{view}/clips/shard00{n}/{name}" for n in (0, 1) for name in names]
    for job in (trained, asked):
        assert job["inputs"]["arrays"] == arrays
        assert job["inputs"]["index"] == [f"{MEDIA}/{view}/clips/index.parquet"]
    for data in (
        trained["recipe"]["data"][0],
        trained["recipe"]["validation"]["data"],
        asked["recipe"]["data"],
    ):
        assert {key: data[key] for key in ("kind", "signal") if key in data} == told
        assert data["index"] == f"{MEDIA}/{view}/clips/index.parquet"


def test_stages_that_differ_in_their_signal_alone_have_checkpoints_of_their_own(coded):
    trainings = coded.plan().trainings
    paths = [trainings.checkpoint(RUN | {"variant": v}, v) for v in ("stored", "pictures")]
    assert len(set(paths)) == 2


def test_two_recipes_whose_views_read_different_streams_train_each_their_own(coded):
    """The stream that a view is made of decides the weights too, though a stage names the view alone."""
    before = coded.plan().trainings._key("pulse", "stored", "stored")
    coded.recipe["views"]["encoded"]["quality"] = 5
    assert coded.plan().trainings._key("pulse", "stored", "stored") != before


def test_the_index_job_names_what_lies_beside_the_array(coded):
    plan = coded.plan()
    assert plan.media_job("frames16", 0.1) == {"max_failures": 0.1}
    assert plan.media_job("encoded", 0.1) == {"max_failures": 0.1, "beside": ["packets.npy"]}
    assert plan.media_job("moves", 0.0) == {"max_failures": 0.0, "beside": ["packed.npy"]}


def test_views_that_are_looked_through_are_listed_and_no_other(coded):
    listed = [path.split("/")[3] for path in coded.plan().every_media_index()]
    assert listed == ["encoded", "flows", "frames16", "moves"]


def test_a_variant_that_sets_its_stages_data_is_listed_with_its_own_view(coded):
    data = [{"view": "native", "signal": "motion"}]
    coded.recipe["variants"]["set"] = {"base": "stored", "set": {"stages": {"stored": {"data": data}}}}
    row = {"variant": "set", "dataset": "clips", "protocol": "beam5", "metrics": ["cider"]}
    coded.recipe["tables"]["table_1"]["rows"].append(row)
    plan = coded.plan()
    assert f"{MEDIA}/native/clips/index.parquet" in plan.every_media_index()
    assert f"{MEDIA}/native/clips/failures.csv" in plan.every_failures_file()


def test_a_variant_cannot_change_a_view_under_its_name(coded):
    changed = {"views": {"encoded": {"quality": 5}}}
    coded.recipe["variants"]["coarse"] = {"base": "on_the_fly", "set": changed}
    with pytest.raises(SettingError, match=r"variants.coarse.set: views.encoded: differs from the view"):
        coded.plan()


def test_a_view_that_a_variant_adds_is_made(coded):
    added = {
        "views": {"coarse": VIEWS["encoded"] | {"quality": 5}},
        "stages": {"on_the_fly": {"data": [{"view": "coarse", "signal": "motion"}]}},
    }
    coded.recipe["variants"]["coarse"] = {"base": "on_the_fly", "set": added}
    row = {"variant": "coarse", "dataset": "clips", "protocol": "beam5", "metrics": ["cider"]}
    coded.recipe["tables"]["table_1"]["rows"].append(row)
    plan = coded.plan()
    assert plan.views_of("stream") == ["encoded", "coarse"]
    assert f"{MEDIA}/coarse/clips/index.parquet" in plan.every_media_index()


CLIP = {"clip": {"frames": 4, "step_s": 0.2}, "crop": 32}


def test_a_source_whose_boxes_a_detector_found_reads_its_table(coded):
    sample = CLIP | {"boxes": {"detector": "persons"}}
    coded.recipe["detectors"] = {"persons": {"dataset": "clips"}}
    coded.recipe["stages"]["on_the_fly"]["data"] = [{"view": "encoded", "signal": "rgb", "sample": sample}]
    plan, run = coded.plan(), RUN | {"variant": "on_the_fly"}
    table = "results/mini/detections/persons/clips/detections.parquet"
    trained, asked = plan.trainings.job(run, "on_the_fly"), plan.predict_job(run, "beam5", "test")
    for data in (
        trained["recipe"]["data"][0],
        trained["recipe"]["validation"]["data"],
        asked["recipe"]["data"],
    ):
        assert data["detections"] == table
        assert data["sample"]["boxes"]["min_score"] == 0.9
    for job in (trained, asked):
        assert job["inputs"]["index"] == [f"{MEDIA}/encoded/clips/index.parquet", table]


def test_a_source_of_labelled_boxes_reads_no_table(coded):
    data = [{"view": "encoded", "signal": "rgb", "sample": CLIP | {"boxes": {}}}]
    coded.recipe["stages"]["on_the_fly"]["data"] = data
    job = coded.plan().trainings.job(RUN | {"variant": "on_the_fly"}, "on_the_fly")
    assert "detections" not in job["recipe"]["data"][0]
    assert job["inputs"]["index"] == [f"{MEDIA}/encoded/clips/index.parquet"]


def test_stages_that_differ_in_their_clips_alone_have_checkpoints_of_their_own(coded):
    before = {}
    for side in ([32, 40], [32, 48]):
        sample = CLIP | {"short_side": side}
        coded.recipe["stages"]["on_the_fly"]["data"] = [
            {"view": "encoded", "signal": "rgb", "sample": sample}
        ]
        before[str(side)] = coded.plan().trainings._key("pulse", "on_the_fly", "on_the_fly")
    assert len(set(before.values())) == 2
