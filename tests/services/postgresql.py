"""A PostgreSQL server on the loopback with one database and one user with a password.

python -m tests.services.postgresql COMMAND ...     run a command while it is up (PGPASSWORD and STORE are set)
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex

from tests.services import debian

PACKAGES = ("postgresql",)
OWNER = "postgres"  # the server refuses to be run by root
NAME = "retake"  # of the user, and of the database


@dataclass
class Server:
    """A server that runs, or that was stopped for a while."""

    folder: Path
    port: int
    password: str
    processes: dict[str, int] = field(default_factory=dict)
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def store(self, database: str = NAME) -> str:
        """MLflow's word for a database of it; the password is found in the environment."""
        return f"postgresql://{NAME}@127.0.0.1:{self.port}/{database}"

    @property
    def environment(self) -> dict[str, str]:
        return {"PGPASSWORD": self.password}

    def start(self) -> None:
        log = self.folder / "postgres.log"
        options = [
            "-D",
            self.folder / "data",
            "-p",
            self.port,
            "-h",
            "127.0.0.1",
            "-k",
            self.folder,
            "-c",
            "fsync=off",
        ]
        server = debian.running([binary("postgres"), *options], log, user=OWNER, end=signal.SIGINT)
        self.processes = {"postgres": self._stack.enter_context(server).pid}
        debian.wait_until(lambda: debian.answers(self.port), "PostgreSQL", log)

    def stop(self) -> None:
        self._stack.close()

    def sql(self, statement: str, database: str = NAME) -> str:
        """Runs one statement; what it returns, a line a row."""
        words = ["--host=127.0.0.1", f"--port={self.port}", f"--username={NAME}", f"--dbname={database}"]
        done = subprocess.run(
            [binary("psql"), *words, "--no-psqlrc", "--tuples-only", "--no-align", f"--command={statement}"],
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def binary(name: str) -> Path:
    """A program of the newest PostgreSQL that is installed."""
    found = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    return max(found, key=lambda path: int(path.parts[4]))


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """Installs PostgreSQL where it is missing, makes and starts a server, and leaves nothing of it running."""
    debian.install(*PACKAGES)
    with debian.place(OWNER) as folder:
        made = Server(folder, debian.free_ports(1)[0], token_hex(16))
        secret = folder / "password"
        secret.write_text(made.password)
        secret.chmod(0o644)
        new = ["-D", folder / "data", f"--username={NAME}", f"--pwfile={secret}", "--auth=scram-sha-256"]
        quick = ["--no-sync", "--encoding=UTF8", "--locale=C"]
        subprocess.run([binary("initdb"), *new, *quick], user=OWNER, cwd="/", capture_output=True, check=True)
        secret.unlink()
        made.start()
        try:
            made.sql(f"create database {NAME}", "postgres")
            yield made
        finally:
            made.stop()


if __name__ == "__main__":
    with server() as here:
        environment = os.environ | here.environment | {"STORE": here.store()}
        ended = subprocess.run(sys.argv[1:] or ["env"], env=environment, check=False).returncode
    sys.exit(ended)
