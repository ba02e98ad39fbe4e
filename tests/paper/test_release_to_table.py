"""The real rules at the papers' sizes, from a download to a table: one video a split, one step a stage."""

import csv
from collections import Counter
from fnmatch import fnmatchcase
from importlib import import_module

import numpy as np
import pytest
import torch
from safetensors import safe_open

from retake.data.coded import coded
from retake.schema.card import TOKENIZERS
from retake.schema.recipe import Row
from retake.schema.record import Record
from retake.training.checkpoint import read_header
from tests.fixtures.loopback import blocks
from tests.paper.conftest import PLAN, SIZES, hub_of, is_told, plan_of, rows_in_place, splits_of, tried


def asked(method):
    """The method's tables that are made. `make test` makes the first, or all that sizes.yaml does not call long."""
    named = tried(method).get("tables", [])
    tables = [t for t in plan_of(method).tables_of(method) if not named or t in named]
    assert set(named) <= set(tables)
    late = [t for t in tables if named[t].get("long", False)] if is_told(named) else tables[1:]
    return [pytest.param(method, t, marks=[pytest.mark.long] if t in late else []) for t in tables]


TABLES = [param for method in PLAN.recipes for param in asked(method)]
LIMIT_MB = 16_000
TRAINING = "training"  # the protocol of rows that tell of a training
pytestmark = pytest.mark.slow


def test_every_method_says_what_its_sizes_are_and_every_data_set_has_a_table():
    assert set(PLAN.recipes) <= set(SIZES)
    for method, datasets in PLAN.chosen.items():
        rows = [row for table in PLAN.tables_of(method) for row in PLAN.rows(method, table)]
        assert set(datasets) <= {row.dataset for row in rows}


@pytest.mark.parametrize(("method", "table"), TABLES)
def test_the_rules_lead_from_a_published_release_to_the_table(at_paper_scale, method, table):
    planned = by_script(at_paper_scale.project.planned())

    at_paper_scale.project.snakemake()

    records = [Record.read(path) for path in at_paper_scale.file("").rglob("*.jsonl") if is_record(path)]
    assert ran(records) == planned
    assert planned["download_release"] >= 1
    check_downloads(at_paper_scale, records)
    check_frames(at_paper_scale, method, table)
    check_rows(at_paper_scale, method)
    check_coded(at_paper_scale, method)
    check_checkpoints(at_paper_scale, method, planned.get("train_stage", 0))
    check_table(at_paper_scale.file(f"tables/{method}/{table}.csv"), method, table)
    tell(records)
    assert max(record.end["peak_mb"] for record in records) < LIMIT_MB
    assert at_paper_scale.project.planned() == {}


def is_record(path):
    return not {"costs", "pseudolabels"} & {*path.parts}


def by_script(planned):
    """Rules that differ in the files of a tokenizer alone are one by their records."""
    found = Counter()
    for rule, jobs in planned.items():
        end = next((f"_{name}" for name in TOKENIZERS if rule.endswith(f"_{name}")), "")
        found[rule.removesuffix(end)] += jobs
    return dict(found)


def ran(records):
    """Rule -> jobs that ran to their end."""
    assert all(record.end["status"] == "finished" for record in records)
    names = [record.job["rule"] for record in records]
    return {name: names.count(name) for name in names}


def tell(records):
    """What each job cost, for whoever runs this with -s or -rP."""
    for record in sorted(records, key=lambda record: record.job["time"]):
        where = "/".join(record.job["wildcards"].values())
        wall_s, peak_mb = record.end["wall_s"], record.end["peak_mb"]
        print(f"{record.job['rule']:18} {wall_s:6.1f} s {peak_mb:7.0f} MB  {where}")  # noqa: T201


def check_downloads(copy, records):
    """What the jobs say they fetched is what the server was asked for, and it stands where it should."""
    wanted = {f"/{r.job['wildcards']['release']}.tar" for r in records if r.job["rule"] == "download_release"}
    for record in (r for r in records if r.job["rule"] == "fetch_weights"):
        weights = record.job["wildcards"]["weights"]
        hub = hub_of(weights)
        for file in hub["files"]:
            path = f"/{hub['repo']}/resolve/{hub['revision']}/{file['name']}"
            wanted.add(path)
            folder = copy.project.folder / f"data/paper/weights/{weights}"
            body = copy.served.replies[path].body
            if made := file.get("becomes"):  # rewritten: as many numbers, in the type that they came in
                assert (folder / made).stat().st_size == pytest.approx(len(body), rel=0.01)
                continue
            with (folder / file["name"]).open("rb") as fetched:
                assert all(fetched.read(len(block)) == block for block in blocks(body))
                assert not fetched.read(1)
    assert sorted(copy.served.paths()) == sorted(wanted)  # each once


