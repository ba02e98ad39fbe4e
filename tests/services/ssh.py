"""An SSH server on the loopback, with a key and known hosts of its own; nobody's ~/.ssh is read or written.

python -m tests.services.ssh COMMAND ...     run a command while it is up (SSH_PORT and SSH_FOLDER are set)
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.services import debian

PACKAGES = ("openssh-server", "openssh-client")
TEMPLATE = Path(__file__).with_name("sshd.conf")
EMPTY = Path("/run/sshd")  # the server's, for its processes without rights; compiled in


@dataclass(frozen=True)
class Server:
    """A server that runs, and where its clients' files are."""

    folder: Path
    port: int
    processes: dict[str, int]

    @property
    def key(self) -> Path:
        """The private key that is let in."""
        return self.folder / "user_key"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """Installs OpenSSH where it is missing, starts it, and leaves nothing of it running."""
    debian.install(*PACKAGES)
    with debian.place() as folder, contextlib.ExitStack() as stack:
        (port,) = debian.free_ports(1)
        for name in ("host_key", "user_key"):
            words = ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder / name]
            subprocess.run(["ssh-keygen", *words], check=True)
        (folder / "authorized_keys").write_bytes((folder / "user_key.pub").read_bytes())
        host_key = (folder / "host_key.pub").read_text()
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
        configuration, log = folder / "sshd.conf", folder / "sshd.log"
        configuration.write_text(TEMPLATE.read_text().format(folder=folder, port=port))
        if not EMPTY.exists():
            EMPTY.mkdir(mode=0o755)
            stack.callback(EMPTY.rmdir)
        daemon = debian.running(["/usr/sbin/sshd", "-D", "-e", "-f", configuration], log)
        process = stack.enter_context(daemon)
        debian.wait_until(lambda: debian.answers(port), "sshd", log)
        yield Server(folder, port, {"sshd": process.pid})


if __name__ == "__main__":
    with server() as here:
        environment = os.environ | {"SSH_PORT": str(here.port), "SSH_FOLDER": str(here.folder)}
        ended = subprocess.run(sys.argv[1:] or ["env"], env=environment, check=False).returncode
    sys.exit(ended)
