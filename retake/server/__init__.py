"""The job server: jobs are forked from a process that has their imports behind it.

A mini build is hundreds of short jobs, and a fresh Python spends seconds of each on the import of torch, timm or
transformers, and a second at its end on taking them down again. So the run's main process starts a server:

    Snakemake ── shell ── python retake/launch.py scripts/x.py ...      (retake/launch.py: the client, 20 ms)
        │                      │ words, environment, umask, open files 0, 1, 2 (a Unix socket)
        └── server ────────────┴──── fork: the job                       (serving.py, forked.py)

* What is imported ahead is found, not listed (imports.py): before a job is forked the server imports what the job's
  sources import at their top, and what earlier jobs of the same script were seen to import besides. So nothing is
  imported that the job at hand would not import itself. retake.* never is: every job runs the code on disk. (The one
  exception is the stand-in for torch's compiler, which must be there before torch is.)
* A server forks only while it has one thread and no CUDA. New imports are therefore made in a fork of the server,
  its successor: if one of them starts a thread, or crashes, the successor ends, the server goes on without that
  module, and the job at hand runs in plain Python. If they go well, the successor takes the socket over, and the
  server ends with its last job.
* The server speaks to its own user only, over a socket without a file (abstract), and ends with the main process,
  as do all jobs: it holds the end of a pipe that only the main process can write to. A job dies with its server
  (PR_SET_PDEATHSIG) and with its client (a connection that hangs up). `.snakemake/retake/server.log` says what was
  imported and what went wrong.
* Plain Python, with the same result, is what runs wherever there is no server: a cluster's jobs, several threads or a
  GPU (jobs that ask for one have `threads` of their own), rules that reach out to the network, another Python (conda)
  or folder, and everything under RETAKE_SERVER=off.

A forked job's peak memory includes the pages that it shares with the server.
"""

import fcntl
import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from retake.guard import SERVER

LOG = Path(".snakemake/retake/server.log")
WAITING = 128  # jobs that may wait to be accepted


def start(workflow: Any) -> None:
    """The Snakefile's `onstart:`. Starts the server of this run and names it to the jobs, through the environment.

    Not on a cluster: there jobs run elsewhere. Nothing waits for the server; clients queue on its socket.
    """
    if not workflow.local_exec or os.environ.get(SERVER) == "off" or sys.platform != "linux":
        return
    launch()


def launch() -> subprocess.Popen:
    """Starts a server that ends with this process."""
    name = f"retake-{os.getpid()}-{secrets.token_hex(8)}"
    LOG.parent.mkdir(parents=True, exist_ok=True)
    alive, ours = os.pipe()  # `ours` is never written to, and closed by this process's end
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener, LOG.open("w") as log:
        listener.bind(f"\0{name}")
        listener.listen(WAITING)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "retake.server", name, str(listener.fileno()), str(alive)],
            env=os.environ | {"PYTHONHASHSEED": "0"},
            pass_fds=(listener.fileno(), alive),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for Snakemake, which ends its jobs in order
        )
    os.close(alive)
    assert fcntl.fcntl(ours, fcntl.F_GETFD) & fcntl.FD_CLOEXEC, "no job may hold the pipe open"
    os.environ[SERVER] = name
    return process