def check_frames(copy, method, table):
    """Every video of every view and bank, at the paper's size and type; pre-training sets may have other numbers."""
    banks = copy.plan.recipes[method].banks
    for kind, name in (("media", "frames.npy"), ("features", "features.npy")):
        sizes = SIZES[method].get("frames" if kind == "media" else "features", {})
        sizes = {name: size for name, size in sizes.items() if name in shown_by(method, table, sizes)}
        found = list(copy.file(kind).glob(f"*/*/shard*/{name}"))
        assert {path.parts[-4] for path in found} == set(sizes)
        for path in found:
            array, (rows, *shape) = np.load(path, mmap_mode="r"), sizes[path.parts[-4]]
            release = path.parts[-3]
            assert array.dtype == (np.uint8 if kind == "media" else np.dtype(banks[path.parts[-4]].dtype))
            assert array.shape[1:] == tuple(shape)
            if release in map(copy.plan.release_of, copy.plan.chosen[method]):
                assert len(array) == rows * len(splits_of(method, release))
            assert array[:1].astype(np.float32).std() > 0


def shown_by(method, table, every):
    """Views and banks that the table's runs look at."""
    named = tried(method).get("tables", [])
    return named[table]["shows"] if is_told(named) else every


def check_rows(copy, method):
    """Every bank that a variant or a foundation filled has rows of the paper's width, of every second that is asked."""
    sizes = SIZES[method].get("rows", {})
    found = list(copy.file("features").glob("*/*/*/seed*/shard*/features.npy"))
    assert {path.parts[-5] for path in found} == set(sizes)
    for path in found:
        array = np.load(path, mmap_mode="r")
        assert array.dtype == np.dtype(copy.plan.recipes[method].banks[path.parts[-5]].dtype)
        assert array.shape[1:] == (sizes[path.parts[-5]],)
        assert np.asarray(array, dtype=np.float32).std() > 0


def check_coded(copy, method):
    """Frames of every stream and flow are of the paper's size, and no video of a split is lost."""
    sizes = SIZES[method].get("coded", {})
    found = [path for path in copy.file("media").glob("*/*/index.parquet") if path.parts[-3] in sizes]
    assert bool(found) == bool(sizes)
    for path in found:
        view, release = path.parts[-3:-1]
        kind = copy.plan.views[view]["kind"]
        reader = coded(kind, path)
        assert len(reader) >= len(splits_of(method, release))
        for video in reader:
            signals = ("flow",) if kind == "flow" else ("iframe", "motion", "residual")
            for signal in signals:
                frames = reader.frames(video, reader.numbers(video, signal)[:1], signal)
                assert frames.shape[1:3] == tuple(sizes[view])
                assert frames.std() > 0 or signal == "motion"


def check_checkpoints(copy, method, trained):
    found = list(copy.file(f"training/{method}").rglob("checkpoint.safetensors"))
    assert len(found) == trained
    module = import_module(f"retake.methods.{method}.model")
    for path in found:
        header = read_header(path)
        with torch.device("meta"):
            model = module.build(**header["sizes"], **header["prepared"])
        with safe_open(path, "pt") as file:
            shapes = {name: file.get_slice(name).get_shape() for name, _ in model.named_parameters()}
        counts = {name: int(np.prod(shape)) for name, shape in shapes.items()}
        wanted = SIZES[method]["parameters"][path.parent.name]
        assert all(any(fnmatchcase(name, pattern) for pattern in wanted) for name in counts)
        words = len(header["prepared"].get("vocabulary", header["prepared"].get("classes", [])))
        for pattern, size in wanted.items():
            fixed, each = size if isinstance(size, list) else (size, 0)
            count = sum(n for name, n in counts.items() if fnmatchcase(name, pattern))
            assert count == fixed + each * words, (path, pattern)
        steps = Record.read(path.with_name("record.jsonl")).curve("train/total")
        assert [step for step, _ in steps] == [1]


def check_table(path, method, table):
    """Our rows are measured on the one test item of the published ones, and nothing is made of it."""
    with path.open(newline="") as file:
        cells = list(csv.DictReader(file))
    plan, instead = plan_of(method), rows_in_place(method)
    rows = [Row(**row) for row in instead[table]] if table in instead else plan.rows(method, table)
    assert any(cell["ours"] for cell in cells)
    for row in rows:
        place = (row.variant, row.dataset, row.split, row.protocol)
        ours = [c for c in cells if (c["variant"], c["dataset"], c["split"], c["protocol"]) == place]
        assert [c["metric"] for c in ours if c["ours"]] == [c["metric"] for c in ours]
        assert {c["metric"] for c in ours} >= set(row.metrics)
        assert all(c["verdict"].startswith("no verdict") for c in ours), [c["verdict"] for c in ours]
        if row.protocol == TRAINING:  # of a curve, not of items
            assert {(c["items"], c["items_of"]) for c in ours} == {("", "")}
            continue
        published = plan.cards[row.dataset].splits[row.split]
        items = tried(method).get("items", 1)
        assert {(c["items"], c["items_of"]) for c in ours} == {(str(items), str(published))}
        assert f"{items} of {published}" in path.with_suffix(".md").read_text()
    quoted = [c for c in cells if c["kind"] == "Q"]
    assert all(c["verdict"] == "quoted" and not c["ours"] for c in quoted)
    assert {c["scale"] for c in cells} == {"paper"}
