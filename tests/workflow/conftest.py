"""Copies of the project to run for real, each in a folder of its own."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from retake.plan import Plan
from retake.schema.strict import read_yaml

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests/fixtures/tiny"
SHARED = (
    "retake",
    "profiles/default",
    "dvc.yaml",
    ".dvcignore",
    ".dvc/config",
    ".dvc/.gitignore",
    ".dvc/plots",
    ".gitignore",
)
ALONE = ("unshare", "--map-root-user", "--net")  # a namespace of its own, with no network in it
REACH_OUT = """
import socket
try:
    socket.create_connection(("192.0.2.1", 80), timeout=5)
except OSError as error:
    print(error.strerror)
"""
NO_MLFLOW = "mlflow: {store: none}\n"
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "datasets", "methods", "miniworld")


@dataclass
class Project:
    """A folder with a workflow in it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()  # of every snakemake

    def run(self, *command: str, cwd: Path | None = None, check: bool = True, **environment: str):
        """Runs a command with this project's package and this environment's programs first."""
        done = subprocess.run(
            command,
            cwd=cwd or self.folder,
            env=self.env(**environment),
            capture_output=True,
            text=True,
            timeout=5 * 3600,  # the default build on a busy machine, on one core
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def env(self, **environment: str) -> dict[str, str]:
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("RETAKE_", "MLFLOW_", "TINY_", "GIT_"))
        }
        here = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "DVC_NO_ANALYTICS": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": "a",
            "GIT_AUTHOR_EMAIL": "a@b.c",
            "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@b.c",
        }
        return kept | here | self.environment | environment

    def snakemake(self, *arguments: str, check: bool = True, **environment: str):
        return self.run("snakemake", *self.arguments, *arguments, check=check, **environment)

    def start(self, *arguments: str, own_group: bool = False, **environment: str) -> subprocess.Popen:
        """Snakemake in the background, output in `started.log`; own_group: as a terminal starts it."""
        with (self.folder / "started.log").open("w") as log:
            command = ["snakemake", *self.arguments, *arguments]
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.env(**environment),
                stdout=log,
                stderr=log,
                start_new_session=own_group,
            )

    def planned(self, *arguments: str) -> dict[str, int]:
        """Rule -> number of jobs that a dry run would start."""
        done = self.snakemake("-n", *arguments)
        said = done.stdout + done.stderr
        if "Nothing to be done" in said:
            return {}
        table = said.split("Job stats:")[1].split("\n\n")[0].splitlines()[3:]
        return {
            row.split()[0]: int(row.split()[1])
            for row in table
            if row.split()[0] not in ("all", "headline", "total")
        }

    def edit(self, file: str, old: str, new: str) -> None:
        """Replaces the one place in a file where `old` stands."""
        path = self.folder / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{file}: {text.count(old)} times {old!r}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    def add_line(self, file: str, line: str = "ANOTHER = True") -> None:
        """One more line at a file's end."""
        with (self.folder / file).open("a", encoding="utf-8") as text:
            text.write(f"\n\n{line}\n")

    def copied(self, folder: Path) -> "Project":
        """A copy with the same file times. No links: they would tie the copy to this."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return replace(self, folder=folder)

    def commit_all(self) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "-m", "x")


def tiny_at(folder: Path) -> Project:
    """The workflow's shape with stand-in steps, and the project's own package, profile and dvc.yaml."""
    shutil.copytree(TINY, folder, ignore=LEFT_OUT)
    for name in SHARED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=LEFT_OUT)
        else:
            shutil.copy(source, target)
    return Project(folder)


def checkout_at(folder: Path, config: Path = ROOT / "tests/workflow/smallest.yaml") -> Project:
    """This checkout (every file that git does not ignore) with a config, the smallest one, as its config.yaml.

    No MLflow, whatever the config says: it is filled by tests of their own.
    """
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    text = config.read_text(encoding="utf-8")
    (folder / "config.yaml").write_text(text + ("" if "mlflow:" in text else NO_MLFLOW), encoding="utf-8")
    return Project(folder)


def plan_of(project: Project) -> Plan:
    """What a project's config asks for, as this checkout plans it."""
    return Plan(read_yaml(project.folder / "config.yaml"))


def timed_files(project: Project) -> set[str]:
    """Files that hold times of the machine: no two builds make the same."""
    return set(plan_of(project).timed_files())


@dataclass
class Twin:
    """A build again: in a folder of another name, on one core, and no network."""

    project: Project
    reached: (
        str  # what an attempt to reach the network from there ended in; "" where it could not be taken away
    )


@pytest.fixture
def tiny(tmp_path):
    return tiny_at(tmp_path / "tiny")


@pytest.fixture
def project(tmp_path):
    return checkout_at(tmp_path / "project")
