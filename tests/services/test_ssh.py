"""DVC's remote on another machine by SSH: push here, clone and pull there, nothing to do."""

import hashlib
import shutil
import subprocess
from dataclasses import replace

import pytest

from tests.services import debian, ssh
from tests.services.conftest import with_clients
from tests.workflow.conftest import tiny_at
from tests.workflow.test_dvc import FETCH, PLACE, PUBLISH, files_below, readme_lines

CLAIMS = "results/mini/claims.csv"
(VERIFIED,) = (
    line.split() for line in readme_lines("dvc remote modify store verify", "dvc remote modify store verify")
)


@pytest.fixture(scope="module")
def server():
    with ssh.server() as made:
        yield made


@pytest.fixture(scope="module")
def home(server, tmp_path_factory):
    """The home of a user whose SSH knows the server and has the key."""
    folder = tmp_path_factory.mktemp("home")
    (folder / ".ssh").mkdir(mode=0o700)
    shutil.copy(server.known_hosts, folder / ".ssh/known_hosts")
    shutil.copy(server.key, folder / ".ssh/id_ed25519")
    return folder


@pytest.fixture(scope="module")
def published(server, home, clients, tmp_path_factory):
    """A build, pushed to the server with README's lines, its address in the place of a folder."""
    place = tmp_path_factory.mktemp("published")
    project = with_clients(tiny_at(place / "a"))
    project.environment |= {"HOME": str(home), "USER": "root"}
    project.run("git", "init", "-q", "-b", "main")
    project.commit_all()
    project.snakemake()
    address = f"ssh://root@127.0.0.1:{server.port}{place}/remote"
    for line in PUBLISH:
        project.run(*line.replace(PLACE, address).split())
    project.commit_all()
    return project


def md5_of(file):
    return hashlib.md5(file.read_bytes()).hexdigest()


def clone_of(published, folder):
    published.run("git", "clone", "-q", str(published.folder), str(folder))
    return with_clients(replace(published, folder=folder, environment=dict(published.environment)))


def test_a_clone_that_pulls_by_ssh_has_nothing_to_do_and_the_same_bytes(published, tmp_path):
    there = clone_of(published, tmp_path / "b")
    for line in FETCH:
        there.run(*line.split())
    assert there.planned() == {}
    for kept in ("results/mini/tables", "results/mini/training", "data/mini"):
        assert files_below(there.folder / kept) == files_below(published.folder / kept) != {}
    assert "up to date" in there.run("dvc", "status").stdout


def test_the_tables_alone_can_be_pulled(published, tmp_path):
    there = clone_of(published, tmp_path / "b")
    there.run("dvc", "pull", "results/mini/tables")
    tables = "results/mini/tables"
    assert files_below(there.folder / tables) == files_below(published.folder / tables) != {}
    assert not (there.folder / "results/mini/training").exists()


def test_what_was_changed_on_the_way_is_refused_where_the_remote_is_verified(published, tmp_path):
    """DVC takes any host key (see README): what it brings can be checked, by README's line."""
    there = clone_of(published, tmp_path / "b")
    (claims,) = (published.folder.parent / "remote").rglob(md5_of(published.folder / CLAIMS)[2:])
    kept = claims.read_bytes()
    claims.chmod(0o644)
    claims.write_bytes(kept + b"another,claim\n")
    try:
        there.run(*VERIFIED)
        done = there.run("dvc", "pull", CLAIMS, check=False)
    finally:
        claims.write_bytes(kept)
    assert done.returncode != 0
    assert not (there.folder / CLAIMS).exists()
    there.run("dvc", "pull", CLAIMS)
    assert (there.folder / CLAIMS).read_bytes() == (published.folder / CLAIMS).read_bytes()


def test_dvc_does_not_ask_who_the_server_is(published, home, server, tmp_path):
    """README says so; where this fails, it need not."""
    other = tmp_path / "home"
    shutil.copytree(home, other)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    (other / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{server.port} {(tmp_path / 'key.pub').read_text()}")
    there = clone_of(published, tmp_path / "b")
    there.run("dvc", "pull", CLAIMS, HOME=str(other))
    assert (there.folder / CLAIMS).exists()


def test_the_server_listens_on_the_loopback_only(server):
    assert debian.open_to_others(server.processes) == {}
