"""What holds for every test: it starts in the project's folder and reaches no other machine."""

import ipaddress
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from tests.workflow.conftest import ALONE, REACH_OUT, Twin, checkout_at

ROOT = Path(__file__).resolve().parent.parent
SILENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DVC_NO_ANALYTICS": "true",
}
# Planted in the environment of the builds that tests look at; spelt nowhere, so that only a leak can be found.
SECRETS = {
    name: sha256(name.encode()).hexdigest()[:24]
    for name in ("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "MLFLOW_TRACKING_PASSWORD")
}
os.environ.update(SILENT)  # before any test module imports a hub's client


def is_here(address: object) -> bool:
    """Whether a socket address is this machine's: a path, a loopback name or number."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    if host in {"", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Turn a connection to anywhere else into an error in this process."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded(call):
        def connected(self, address):
            if not is_here(address):
                raise AssertionError(f"a test reached for the network: {address}")
            return call(self, address)

        return connected

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded(connect))
        patch.setattr(socket.socket, "connect_ex", guarded(connect_ex))
        yield


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths in the project are relative to its folder, in tests too."""
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The smallest build of the real project, made once. Nothing may change it: see `copy`."""
    project = replace(checkout_at(tmp_path_factory.mktemp("built") / "project"), environment=SECRETS)
    project.run("git", "init", "-q", "-b", "main")
    project.commit_all()
    project.snakemake("--cores", "2")
    return project


@pytest.fixture(scope="session")
def twin(built, tmp_path_factory):
    """Built from a clone of `built`; by Python alone, as that was by the job server. Nothing may change it."""
    folder = tmp_path_factory.mktemp("elsewhere") / "a b"
    built.run("git", "clone", "-q", str(built.folder), str(folder))
    project = replace(built, folder=folder)
    attempt = project.run(*ALONE, sys.executable, "-c", REACH_OUT, check=False)
    inside = ALONE if attempt.returncode == 0 else ()
    project.run(*inside, "snakemake", *project.arguments, "--cores", "1", RETAKE_SERVER="off")
    return Twin(project, attempt.stdout.strip())


@pytest.fixture
def copy(built, tmp_path):
    """A copy of the smallest build, to edit."""
    return built.copied(tmp_path / "copy")
