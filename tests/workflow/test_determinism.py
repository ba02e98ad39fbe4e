"""Two builds, one on two cores and one on one, in folders of different names: every byte that counts is the same.

But for what holds times of the machine, which the plan names; there the same is which files there are.
"""

import pytest

from retake.plan import Plan
from retake.schema.strict import read_yaml
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
