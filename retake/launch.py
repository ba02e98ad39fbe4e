"""`python retake/launch.py SCRIPT WORD...` runs what `python SCRIPT WORD...` runs, without the wait for its imports.

Rules start their scripts with it. Where the workflow's job server is there (RETAKE_SERVER; see retake/server), the
job is forked from it, with this process's words, folder, environment and open files; this process passes signals on
and ends as the job ends. Where there is none, or it declines, Python itself takes this process's place. Either way
the hash seed is 0, as retake/fixed.py has it for all jobs.

Started hundreds of times, from any folder: standard library only, nothing of ours.
"""

import json
import os
import signal
import socket
import struct
import sys

SERVER = "RETAKE_SERVER"
LOOK_S = 0.5  # how often to look whether the shell that started this is still there
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def main(words: list[str]) -> None:
    os.environ["PYTHONHASHSEED"] = "0"
    name = os.environ.get(SERVER)
    if name and words:
        parent = os.getppid()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                _ask(connection, name, words)
            except OSError:  # nobody is there
                pass
            else:
                _follow(connection, words[0], parent)
    os.execv(sys.executable, [sys.executable, *words])


def _ask(connection: socket.socket, name: str, words: list[str]) -> None:
    """Sends the job: what it is called with, and the files it has open. Raises OSError where there is no server."""
    if connection.fileno() < 3:
        raise OSError("a standard file is closed")
    connection.connect(f"\0{name}")
    _, owner, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if owner != os.getuid():
        raise PermissionError("the server is another user's")
    os.umask(mask := os.umask(0))
    asked = {
        "words": words,
        "environment": dict(os.environ),
        "umask": mask,
        "python": [sys.prefix, sys.version],
    }
    data = json.dumps(asked).encode()
    here = os.open(".", os.O_RDONLY)
    socket.send_fds(connection, [struct.pack("!I", len(data))], [0, 1, 2, here])
    os.close(here)
    connection.sendall(data)


def _follow(connection: socket.socket, script: str, parent: int) -> None:
    """Ends this process as the job ends; returns where no job was started."""
    job = 0
    connection.settimeout(LOOK_S)
    said = b""
    while True:
        try:
            new = connection.recv(256)
        except TimeoutError:
            if os.getppid() != parent:  # hanging up ends the job
                os._exit(1)
            continue
        except ConnectionError:
            new = b""
        said += new
        *lines, said = said.split(b"\n")
        for line in lines:
            word, _, number = line.partition(b" ")
            if word == b"started":
                job = int(number)
                _pass_on(job)
            elif word == b"ended":
                _end(int(number))
            else:  # declined
                return
        if not new:
            if job:
                _lost(job, script)
            return


def _pass_on(job: int) -> None:
    """Signals for this process are for the job."""

    def send(number: int, _: object) -> None:
        os.kill(job, number)

    def pause(*_: object) -> None:
        os.killpg(job, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.killpg(job, signal.SIGCONT)

    for number in PASSED_ON:
        signal.signal(number, send)
    signal.signal(signal.SIGTSTP, pause)


def _end(status: int) -> None:
    """As the job: with its exit status, or by the signal that killed it."""
    if not os.WIFSIGNALED(status):
        os._exit(os.WEXITSTATUS(status))
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the job has left its own, if it was to
    number = os.WTERMSIG(status)
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _lost(job: int, script: str) -> None:
    """The server is gone, and the kernel has killed the job; what the job started goes too."""
    try:  # noqa: SIM105 -- contextlib takes longer to import than all else here to run
        os.killpg(job, signal.SIGKILL)
    except OSError:
        pass
    sys.stderr.write(
        f"retake: the job server was killed, and {script} with it; the next run starts another\n"
    )
    sys.stderr.flush()
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
