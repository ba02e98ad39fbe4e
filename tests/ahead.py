"""Whole builds, made in a process of their own beside the tests that need none.

The process is started before the first test and makes what the collected tests ask for, one build after the other:

built    the reference: two cores, the job server; secrets in its environment
killed   the same, killed KILLS times on the way, each time followed by the same command
twin     built again from a clone of the reference's sources, in a folder of another name, on one core, and where the
         machine allows it without a network; the smallest config's also without the job server
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path

from retake import guard
from tests.faults.kills import kill_through
from tests.secrets import SECRETS
from tests.workflow.conftest import ALONE, REACH_OUT, ROOT, Project, checkout_at

SMALLEST = "smallest"
NAMED = {SMALLEST: "tests/workflow/smallest.yaml", "default": "config.yaml"}  # others by their path
ORDER = ("built", "killed", "twin")
PR_SET_PDEATHSIG = 1


def file_of(config: str) -> Path:
    """A config by its name or path."""
    return (ROOT / NAMED.get(config, config)).resolve()


def folder_of(place: Path, config: str) -> Path:
    return place / Path(config).stem


def make_built(folder: Path, config: str) -> dict:
    project = replace(checkout_at(folder / "built/project", file_of(config)), environment=SECRETS)
    project.run("git", "init", "-q", "-b", "main")
    project.commit_all()
    project.snakemake("--cores", "2")
    return {"folder": str(project.folder)}


def make_twin(folder: Path, config: str) -> dict:
    project = Project(folder / "built/project", environment=SECRETS)
    there = folder / "elsewhere/a b"
    project.run("git", "clone", "-q", str(project.folder), str(there))
    project = replace(project, folder=there)
    attempt = project.run(*ALONE, sys.executable, "-c", REACH_OUT, check=False)
    inside = ALONE if attempt.returncode == 0 else ()
    alone = {"RETAKE_SERVER": "off"} if config == SMALLEST else {}  # with it seconds more a job
    project.run(*inside, "snakemake", "--cores", "1", **alone)
    return {"folder": str(there), "reached": attempt.stdout.strip()}


def make_killed(folder: Path, config: str) -> dict:
    project = checkout_at(folder / "killed/project", file_of(config))
    jobs = len(list((folder / "built/project/results/mini/costs").rglob("*.jsonl")))
    return {"folder": str(project.folder), "logs": kill_through(project, jobs)}


MAKE = {"built": make_built, "killed": make_killed, "twin": make_twin}


def die(*_: object) -> None:
    """Ends this process and all that it has started."""
    for pid in guard.descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os._exit(1)


def main() -> None:
    """`place config:name...`: each is made in turn; what became of it is written to its JSON file."""
    signal.signal(signal.SIGTERM, die)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)  # when the tests have died
    place = Path(sys.argv[1])
    for word in sys.argv[2:]:
        config, _, name = word.rpartition(":")
        folder = folder_of(place, config)
        folder.mkdir(exist_ok=True)
        began = time.time()
        try:
            made = MAKE[name](folder, config)
        except Exception:  # noqa: BLE001 - whatever it was, the test that waits for it says it
            made = {"error": traceback.format_exc()}
        part = folder / f".{name}"
        part.write_text(json.dumps(made | {"seconds": round(time.time() - began)}), encoding="utf-8")
        part.replace(folder / f"{name}.json")


class Ahead:
    """The process, from the tests' side."""

    def __init__(self, place: Path, asked: set[tuple[str, str]]) -> None:
        self.place = place
        configs = sorted({config for config, _ in asked}, key=lambda c: (c != SMALLEST, c))
        names = {(config, name) for config, name in asked} | {(config, "built") for config in configs}
        self.words = [f"{c}:{name}" for c in configs for name in ORDER if (c, name) in names]
        self.process = None
        if self.words:
            command = [sys.executable, "-m", "tests.ahead", str(place), *self.words]
            with (place / "ahead.log").open("w") as log:
                # another session: a Ctrl-C in the terminal is the tests' to pass on
                self.process = subprocess.Popen(
                    command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True, env=self._env()
                )

    def _env(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(ROOT)}

    def wait(self, config: str, name: str) -> dict:
        """What became of a build, when it has become it. Raises AssertionError with the reason it failed for."""
        assert f"{config}:{name}" in self.words, f"{config}:{name} was not asked for; have {self.words}"
        assert self.process is not None
        file = folder_of(self.place, config) / f"{name}.json"
        while not file.is_file():
            if self.process.poll() is not None and not file.is_file():
                raise AssertionError((self.place / "ahead.log").read_text(encoding="utf-8"))
            time.sleep(0.1)
        made = json.loads(file.read_text(encoding="utf-8"))
        assert "error" not in made, made["error"]
        return made

    def end(self) -> None:
        """Nothing of it goes on."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()


if __name__ == "__main__":
    main()
