"""What holds for every test: it starts in the project's folder and reaches no other machine."""

import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ahead import ORDER, SMALLEST, Ahead
from tests.secrets import SECRETS
from tests.workflow.conftest import Project, Twin

ROOT = Path(__file__).resolve().parent.parent
SILENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DVC_NO_ANALYTICS": "true",
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


# What the heavy tests are made with. RETAKE_TEST_CONFIG names another config, for a look at the tests themselves.
OWN = os.environ.get("RETAKE_TEST_CONFIG")
CONFIGS = [OWN] if OWN else [SMALLEST, pytest.param("default", marks=pytest.mark.long)]
MADE = {f"made_{name}": name for name in ORDER}
COUNTS = pytest.StashKey[dict[str, dict[str, object]]]()


@pytest.fixture(scope="session", params=CONFIGS)
def config(request) -> str:
    """Heavy tests run with the smallest config, and with the default one in `make test-all`."""
    return request.param


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules that wait for builds come when these are likelier to be there; each stays in one piece."""
    needs = ("smallest_build", *MADE)
    last: dict[Path, int] = {}
    for item in items:
        wanted = [needs.index(name) for name in getattr(item, "fixturenames", ()) if name in needs]
        last[item.path] = max([last.get(item.path, -1), *wanted])
    items.sort(key=lambda item: last[item.path])


@pytest.fixture(autouse=True, scope="session")
def ahead(request, tmp_path_factory) -> Iterator[Ahead]:
    """The builds that the collected tests need, in the making."""
    asked = set()
    for item in request.session.items:
        with_config = item.callspec.params.get("config", SMALLEST) if hasattr(item, "callspec") else SMALLEST
        asked |= {(with_config, MADE[name]) for name in item.fixturenames if name in MADE}
        asked |= {(SMALLEST, "built")} if "smallest_build" in item.fixturenames else set()
    made = Ahead(tmp_path_factory.mktemp("ahead"), asked)
    yield made
    made.end()


@pytest.fixture(scope="session")
def smallest_build(ahead):
    """The smallest build of the real project, made once. Nothing may change it: see `copy`."""
    return Project(Path(ahead.wait(SMALLEST, "built")["folder"]), environment=SECRETS)


@pytest.fixture(scope="session")
def built(smallest_build):
    return smallest_build


@pytest.fixture
def copy(built, tmp_path):
    """A copy of the smallest build, to edit."""
    return built.copied(tmp_path / "copy")


@pytest.fixture(scope="session")
def made_built(ahead, config):
    return ahead.wait(config, "built")


@pytest.fixture(scope="session")
def made_killed(ahead, config):
    return ahead.wait(config, "killed")


@pytest.fixture(scope="session")
def made_twin(ahead, config):
    return ahead.wait(config, "twin")


@pytest.fixture
def reference(made_built):
    """The build of each config, undisturbed. Nothing may change it."""
    return Project(Path(made_built["folder"]), environment=SECRETS)


@pytest.fixture
def killed(made_killed):
    """(project, log of each run) of a build that was killed again and again and then left alone."""
    return Project(Path(made_killed["folder"])), made_killed["logs"]


@pytest.fixture
def twin(made_twin):
    """Built again; the smallest by Python alone, as the reference was by the job server. Nothing may change it."""
    return Twin(Project(Path(made_twin["folder"]), environment=SECRETS), made_twin["reached"])


@pytest.fixture
def told(config, request):
    """Takes a count that belongs into the report of a run of the tests."""
    counts = request.config.stash.setdefault(COUNTS, {}).setdefault(config, {})
    return counts.__setitem__


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    """How much the heavy tests saw, by config."""
    for name, counts in config.stash.get(COUNTS, {}).items():
        terminalreporter.section(f"counts, {name} config")
        for what, count in counts.items():
            terminalreporter.line(f"{what}: {count}")
