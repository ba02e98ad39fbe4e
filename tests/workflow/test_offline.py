"""After installation no network is needed: the whole graph is built where there is none."""

import shutil
import sys

ALONE = ("unshare", "--map-root-user", "--net")
REACH_OUT = """
import socket
try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)
except OSError as error:
    print(error.strerror)
"""


def test_the_smallest_build_needs_no_network(project):
    assert shutil.which("unshare"), (
        "unshare (util-linux) makes the namespace without a network; it is missing"
    )
    reached = project.run(*ALONE, sys.executable, "-c", REACH_OUT)
    assert reached.stdout.strip() == "Network is unreachable"

    project.run(*ALONE, "snakemake", *project.arguments, "--cores", "all")

    assert list(project.folder.glob("results/mini/tables/*/*.csv"))
    assert (project.folder / "results/mini/report/index.html").stat().st_size > 0
    assert "Nothing to be done" in (done := project.snakemake("-n")).stdout + done.stderr
