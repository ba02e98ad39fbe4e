"""One workflow at a time in a folder, and no job that outlives its workflow. Standard library only.

The Snakefile calls `enter(workflow)` once. It then holds, in the process that runs jobs:

* the folder: an flock on `.snakemake/retake.lock`, from just before the graph is built to the end of the
  process. The kernel frees it however the process ends, so nothing has to be unlocked by hand (the profile's
  `nolock: true` switches Snakemake's own lock files off, which outlive a kill). A second run in the folder is
  refused with one line. Commands that run nothing (-n, --lint, --report, --dag, --summary ...) take no lock.
* the jobs: RETAKE_MAIN names the process (host, number, start time). A job calls `watch_parent()` first and
  is killed, with everything it started, as soon as that process is gone.

Read in Snakemake 9.27: a Snakefile is parsed before Snakemake decides what to do with it, so
`workflow.dryrun` says nothing yet and `workflow.is_main_process` is true for --lint and --summary too. Only
`Workflow.execute` is reached by the commands that run jobs, and it is told which executor does: hence the
wrapper in `enter`.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retake import settle, unmoved

LOCK = Path(".snakemake/retake.lock")
MAIN = "RETAKE_MAIN"
INVOCATION = "RETAKE_INVOCATION"
SERVER = "RETAKE_SERVER"
POLL_S = 0.5
LATER = 75  # the exit status of a sync that found no store
SYNC_ALL = b"all\n"  # to the process beside the jobs: there are no more
PR_SET_PDEATHSIG = 1

_beside: list["subprocess.Popen[bytes]"] = []  # the process that fills MLflow
_held: dict[Path, int] = {}  # open lock files of this process; closing one frees its folder


class Busy(RuntimeError):
    """Another process runs the workflow in this folder."""


def enter(workflow: Any) -> None:
    """The Snakefile's one call: settle file times, name this process to its jobs, guard what runs jobs.

    A job's own Snakemake process (cluster executors start one) passes through with no lock; on another host
    than the main process it becomes the one that its job watches.
    """
    if not workflow.is_main_process:
        if not _same_machine(os.environ.get(MAIN, "")):
            os.environ[MAIN] = name_of(os.getpid())
        return
    root = Path.cwd()
    os.environ[MAIN] = name_of(os.getpid())
    if os.environ.get(SERVER) != "off":  # another run's, of which this run is a job
        os.environ.pop(SERVER, None)
    os.environ[INVOCATION] = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{uuid.uuid4().hex[:8]}"
    found = None
    with contextlib.suppress(Busy), held(root):  # while another run is at work its file times are left alone
        found = settle.settle(root)
    run = workflow.execute

    def execute(*given: Any, **named: Any) -> Any:
        plugin = named.get("executor_plugin", given[0] if given else None)
        if plugin is not None and plugin.common_settings.dryrun_exec:
            done = run(*given, **named)
            unmoved.keep(workflow, found, ran=False)
            return done
        try:
            hold(root)
        except Busy as busy:
            refuse(str(busy))
        since = time.time()
        # With a limit of jobs a second, which is the default, each look for jobs to start brings another a second
        # later for as long as the run lasts: after n jobs there are n looks a second, which fill a core.
        # A cluster's limit stays: there it guards the queue.
        if plugin is None or plugin.common_settings.local_exec:
            workflow.scheduling_settings.max_jobs_per_timespan = None
        try:
            done = run(*given, **named)
        finally:
            after = settle.settle(root, since=since)
        unmoved.keep(workflow, after, ran=True)
        return done

    workflow.execute = execute


def sync_beside(config: dict[str, Any]) -> None:
    """Starts the process that brings jobs into MLflow while others are at work (`onstart:`); `sync` ends it.

    It takes what processor time jobs leave, and goes when this process does: then its input ends. A session of its
    own: a Ctrl-C in the terminal is for the workflow, which then says what is to be done.
    """
    command = _sync_command(config, "beside")
    if command:
        _beside.append(
            subprocess.Popen(command, env=_with_this_package(), stdin=subprocess.PIPE, start_new_session=True)
        )


def sync(config: dict[str, Any]) -> None:
    """Brings what has ended into MLflow (`onsuccess:`, `onerror:`). Its failure is one line, never the
    workflow's.

    `mlflow: {store: none}` in the config leaves MLflow out.
    """
    command = _sync_command(config, "sync", "--ended", "--quiet-failure")
    if not command:
        return
    status = _end_beside()
    if status is None:
        status = subprocess.run(command, env=_with_this_package(), check=False).returncode
    if status:
        unmoved.forget()
    if status not in (0, LATER):
        sys.stderr.write(f"retake: the sync with MLflow ended with status {status}\n")


def _end_beside() -> int | None:
    """The exit status of the process beside the jobs, once it has brought the last; None where none is at work."""
    if not _beside:
        return None
    process = _beside.pop()
    try:
        process.communicate(SYNC_ALL)
    except BrokenPipeError:  # it has ended before
        process.wait()
    return process.returncode if process.returncode in (0, LATER) else None


def _sync_command(config: dict[str, Any], *words: str) -> list[str]:
    """Nothing where the config leaves MLflow out."""
    store = (config.get("mlflow") or {}).get("store")
    if store == "none":
        return []
    return [sys.executable, "-m", "retake.tracking", *words, *(["--store", store] if store else [])]


def _with_this_package() -> dict[str, str]:
    code = str(Path(__file__).resolve().parents[1])
    paths = os.pathsep.join(p for p in (code, os.environ.get("PYTHONPATH")) if p)
    return os.environ | {"PYTHONPATH": paths}


def make_folders(paths: list[str]) -> None:
    """Makes the folders that are missing (`onstart:`), with those above them."""
    for path in paths:
        Path(path).mkdir(parents=True, exist_ok=True)


def refuse(line: str) -> None:
    """Ends this process with exit status 1 and one line; no traceback."""
    sys.stderr.write(line.rstrip() + "\n")
    raise SystemExit(1)


def hold(folder: Path) -> None:
    """Takes the folder for the life of this process. Raises Busy (the message names the holder) at once."""
    folder = Path(folder).resolve()
    path = folder / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        who = _read(handle)
        os.close(handle)
        raise Busy(
            f"retake: process {who.get('pid', '?')} on {who.get('host', '?')} is already running the "
            "workflow in this folder; wait for it, or end it and give the same command again"
        ) from None
    except OSError:
        os.close(handle)
        raise
    who = {"pid": os.getpid(), "host": socket.gethostname(), "invocation": os.environ.get(INVOCATION)}
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(who).encode(), 0)
    _held[folder] = handle


def release(folder: Path) -> None:
    """Gives the folder back before the process ends."""
    os.close(_held.pop(Path(folder).resolve()))


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Holds the folder for a block. Raises Busy."""
    hold(folder)
    try:
        yield
    finally:
        release(folder)


