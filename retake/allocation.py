"""Memory that a job gives up stays with it, to be used again. Standard library only.

A batch's maps are freed and asked for again each step. The C library hands blocks beyond 32 MB back to the system
each time, which then has to clear every page anew: a tenth of a training's processor time. What a job holds at
most is the same, and all of it goes back when the job ends.
"""

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of mallopt, as malloc.h numbers them
NEVER = 2**31 - 1  # bytes free at the end of the heap before they are given back
LARGEST = 2**30  # bytes of a block that comes from the heap; larger ones come and go by themselves


def keep_freed_memory() -> bool:
    """Whether the C library knows how; where it does not (it is not glibc), nothing changes."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all([mallopt(MMAP_THRESHOLD, LARGEST), mallopt(TRIM_THRESHOLD, NEVER)])
