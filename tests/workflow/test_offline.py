"""After installation no network is needed: the whole graph is built where there is none."""

import shutil


def test_the_smallest_build_needs_no_network(twin):
    assert shutil.which("unshare"), "unshare (util-linux) takes the network away; it is missing"
    assert twin.reached == "Network is unreachable"
    results = twin.project.folder / "results/mini"
    assert len(list(results.glob("tables/*/*.csv"))) == 3
    assert (results / "report/index.html").stat().st_size > 0
    assert twin.project.planned() == {}
