"""Two builds, one on two cores with the job server, one on one without, in folders of different names: equal bytes.

But for what holds times of the machine, which the plan names; there the same is which files there are.
"""

import json

import pytest

from retake.plan import Plan
from retake.schema.strict import read_yaml
from tests.golden import smallest as golden
from tests.workflow.conftest import ROOT

KINDS = {
    "data/mini": "**/*",
    "results/mini/annotations": "*.parquet",
    "results/mini/media": "**/*",
    "results/mini/features": "**/*",
    "results/mini/training": "**/checkpoint.safetensors",
    "results/mini/predictions": "**/*.parquet",
    "results/mini/metrics": "**/*",
    "results/mini/claims": "*.csv",
    "results/mini/figures": "**/*",
    "results/mini/tables": "**/*",
    "results/mini": "claims.csv",
}


TIMED = set(Plan(read_yaml(ROOT / "tests/workflow/smallest.yaml")).timed_files())


def test_only_what_holds_times_may_differ():
    whole = Plan(read_yaml(ROOT / "config.yaml"))
    kinds = {path.split("/")[2] for path in whole.timed_files()}
    assert kinds <= {"metrics", "tables", "figures"}
    assert len(whole.timed_files()) <= 5 * len(whole.recipes)


@pytest.mark.parametrize("kind", KINDS)
def test_two_builds_are_equal_to_the_byte(built, twin, kind):
    one, two = (
        {
            str(f.relative_to(p.folder)): f.read_bytes()
            for f in (p.folder / kind).glob(KINDS[kind])
            if f.is_file()
        }
        for p in (built, twin.project)
    )
    assert one.keys() == two.keys() != set()
    assert [name for name in one if one[name] != two[name] and name not in TIMED] == []


def test_the_two_builds_are_two(built, twin):
    assert built.folder != twin.project.folder
    page = "results/mini/report/index.html"
    times = {p.folder: (p.folder / page).stat().st_mtime_ns for p in (built, twin.project)}
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
