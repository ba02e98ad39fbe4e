"""The forked job: from a copy of the server to what `python SCRIPT WORD...` would be, and to its end.

What the server's imports left behind must not decide anything: the environment is the client's, random states are
drawn anew, our own modules are forgotten and read from the disk. What Python does at its end is done here too
(threads waited for, exit functions, what the script left open, flushes), but for taking every module down again.
"""

import atexit
import ctypes
import gc
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from importlib.machinery import SourceFileLoader
from types import ModuleType, TracebackType
from typing import Any, NoReturn

from retake.guard import PR_SET_PDEATHSIG

LIBC = ctypes.CDLL(None)
FOLDER = 3  # of a client's files: standard input, output and error come first


class _Script(SourceFileLoader):
    """A script is never kept compiled."""

    def get_code(self, fullname: str) -> Any:  # noqa: ARG002 -- it has one name
        return self.source_to_code(self.get_data(self.path), self.path)


def become(asked: dict[str, Any], files: list[int], server: int, close: Iterable[int]) -> None:
    """Turns this fork of the process `server` into the process that a client asks for. `close`: the server's files."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != server:
        os._exit(1)
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, file in enumerate(files[:FOLDER]):
        os.dup2(file, number)
    for file in (*files, *close):
        os.close(file)
    os.umask(asked["umask"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = list(asked["words"])
    if not os.environ.get("PYTHONSAFEPATH"):  # the server itself is started with it
        sys.path.insert(0, os.path.dirname(os.path.abspath(sys.argv[0])))  # noqa: PTH100, PTH120 -- as Python has it
    _forget()
    gc.enable()


def _forget() -> None:
    """Our modules, whose code is read again, and states that two jobs would otherwise share."""
    for name in [n for n in sys.modules if n.split(".")[0] == "retake"]:
        del sys.modules[name]
    importlib.invalidate_caches()
    if (numpy_random := sys.modules.get("numpy.random")) is not None:
        numpy_random.seed()  # Python's own is seeded anew by the fork
    if (torch := sys.modules.get("torch")) is not None:
        torch.default_generator.seed()
    if (tempfile := sys.modules.get("tempfile")) is not None:
        vars(tempfile)["tempdir"] = None  # TMPDIR is the client's


def run(script: str, before_the_end: Callable[[], None]) -> NoReturn:
    """Runs the script as `__main__` and ends this process as Python would."""
    main = ModuleType("__main__")
    main.__file__ = os.path.abspath(script)  # noqa: PTH100 -- a path is text here, as Python has it
    main.__loader__ = _Script("__main__", main.__file__)
    sys.modules["__main__"] = main
    status, by = 0, 0
    try:
        main.__loader__.exec_module(main)
    except SystemExit as ending:
        status = _status(ending.code)
    except BaseException as error:  # noqa: BLE001 -- as Python itself does
        error.__traceback__ = _from(main.__file__, error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)
        status, by = 1, signal.SIGINT if isinstance(error, KeyboardInterrupt) else 0
    try:
        before_the_end()
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        vars(main).clear()
        gc.collect()
    finally:
        _leave(status, by)


def _status(code: Any) -> int:
    if code is None or isinstance(code, int):
        return int(code or 0) & 0xFF
    sys.stderr.write(f"{code}\n")
    return 1


def _from(file: str, trace: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames that lead to the script; None where the script was not begun."""
    while trace is not None and trace.tb_frame.f_code.co_filename != file:
        trace = trace.tb_next
    return trace


def _leave(status: int, by: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            status = status or 120
    LIBC.fflush(None)
    if by:
        signal.signal(by, signal.SIG_DFL)
        os.kill(os.getpid(), by)
    os._exit(status)
