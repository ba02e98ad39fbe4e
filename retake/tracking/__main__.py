"""`python -m retake.tracking sync | follow | ui`: MLflow from the records: once, on and on, to look at.

`beside` is a workflow's own: see retake/tracking/beside.py.
"""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from retake.schema.strict import read_yaml
from retake.tracking.beside import beside
from retake.tracking.runs import hide
from retake.tracking.store import address, prepare_environment
from retake.tracking.sync import StoreError, quietly, sync

LATER = 75  # as sysexits.h has it: try again later; retake.guard knows it


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0; with one line, 1 where the store cannot be used, LATER if that is to be no failure."""
    parser = argparse.ArgumentParser(prog="python -m retake.tracking", description=__doc__)
    parser.add_argument("command", choices=("sync", "follow", "ui", "beside"))
    parser.add_argument(
        "--store", help="MLflow store; else MLFLOW_TRACKING_URI, config.yaml's mlflow.store, mlflow.db"
    )
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument(
        "--ended", action="store_true", help="the workflow that holds the folder has no job left"
    )
    parser.add_argument(
        "--quiet-failure", action="store_true", help="a store out of reach: one line, exit status 75"
    )
    parser.add_argument("--follow", action="store_true", help="sync again and again until interrupted")
    parser.add_argument("--every", type=float, default=5.0, metavar="SECONDS")
    parser.add_argument("--port", type=int, default=5000)
    given = parser.parse_args(arguments)
    store = given.store or os.environ.get("MLFLOW_TRACKING_URI") or _configured(given.results.parent)
    if given.command == "ui":
        return _ui(given, store)
    if given.command == "beside":
        return 0 if beside(given.results, store, sys.stdin.buffer) else LATER
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service manager's way to interrupt
    if given.quiet_failure:
        return 0 if quietly(given.results, store, ended=given.ended) else LATER
    try:
        while True:
            report = sync(given.results, store, ended=given.ended)
            for line in report.refused:
                sys.stderr.write(f"retake: {line}\n")
            sys.stdout.write(f"{report}\n")
            sys.stdout.flush()
            if given.command != "follow" and not given.follow:
                return 1 if report.refused else 0
            time.sleep(given.every)
    except StoreError as error:
        sys.stderr.write(f"retake: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 0


def _configured(root: Path) -> str | None:
    """`mlflow: {store: ...}` of the project's config.yaml."""
    file = root / "config.yaml"
    settings = read_yaml(file) if file.exists() else {}
    return ((settings or {}).get("mlflow") or {}).get("store")


def _ui(given: argparse.Namespace, store: str | None) -> int:
    """Fills the store, then becomes MLflow's server on this machine only."""
    uri = address(given.results.parent, store)
    quietly(given.results, store, ended=given.ended)
    prepare_environment()
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri]
    if uri.startswith("http"):
        sys.stdout.write(f"the store is a server: open {uri}\n")
        return 0
    command += ["--host", "127.0.0.1", "--port", str(given.port), "--workers", "1"]
    shown = hide("", " ".join(["mlflow", *command[3:]]))
    sys.stdout.write(f"http://127.0.0.1:{given.port}   ({shown})\n")
    sys.stdout.flush()
    return os.execv(command[0], command)


if __name__ == "__main__":
    sys.exit(main())
