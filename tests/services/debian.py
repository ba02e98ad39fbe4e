"""Servers from Debian's packages, for as long as a test needs them: no systemd, nothing outside the loopback."""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")  # asked by Debian's packages whether they may start what they install
NOTHING_STARTS = "#!/bin/sh\nexit 101\n"
LISTENS = "0A"  # in /proc/net/tcp
PR_SET_PDEATHSIG = 1


def missing_here() -> str | None:
    """Why no package can be installed here, or None."""
    if os.geteuid() != 0:
        return "installs and starts Debian's servers: needs root"
    if not Path("/etc/debian_version").exists() or shutil.which("apt-get") is None:
        return "installs Debian's packages: this is no Debian"
    return None


def is_installed(package: str) -> bool:
    asked = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout == "installed"


def install(*packages: str) -> None:
    """Has apt-get install those that are missing, and start none of them. Raises with what apt-get said."""
    missing = [p for p in packages if not is_installed(p)]
    if not missing:
        return
    with _nothing_starts():
        for words in (["update", "-qq"], ["install", "-qq", "--no-install-recommends", *missing]):
            done = subprocess.run(
                ["apt-get", *words, "--yes"],
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"apt-get {' '.join(words)}\n{done.stdout}\n{done.stderr}"


@contextlib.contextmanager
def _nothing_starts() -> Iterator[None]:
    if POLICY.exists():
        yield
        return
    POLICY.write_text(NOTHING_STARTS)
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


@contextlib.contextmanager
def place(user: str | None = None) -> Iterator[Path]:
    """A folder of a server's own, which `user` owns and every user may enter; removed at the end."""
    with tempfile.TemporaryDirectory(prefix="retake-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        if user:
            shutil.chown(folder, user, user)
        yield folder


@contextlib.contextmanager
def running(
    command: list[str | Path],
    log: Path,
    *,
    user: str | None = None,
    end: signal.Signals = signal.SIGTERM,
    **environment: str,
) -> Iterator[subprocess.Popen]:
    """A server in the foreground of a process of ours; ended by the signal `end`, killed 30 s later, and killed
    at once where this process is."""
    libc = ctypes.CDLL(None)  # loaded here: nothing may be between fork and exec
    with log.open("ab") as said:
        server = subprocess.Popen(
            [str(word) for word in command],
            stdout=said,
            stderr=said,
            stdin=subprocess.DEVNULL,
            env=os.environ | environment,
            cwd="/",
            user=user,
            group=user,
            extra_groups=[] if user else None,
            start_new_session=True,
            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),
        )
    try:
        yield server
    finally:
        server.send_signal(end)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_until(ready: Callable[[], bool], what: str, *logs: Path, seconds: float = 60) -> None:
    """Looks five times a second. Raises with the logs where `ready` does not become true."""
    last = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > last:
            said = "\n".join(f"{log}:\n{log.read_text(errors='replace')}" for log in logs if log.exists())
            raise AssertionError(f"{what}: not within {seconds} s\n{said}")
        time.sleep(0.2)


def free_ports(count: int) -> list[int]:
    """TCP ports of the loopback that nobody listens on now, each another one."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def answers(port: int) -> bool:
    """Whether somebody takes a connection on a port of the loopback."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def open_to_others(processes: Mapping[str, int]) -> dict[str, set[str]]:
    """Name -> the addresses outside the loopback on which that process (by its number) takes TCP connections."""
    listening: dict[str, str] = {}  # inode -> address
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENS:
                listening[fields[9]] = address_of(fields[1])
    found = {}
    for name, pid in processes.items():
        inodes = {_inode(handle) for handle in Path(f"/proc/{pid}/fd").iterdir()}
        open_ones = {a for inode, a in listening.items() if inode in inodes and not is_loopback(a)}
        if open_ones:
            found[name] = open_ones
    return found


def address_of(field: str) -> str:
    """The address of a `local_address` of /proc/net/tcp: words of 4 bytes, each in the machine's order."""
    words = field.partition(":")[0]
    return str(ip_address(b"".join(bytes.fromhex(words[i : i + 8])[::-1] for i in range(0, len(words), 8))))


def is_loopback(address: str) -> bool:
    found = ip_address(address)
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def _inode(handle: Path) -> str:
    with contextlib.suppress(OSError):
        return str(Path(handle).readlink()).removeprefix("socket:[").removesuffix("]")
    return ""
