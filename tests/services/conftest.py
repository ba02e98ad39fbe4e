"""Tests against real servers (`make test-services`); plain pytest leaves this folder out. Skipped only where no
Debian package can be installed: not root, or no Debian."""

import sys
from pathlib import Path

import pytest

from tests.services import debian

CLIENTS = Path(sys.prefix) / "services"  # where make puts requirements-services.lock
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if reason := debian.missing_here():
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True, scope="session")
def clients():
    """The folder of the clients' packages, for PYTHONPATH, and part of this process's own path."""
    assert CLIENTS.is_dir(), f"{CLIENTS} is not there: `make test-services` installs it"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(CLIENTS))
        yield CLIENTS


def with_clients(project):
    """The project, its commands finding the clients' packages behind its own."""
    project.environment["PYTHONPATH"] = f"{project.folder}:{CLIENTS}"
    return project
