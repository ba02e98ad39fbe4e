"""Two builds, one on two cores and one on one, in folders of different names: every byte that counts is the same."""

import pytest

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
    assert [name for name in one if one[name] != two[name]] == []


def test_the_two_builds_are_two(built, twin):
    assert built.folder != twin.project.folder
    page = "results/mini/report/index.html"
    times = {p.folder: (p.folder / page).stat().st_mtime_ns for p in (built, twin.project)}
    assert len(set(times.values())) == 2
