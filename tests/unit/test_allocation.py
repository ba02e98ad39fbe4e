"""Freed memory stays with the process: the system is asked for it once."""

import platform
import subprocess
import sys

import pytest

ROUNDS = """
import resource
{first}
def touched():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
blocks = [bytearray(b"1") * (48 * 2**20) for _ in range(2)]
del blocks
before = touched()
for _ in range(8):
    blocks = [bytearray(b"1") * (48 * 2**20) for _ in range(2)]
    del blocks
print(touched() - before)
"""
KEPT = "from retake.allocation import keep_freed_memory\nassert keep_freed_memory()"
PAGES = 2 * 48 * 2**20 // 4096  # of one round


def faults(first: str) -> int:
    """Pages that were asked for again in eight rounds."""
    said = subprocess.run([sys.executable, "-c", ROUNDS.format(first=first)], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    return int(said.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_blocks_that_are_freed_and_asked_for_again_cost_no_new_pages():
    assert faults(KEPT) < PAGES / 10


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_every_job_keeps_what_it_frees():
    began = "import sys\nimport retake.job as j\nj.watch_parent = lambda: None\nsys.argv = ['x', '--threads', 'none']"
    asked = "try:\n    with j.job():\n        pass\nexcept (ValueError, SystemExit):\n    pass"
    assert faults(f"{began}\n{asked}") < PAGES / 10


def test_a_c_library_without_it_is_left_alone(monkeypatch):
    from retake import allocation

    monkeypatch.setattr(allocation.ctypes, "CDLL", lambda _: object())
    assert allocation.keep_freed_memory() is False
