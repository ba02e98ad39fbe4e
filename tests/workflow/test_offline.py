"""After installation no network is needed: the whole graph is built where there is none."""

import shutil

from tests.workflow.conftest import plan_of


def test_a_build_needs_no_network(twin, told):
    assert shutil.which("unshare"), "unshare (util-linux) takes the network away; it is missing"
    assert twin.reached == "Network is unreachable"
    tables = plan_of(twin.project).table_paths()
    assert tables
    assert all((twin.project.folder / path).is_file() for path in tables)
    assert (twin.project.folder / "results/mini/report/index.html").stat().st_size > 0
    assert twin.project.planned() == {}
    told("tables made without a network", len(tables))
