"""MLflow filled while jobs run, so that a workflow's end has next to nothing left to bring.

Half of what a sync costs is the database's transactions, and a new store's tables cost seconds: work for one core,
which would come when all others have ended. It is done by a thread that gives way to jobs, and in small portions:
the last sync, at full priority, waits for one of them at most.
"""

import os
import sys
import threading
from pathlib import Path
from typing import IO

from retake import guard
from retake.tracking.store import StoreError
from retake.tracking.sync import quietly, sync

AT_ONCE = 10  # jobs: about a second of processor time
EVERY_S = 3.0  # between looks for more
GIVES_WAY = 10  # a tenth of a core where jobs fill all of them; at 19 there would be no end of it


def beside(results: Path, store: str | None, said: IO[bytes]) -> bool:
    """Brings jobs that have ended until it is told that there are no more; then what is left.

    said: where the workflow says so (`guard.SYNC_ALL`); where that ends without a word the workflow is gone, and so is
    this process, at once: the next sync sees what is half. Returns whether the store was reached.
    """
    ended = threading.Event()
    worker = threading.Thread(target=_work, args=(results, store, ended), daemon=True)
    worker.start()
    if said.readline() != guard.SYNC_ALL:
        os._exit(1)
    ended.set()
    worker.join()
    return quietly(results, store, ended=True)


def _work(results: Path, store: str | None, ended: threading.Event) -> None:
    if sys.platform == "linux":  # elsewhere a priority is a process's, not a thread's
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), GIVES_WAY)
    while not ended.is_set():
        try:
            report = sync(results, store, at_most=AT_ONCE)
        except StoreError:  # the last sync tries again, and says it
            return
        if report.written < AT_ONCE:
            ended.wait(EVERY_S)