def holder(folder: Path) -> dict[str, Any] | None:
    """Who runs the workflow in the folder (pid, host, invocation), or None. Takes nothing and waits for
    nobody."""
    path = Path(folder) / LOCK
    if not path.exists():
        return None
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(handle)
    finally:
        os.close(handle)
    return None


def _read(handle: int) -> dict[str, Any]:
    text = os.pread(handle, 4096, 0)
    try:
        return json.loads(text)
    except ValueError:  # its holder has not written its name yet
        return {}


def name_of(pid: int) -> str:
    """pid:start time:machine. The start time tells a process from a later one of the same number."""
    return f"{pid}:{_started(pid)}:{_machine()}"


def _started(pid: int) -> str:
    """Clock ticks from boot to the process's start; "-" where it is gone, a zombie included."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists() or not _exists(pid):
            return "-"
        return "?"  # no /proc on this system: a number is all there is
    return "-" if fields[0] in "ZX" else fields[19]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _machine() -> str:
    """Names this boot of this host and its set of process numbers (a container has its own)."""
    boot, space = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    if not boot.exists():
        return socket.gethostname()
    return f"{boot.read_text().strip()}:{space.readlink()}"


def _same_machine(name: str) -> bool:
    return name.count(":") >= 2 and name.split(":", 2)[2] == _machine()


def watch_parent() -> None:
    """First line of every job: from here on this process dies when the workflow's main process dies.

    Does nothing where no main process is named, or where it runs on another host.
    """
    name = os.environ.get(MAIN, "")
    if not _same_machine(name):
        return
    pid, started, _ = name.split(":", 2)
    if sys.platform == "linux":  # and when the shell between the two is killed
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if _started(int(pid)) != started:
        _die()
    threading.Thread(target=_watch, args=(int(pid), started), name="watch_parent", daemon=True).start()


def _watch(pid: int, started: str) -> None:
    """Waits for the kernel's word where it gives one (pidfd), else looks twice a second."""
    try:
        waiting = select.poll()
        waiting.register(os.pidfd_open(pid), select.POLLIN)
    except (AttributeError, OSError):
        waiting = None
    while _started(pid) == started:
        if waiting is not None:
            waiting.poll(60_000)
        else:
            time.sleep(POLL_S)
    _die()


def _die() -> None:
    """Kills what this process started, then itself. Nothing can catch it: outputs stay under temporary
    names."""
    for child in descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(child, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """Processes that a process has started, and those that they have started."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, todo = [], [pid]
    while todo:
        new = children.get(todo.pop(), [])
        found += new
        todo += new
    return found
