"""A folder with the server's own code in it, and a main process whose server runs jobs there."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from retake import guard

ROOT = Path(__file__).resolve().parents[3]
OWN = ("__init__", "launch", "guard", "settle", "unmoved", "compiler", "fixed")
MAIN = (
    "import os, sys; from retake import server; from retake.guard import SERVER\n"
    "pid = server.launch().pid; print(os.environ[SERVER], pid, flush=True); sys.stdin.read()"
)
SERVED = (
    "import os; SERVED = os.getsid(0) == os.getpid()\n"  # a forked job leads a session, Python alone does not
)


def wait_for(condition, seconds=20):
    deadline = time.time() + seconds
    while not condition():
        assert time.time() < deadline, "waited in vain"
        time.sleep(0.01)


def is_gone(pid):
    return guard._started(pid) == "-"


@dataclass
class Place:
    """A folder, and the main process of a run in it."""

    folder: Path
    main: subprocess.Popen | None = None
    name: str = "off"
    server: int = 0

    def script(self, source: str, name: str = "step.py") -> str:
        path = self.folder / "scripts" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(SERVED + source)
        return f"scripts/{name}"

    def env(self, served: bool = True, **more: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RETAKE_", "OMP_", "PYTHON"))}
        paths = os.pathsep.join([str(self.folder), str(self.folder / "extra")])
        own = {"PYTHONPATH": paths, "PYTHONSAFEPATH": "1", "RETAKE_SERVER": self.name if served else "off"}
        return kept | own | more

    def start(self, *words: str, served: bool = True, **more) -> subprocess.Popen:
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        environment = self.env(served, **more)
        command = [sys.executable, "retake/launch.py", *words]
        return subprocess.Popen(command, cwd=self.folder, env=environment, text=True, **pipes)

    def run(self, *words: str, served: bool = True, said: str = "", **more) -> subprocess.CompletedProcess:
        process = self.start(*words, served=served, **more)
        out, err = process.communicate(said, timeout=60)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    @property
    def log(self) -> str:
        return (self.folder / ".snakemake/retake/server.log").read_text()


@pytest.fixture
def bare(tmp_path):
    """A folder without a server."""
    shutil.copytree(
        ROOT / "retake/server", tmp_path / "retake/server", ignore=shutil.ignore_patterns("*.pyc")
    )
    for module in OWN:
        shutil.copy(ROOT / f"retake/{module}.py", tmp_path / "retake")
    (tmp_path / "extra").mkdir()
    return Place(tmp_path)


@pytest.fixture
def place(bare):
    bare.main = subprocess.Popen(
        [sys.executable, "-c", MAIN],
        cwd=bare.folder,
        env=bare.env(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    bare.name, server = bare.main.stdout.readline().split()
    bare.server = int(server)
    yield bare
    bare.main.send_signal(signal.SIGKILL)
    bare.main.wait()
    bare.main.stdin.close()
    bare.main.stdout.close()
