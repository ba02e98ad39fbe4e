"""Two builds, one on two cores with the job server, one on one, in folders of different names: equal bytes.

But for what holds times of the machine, which the plan names; there the same is which files there are. The smallest
config's second build is made by Python alone, without the job server. `make test-all` does it all with the default
config, too: two builds more, 25 and 45 minutes on two idle cores.
"""

import json

import pytest

from retake.plan import Plan
from retake.schema.strict import read_yaml
from tests.golden import smallest as golden
from tests.workflow.conftest import ROOT, plan_of

KINDS = {
    "data/mini": "**/*",
    "results/mini/annotations": "*.parquet",
    "results/mini/media": "**/*",
    "results/mini/detections": "**/*",
    "results/mini/features": "**/*",
    "results/mini/pseudolabels": "**/*",
    "results/mini/training": "**/checkpoint.safetensors",
    "results/mini/predictions": "**/*.parquet",
    "results/mini/paraphrases": "**/*",
    "results/mini/metrics": "**/*",
    "results/mini/items": "**/*",
    "results/mini/claims": "*.csv",
    "results/mini/figures": "**/*",
    "results/mini/tables": "**/*",
    "results/mini": "claims.csv",
}


def may_be_empty(plan):
    """Kind -> what a plan makes of it, of the kinds that not every config has."""
    return {
        "detections": plan.every_detections_table(),
        "features": plan.every_bank_index() + plan.every_rows_index(),
        "pseudolabels": plan.every_label_table(),
        "paraphrases": [t for m in plan.recipes for t in plan.tables_of(m) if asks_meteor(plan, m, t)],
        "figures": plan.figure_paths(),
    }


def asks_meteor(plan, method, table):
    return any("meteor" in row.metrics for row in plan.rows(method, table))


def test_only_what_holds_times_may_differ():
    whole = Plan(read_yaml(ROOT / "config.yaml"))
    kinds = {path.split("/")[2] for path in whole.timed_files()}
    assert kinds <= {"metrics", "tables", "figures"}
    assert len(whole.timed_files()) <= 5 * len(whole.recipes)


@pytest.mark.parametrize("kind", KINDS)
def test_two_builds_are_equal_to_the_byte(reference, twin, kind, told):
    one, two = (
        {
            str(f.relative_to(p.folder)): f.read_bytes()
            for f in (p.folder / kind).glob(KINDS[kind])
            if f.is_file()
        }
        for p in (reference, twin.project)
    )
    plan = plan_of(reference)
    timed = set(plan.timed_files())
    assert one.keys() == two.keys()
    assert bool(one) == bool(may_be_empty(plan).get(kind.split("/")[-1], True))
    assert [name for name in one if one[name] != two[name] and name not in timed] == []
    told(f"files of {kind} equal in two builds", len(one.keys() - timed))


def test_every_table_was_compared(reference, told):
    plan = plan_of(reference)
    tables = {path for path in plan.table_paths() if path not in plan.timed_files()}
    assert tables
    assert all((reference.folder / path).is_file() for path in tables)
    told("tables compared", len(tables))
    told("jobs", len(list((reference.folder / "results/mini/costs").rglob("*.jsonl"))))


def test_the_two_builds_are_two(reference, twin):
    assert reference.folder.name != twin.project.folder.name
    page = "results/mini/report/index.html"
    times = {p.folder: (p.folder / page).stat().st_mtime_ns for p in (reference, twin.project)}
    assert len(set(times.values())) == 2


def test_the_tables_are_those_that_were_recorded(built, record_property):
    """To the byte where the processor is of the recorded kind; elsewhere the values, to a thousandth."""
    held = json.loads((ROOT / golden.FILE).read_text(encoding="utf-8"))
    same = golden.processor() == held["processor"]
    record_property("compared", "digests" if same else "values")
    print(f"compared: {'digests' if same else 'values'}, processor {golden.processor()}")  # noqa: T201
    if same:
        assert golden.digests(built.folder) == held["digests"]
        return
    found = golden.tables(built.folder)
    assert {name: cells.keys() for name, cells in found.items()} == {
        name: cells.keys() for name, cells in held["values"].items()
    }
    for name, cells in held["values"].items():
        assert found[name] == pytest.approx(cells, rel=1e-3, abs=1e-3), name
