"""The Java process behind two metrics: it ends when the block ends, it never hangs, and its words reach the user."""

import os
import time

import pytest

from retake.metrics.java import Java, JavaError
from retake.metrics.tokenizer import JAR

WAITS = ["-cp", str(JAR), "edu.stanford.nlp.process.PTBTokenizer", "-preserveLines"]  # for input that never comes


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


def test_an_error_in_the_block_leaves_no_process_behind():
    begin = time.monotonic()
    with pytest.raises(KeyError), Java(WAITS, heap_mb=64, timeout_s=60) as java:
        java.ask("half a")
        raise KeyError("from the caller")
    assert gone(java.pid)
    assert time.monotonic() - begin < 30  # it was killed, not waited for


def test_what_a_failing_process_says_stands_in_the_error():
    with (
        Java(["-cp", str(JAR), "no.such.Program"], heap_mb=64, timeout_s=60) as java,
        pytest.raises(JavaError, match=r"status 1.*no\.such\.Program"),
    ):
        java.rest()


def test_asking_a_process_that_has_ended_is_an_error_and_does_not_wait():
    with Java(["-cp", str(JAR), "no.such.Program"], heap_mb=64, timeout_s=60) as java:
        with pytest.raises(JavaError, match="ended"):
            java.line()
        with pytest.raises(JavaError, match="ended early"):
            java.ask("anybody there?")
