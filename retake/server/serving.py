"""The server's loop: clients ask, jobs are forked, their ends are told, and the main process's end ends all."""

import contextlib
import errno
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from retake.compiler import postpone_compiler
from retake.fixed import FIXED, OFFLINE, THREADS, reaches_out
from retake.guard import descendants
from retake.server.forked import FOLDER, become, run
from retake.server.imports import Imports, Wanted, installed, sources_of

ALONE = {  # what keeps a library from starting a thread as it is imported
    **dict.fromkeys(THREADS, "1"),
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
AT_START = tuple(  # variables that a program or a library reads once, as it starts
    "ATEN_ CUBLAS_ CUDA_ DNNL_ GOMP_ HF_ KMP_ LANG LC_ LD_ MALLOC_ MKL_ MPL NUMBA_ NUMEXPR_ OMP_ ONEDNN_ OPENBLAS_ "
    "PYTHON TOKENIZERS_ TORCH TRANSFORMERS_ TZ".split()
)
SAY_S = 10.0  # how long a client may take to say what it wants


class Declined(Exception):
    """A job that this server will not fork; the client runs it itself."""


@dataclass
class Asked:
    """One client, waiting: what it wants run, and its standard files and folder."""

    client: socket.socket
    job: dict[str, Any]
    files: list[int]

    def close(self) -> None:
        self.client.close()
        for file in self.files:
            os.close(file)


@dataclass
class Successor:
    """A fork of this server that imports, and takes over when that went well."""

    pid: int
    says: int  # a pipe: the module that it is about to import, a line each; an empty line when it takes over
    said: bytes = b""


@dataclass
class Server:
    """One process that forks jobs. `listener`, `alive`: inherited files, see retake.server.launch."""

    name: str
    listener: int
    alive: int
    given: dict[str, str] = field(default_factory=lambda: dict(os.environ))  # the main process's environment
    imports: Imports = field(default_factory=Imports)
    jobs: dict[int, socket.socket] = field(default_factory=dict)  # process -> its client
    successor: Successor | None = None
    open: bool = True  # whether jobs are taken

    def serve(self) -> NoReturn:
        """Until the main process ends, or a successor has taken over and the last job has ended."""
        os.environ.update({k: v for k, v in FIXED.items() if k not in os.environ})
        os.environ.update(ALONE | OFFLINE)
        postpone_compiler()
        gc.disable()  # it would touch, and so copy, what is shared; a job has its own
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._begin()
        while self.open or self.jobs or self.successor:
            ready = {file for file, _ in self.poll.poll()}
            if self.alive in ready:
                self._end()
            if self.wake in ready:
                os.read(self.wake, 512)
                self._reap()
            if self.successor and self.successor.says in ready:
                self._hear()
            for pid in [p for p, client in self.jobs.items() if client.fileno() in ready]:
                self._hung_up(pid)
            if self.listener in ready and self.open and not self.successor:
                self._accept()
        os._exit(0)

    def _begin(self) -> None:
        """What each process has of its own: where signals are told, and what is waited for."""
        self.wake, wakes = os.pipe()
        os.set_blocking(wakes, False)
        signal.set_wakeup_fd(wakes)
        self.poll = select.poll()
        for file in (self.alive, self.listener, self.wake):
            self.poll.register(file, select.POLLIN)
        self.own = [self.wake, wakes]

    # --- clients -------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        with socket.socket(fileno=os.dup(self.listener)) as listener:
            client, _ = listener.accept()
        client.settimeout(SAY_S)
        try:
            asked = self._heard(client)
        except (OSError, ValueError, TypeError, KeyError, struct.error) as error:
            self.log(f"a client was not understood: {error}")
            client.close()
            return
        if asked is None:
            client.close()
            return
        try:
            self._check(asked)
            wanted = self.imports.wanted(sources_of(asked.job["words"]))
            if wanted:
                self._succeed(asked, wanted)
            else:
                self._fork(asked)
        except Declined as why:
            self.log(f"{asked.job['words'][0]} runs in plain Python: {why}")
            with contextlib.suppress(OSError):
                client.send(b"declined\n")
            asked.close()

    def _heard(self, client: socket.socket) -> Asked | None:
        """What the client wants; None where it only told what a job had imported."""
        _, owner, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if owner != os.getuid():
            raise PermissionError(errno.EPERM, "it is another user's")
        head, files, _, _ = socket.recv_fds(client, 4, 4)
        try:
            (size,) = struct.unpack("!I", head)
            data = b""
            while len(data) < size and (more := client.recv(size - len(data))):
                data += more
            told = json.loads(data)
            if "learnt" in told:
                self.imports.learn(told["sources"], told["learnt"])
                return None
            if len(files) != 4:
                raise ValueError(f"{len(files)} files, not 4")
        except BaseException:
            for file in files:
                os.close(file)
            raise
        return Asked(client, told, files)

    def _check(self, asked: Asked) -> None:
        """Raises Declined where a fork of this process would not be what the client's Python would be."""
        job = asked.job
        script, environment = job["words"][0], job["environment"]
        if not os.path.samestat(os.fstat(asked.files[FOLDER]), Path().stat()):
            raise Declined("it is for another folder")
        if job["python"] != [sys.prefix, sys.version]:
            raise Declined(f"it is for the Python of {job['python'][0]}")
        if not Path(script).is_file():
            raise Declined("no such script here")
        if reaches_out(Path(script).stem):
            raise Declined("it may use the network")
        for name in sorted({*environment, *self.given}):
            if name.startswith(AT_START) and environment.get(name) not in (
                self.given.get(name),
                os.environ.get(name, ""),
            ):
                raise Declined(f"it has {name}={environment.get(name, '')}")
        if why := self._cannot_fork():
            self.open = False
            os.close(self.listener)
            self.poll.unregister(self.listener)
            raise Declined(f"{why}; so will all that follow")

    def _cannot_fork(self) -> str:
        if (threads := len(os.listdir("/proc/self/task"))) > 1:  # noqa: PTH208 -- a count
            return f"the server has {threads} threads"
        cuda = sys.modules.get("torch.cuda")
        return "the server has begun to use CUDA" if cuda is not None and cuda.is_initialized() else ""

    # --- jobs ----------------------------------------------------------------------------------------------

    def _fork(self, asked: Asked) -> None:
        sys.stdout.flush(), sys.stderr.flush()
        server, before, sources = os.getpid(), set(sys.modules), sources_of(asked.job["words"])
        pid = os.fork()
        if pid:
            self.jobs[pid] = asked.client
            asked.client.setblocking(False)
            self.poll.register(asked.client, select.POLLIN)
            for file in asked.files:
                os.close(file)
            asked.files = []
            with contextlib.suppress(OSError):  # a client that has hung up is seen by the loop
                asked.client.send(b"started %d\n" % pid)
            return
        asked.client.detach()
        for client in self.jobs.values():
            client.close()
        become(asked.job, asked.files, server, [self.listener, self.alive, *self.own])
        run(asked.job["words"][0], lambda: self._tell(sources, before))

    def _tell(self, sources: list[str], before: set[str]) -> None:
        """In the job: what it imported that the server had not, to whoever serves by now."""
        if new := installed(before):
            data = json.dumps({"sources": sources, "learnt": new}).encode()
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
                server.settimeout(SAY_S)
                server.connect(f"\0{self.name}")
                server.sendall(struct.pack("!I", len(data)) + data)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if client := self.jobs.pop(pid, None):
                with contextlib.suppress(KeyError):  # it has hung up
                    self.poll.unregister(client)
                with contextlib.suppress(OSError):
                    client.send(b"ended %d\n" % status)
                client.close()

    def _hung_up(self, pid: int) -> None:
        """The client says nothing after its job; what there is to read is its end. Nobody waits for the job then."""
        self.poll.unregister(self.jobs[pid])
        self._kill(pid)

    def _kill(self, pid: int) -> None:
        """A job, its process group, and what it started in groups of their own."""
        others = descendants(pid)
        for kill, each in ((os.killpg, pid), *((os.kill, other) for other in others)):
            with contextlib.suppress(OSError):
                kill(each, signal.SIGKILL)

    def _end(self) -> NoReturn:
        """The main process is gone."""
        for pid in self.jobs:
            self._kill(pid)
        if self.successor:
            with contextlib.suppress(OSError):
                os.kill(self.successor.pid, signal.SIGKILL)
        os._exit(0)

    # --- imports -------------------------------------------------------------------------------------------

    def _succeed(self, asked: Asked, wanted: list[Wanted]) -> None:
        """Hands the job to a fork of this process, which imports first. Until it is heard of no other is taken."""
        sys.stdout.flush(), sys.stderr.flush()
        says, tells = os.pipe()
        pid = os.fork()
        if pid:
            os.close(tells)
            asked.close()
            self.successor = Successor(pid, says)
            self.poll.unregister(self.listener)
            self.poll.register(says, select.POLLIN)
            return
        for file in (says, *self.own):
            os.close(file)
        for client in self.jobs.values():
            client.close()
        self.jobs = {}
        self._begin()
        self._import(wanted, tells, asked.job["words"][0])
        os.write(tells, b"\n")
        os.close(tells)
        self._fork(asked)

    def _import(self, wanted: list[Wanted], tells: int, script: str) -> None:
        started = time.perf_counter()
        for each in wanted:
            os.write(tells, f"{each[0]}\n".encode())
            if failed := self.imports.load(each):
                self.log(f"{each[0]} cannot be imported ahead: {failed}")
            if why := self._cannot_fork():
                self.log(f"{each[0]} is not imported ahead: with it {why}")
                os._exit(1)
        gc.freeze()
        names = ", ".join(dict.fromkeys(module.split(".")[0] for module, _ in wanted))
        self.log(f"imported for {script} in {time.perf_counter() - started:.2f} s, of: {names}")

    def _hear(self) -> None:
        """A successor has taken over: this server keeps its jobs. Or it has ended: what it died of is left out."""
        successor = self.successor
        new = os.read(successor.says, 65536)
        successor.said += new
        if successor.said.endswith(b"\n\n"):
            self.open = False
            os.close(self.listener)
        elif new:
            return
        elif tried := successor.said.decode().splitlines():
            self.imports.refused.add(tried[-1])
            self.log(f"{tried[-1]} is left to the jobs themselves from now on")
            self.poll.register(self.listener, select.POLLIN)
        self.poll.unregister(successor.says)
        os.close(successor.says)
        self.successor = None

    def log(self, line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
