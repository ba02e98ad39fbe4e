"""Slurm with three nodes on this machine, each with a GPU that is none (/dev/null).

    python -m tests.services.slurm COMMAND ...     run a command while it is up

Its configuration, state, key and sockets lie in a temporary folder. A link to the first stands at its usual place
as long as the cluster is up: a job's own srun is started without SLURM_CONF. Refuses where Slurm is configured.
"""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from secrets import token_bytes

from tests.services import debian

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
NODES = ("n1", "n2", "n3")
TEMPLATE = Path(__file__).with_name("slurm.conf")
USUAL_PLACE = Path("/etc/slurm/slurm.conf")
GPUS = "NodeName=n[1-3] Name=gpu File=/dev/null\n"
MOST_MB = 3000  # of a node: two trainings of the mini scale side by side
SHARE = 0.8  # of the machine's memory, for all nodes together


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs."""

    configuration: Path
    mem_mb: int  # of each node
    processes: dict[str, int]  # daemon -> process number

    @property
    def environment(self) -> dict[str, str]:
        """What a client of this cluster finds in its environment."""
        return {"SLURM_CONF": str(self.configuration)}

    def ask(self, *command: str) -> str:
        """What a client's command says; raises where it fails."""
        done = subprocess.run(
            ["env", *(f"{k}={v}" for k, v in self.environment.items()), *command],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def jobs(self) -> list[dict[str, str]]:
        """Every job that the controller remembers, the last five minutes' at least, as `scontrol` words it."""
        lines = self.ask("scontrol", "--oneliner", "show", "jobs").splitlines()
        return [
            dict(w.partition("=")[::2] for w in line.split()) for line in lines if line.startswith("JobId=")
        ]


def memory_of_a_node() -> int:
    """Megabytes: what three nodes can have at a time of what this machine has."""
    total_kb = int(Path("/proc/meminfo").read_text().split("MemTotal:")[1].split()[0])
    return min(MOST_MB, int(SHARE * total_kb / 1000 / len(NODES)))


def consecutive_ports(count: int) -> int:
    """The first of so many free ports in a row."""
    while True:
        (first,) = debian.free_ports(1)
        if first + count < 65536 and not any(debian.answers(first + n) for n in range(count)):
            return first


@contextlib.contextmanager
def cluster() -> Iterator[Cluster]:
    """Installs Slurm where it is missing, starts it, and leaves nothing of it running."""
    debian.install(*PACKAGES)
    with debian.place() as folder, contextlib.ExitStack() as stack:
        mem_mb, port = memory_of_a_node(), consecutive_ports(1 + len(NODES))
        host = socket.gethostname().partition(".")[0]
        ports = {"port": port, "first": port + 1, "last": port + len(NODES)}
        text = TEMPLATE.read_text().format(folder=folder, host=host, mem_mb=mem_mb, **ports)
        configuration = folder / "slurm.conf"
        configuration.write_text(text)
        (folder / "gres.conf").write_text(GPUS)
        (folder / "state").mkdir()
        key = folder / "munge.key"
        key.write_bytes(token_bytes(128))
        key.chmod(0o600)
        stack.enter_context(linked(configuration))
        commands = {
            "munged": munged(folder),
            "slurmctld": ["slurmctld", "-D", "-c", "-f", configuration],
            **{node: ["slurmd", "-D", "-N", node, "-f", configuration] for node in NODES},
        }
        processes = {}
        for name, command in commands.items():
            log = folder / f"{name}.said"
            server = debian.running(command, log, SLURM_CONF=str(configuration))
            processes[name] = stack.enter_context(server).pid
            if name == "munged":
                debian.wait_until((folder / "munge.socket").exists, "munged", log)
        made = Cluster(configuration, mem_mb, processes)
        logs = sorted(folder.glob("*.log")) + sorted(folder.glob("*.said"))
        debian.wait_until(lambda: is_up(made), "three idle nodes", *logs)
        stack.callback(empty, made)
        yield made


@contextlib.contextmanager
def linked(configuration: Path) -> Iterator[None]:
    """The usual place leads to this configuration. A link that leads nowhere is one that a kill left."""
    assert not USUAL_PLACE.exists(), f"{USUAL_PLACE} is there: this machine has a Slurm of its own"
    USUAL_PLACE.unlink(missing_ok=True)
    USUAL_PLACE.symlink_to(configuration)
    try:
        yield
    finally:
        USUAL_PLACE.unlink()


def munged(folder: Path) -> list[str | Path]:
    """Munge with a key and a socket of its own; --force, since it would rather not be run by root."""
    files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    return ["munged", "--foreground", "--force", *(f"--{k}={folder}/munge.{v}" for k, v in files.items())]


def is_up(made: Cluster) -> bool:
    with contextlib.suppress(AssertionError):
        return made.ask("sinfo", "--noheader", "--Node", "--format=%N %t").split("\n") == [
            *(f"{node} idle" for node in NODES),
            "",
        ]
    return False


def empty(made: Cluster) -> None:
    """Ends every job, so that none outlives its node."""
    made.ask("scancel", "--user=root")
    debian.wait_until(lambda: not made.ask("squeue", "--noheader"), "an empty queue")


if __name__ == "__main__":
    with cluster() as here:
        command = ["env", *(f"{k}={v}" for k, v in here.environment.items()), *(sys.argv[1:] or ["sinfo"])]
        ended = subprocess.run(command, check=False).returncode
    sys.exit(ended)
