"""Views of every kind, made for real from an invented recipe; then one edit, and the jobs that it makes due."""

import csv
import json
import shutil

import numpy as np
import pytest
import yaml

from retake.data.coded import coded
from tests.unit.planning.conftest import MODEL, RECIPE
from tests.workflow.conftest import checkout_at

METHOD = "retake/methods/pulse"
VIEWS = {
    "encoded": {"kind": "stream", "size": [48, 64], "gop": 12, "quality": 1},
    "moves": {"kind": "motion", "of": "encoded", "signals": ["iframe", "motion"]},
    "flows": {"kind": "flow", "of": "encoded", "every": 8},
}
TARGETS = [f"results/mini/media/{view}/msvd/index.parquet" for view in VIEWS]
CONFIG = {
    "scale": "mini",
    "seeds": [1],
    "run": [{"method": "pulse", "datasets": ["msvd"]}],
    "mini_size": 0.05,
    "mlflow": {"store": "none"},
}


def write(project, views):
    """The invented method's folder, with `views`, and a config that runs it alone."""
    row = {"variant": "short", "dataset": "msvd", "protocol": "beam5", "metrics": ["cider"]}
    stage = RECIPE["stages"]["first"]
    recipe = RECIPE | {
        "views": views,
        "stages": {"first": stage | {"data": [{"view": "moves", "signal": "motion"}]}},
        "variants": {"short": {"stages": ["first"]}},
        "protocols": {"beam5": {"beam": 5, "max_len": 20}},
        "tables": {"table_1": {"title": "Main", "rows": [row]}},
        "mini": {},
    }
    folder = project.folder / METHOD
    folder.mkdir(exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    (folder / "model.py").write_text(MODEL)
    (project.folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The views of a very small release, made once."""
    project = checkout_at(tmp_path_factory.mktemp("kinds") / "project")
    write(project, VIEWS)
    project.snakemake("--cores", "2", *TARGETS)
    return project


def test_each_kind_is_made_by_its_own_rule_and_read_by_its_reader(made):
    assert made.planned(*TARGETS) == {}
    results = made.folder / "results/mini"
    for rule, view in (
        ("transcode_video", "encoded"),
        ("extract_motion", "moves"),
        ("extract_flow", "flows"),
    ):
        records = sorted((results / "records").glob(f"*/{view}/msvd/shard*.jsonl"))
        assert [(r.parts[-4], r.stem) for r in records] == [(rule, "shard000"), (rule, "shard001")]
    stream, stored = (
        coded(VIEWS[v]["kind"], results / f"media/{v}/msvd/index.parquet") for v in ("encoded", "moves")
    )
    assert list(stream) == list(stored) != []
    for video_id in stream:
        numbers = stream.numbers(video_id, "motion")[::5]
        assert np.array_equal(
            stream.frames(video_id, numbers, "motion"), stored.frames(video_id, numbers, "motion")
        )
    flows = coded("flow", results / "media/flows/msvd/index.parquet")
    assert {tuple(np.diff(flows.numbers(v, "flow"))) for v in flows} <= {(8,) * n for n in range(99)}


def test_the_merged_index_knows_the_bytes_of_every_file(made):
    import pyarrow.parquet as pq

    for view, names in (
        ("encoded", ["packets.npy", "streams.npy"]),
        ("moves", ["packed.npy", "packed_frames.npy"]),
    ):
        index = made.folder / f"results/mini/media/{view}/msvd/index.parquet"
        digests = json.loads(pq.read_metadata(index).metadata[b"arrays"])
        assert sorted(digests) == [f"shard00{n}/{name}" for n in (0, 1) for name in names]


MOTION, FLOW = {"extract_motion": 2, "index_media": 1}, {"extract_flow": 2, "index_media": 1}
EDITS = {
    "signals": ({"moves": {"signals": ["motion"]}}, MOTION),
    "bound": ({"flows": {"bound_px": 10}}, FLOW),
    "quality": (
        {"encoded": {"quality": 5}},
        {"transcode_video": 2, "extract_motion": 2, "extract_flow": 2, "index_media": 3},
    ),
    "the releases own files": ({"moves": {"of": None}}, MOTION),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_of_a_view_makes_that_view_anew_and_what_is_made_of_it(edit, made, tmp_path):
    changes, wanted = EDITS[edit]
    copy = made.copied(tmp_path / "copy")
    write(copy, {name: view | changes.get(name, {}) for name, view in VIEWS.items()})
    assert copy.planned(*TARGETS) == wanted


@pytest.mark.parametrize(
    ("module", "wanted"),
    [
        ("retake/data/flow.py", FLOW),
        ("retake/data/coded.py", {}),
        ("retake/data/packed.py", {"extract_motion": 2, "extract_flow": 2, "index_media": 2}),
    ],
)
def test_one_line_in_a_module_makes_the_views_anew_whose_rules_run_it(module, wanted, made, tmp_path):
    copy = made.copied(tmp_path / "copy")
    copy.add_line(module)
    assert copy.planned(*TARGETS) == wanted


def test_a_broken_video_goes_through_one_shard_of_every_view_as_a_failure(made, tmp_path):
    copy = made.copied(tmp_path / "copy")
    manifest = json.loads((copy.folder / "results/mini/releases/msvd/shard000.json").read_text())
    entry = next(e for e in manifest["files"] if e["video_id"])
    copy.edit("retake/data/datasets/msvd/card.yaml", "max_failures: 0.02", "max_failures: 0.5")
    (copy.folder / manifest["root"] / entry["path"]).write_bytes(b"no video")
    planned = copy.planned(*TARGETS)
    assert {rule: planned[rule] for rule in ("transcode_video", "extract_motion", "extract_flow")} == {
        "transcode_video": 1, "extract_motion": 1, "extract_flow": 1,
    }  # fmt: skip
    copy.snakemake("--cores", "2", *TARGETS)
    for view in VIEWS:
        path = copy.folder / f"results/mini/media/{view}/msvd/failures.csv"
        (row,) = csv.DictReader(path.open(encoding="utf-8"))
        assert (row["video_id"], row["path"]) == (entry["video_id"], entry["path"])
        assert "not a video" in row["reason"]
    shutil.rmtree(copy.folder)


def test_the_views_that_a_training_looks_through_are_what_media_makes(made):
    rules = made.snakemake("-n", "--forceall", "media")
    said = rules.stdout + rules.stderr
    for rule, jobs in (("transcode_video", 2), ("extract_motion", 2), ("index_media", 1)):
        assert said.count(f"rule {rule}:") == jobs, said
    assert "rule extract_flow:" not in said
    assert "rule extract_frames:" not in said
