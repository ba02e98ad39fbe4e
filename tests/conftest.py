"""What holds for every test: it starts in the project's folder and reaches no other machine."""

import ipaddress
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

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
