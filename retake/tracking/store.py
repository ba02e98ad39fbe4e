"""The MLflow store as `sync` needs it: find runs, write one so that a tear is seen, mark, never delete."""

import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from retake.tracking.runs import JobRun, Point, hide
from retake.tracking.synced import Known

EXPERIMENT = "retake"
METRICS_A_CALL = 900  # MLflow takes 1000 things a call, of which 100 parameters and 100 tags
OTHERS_A_CALL = 90
CONNECT_S = 10  # to wait for a database

ENVIRONMENT = {  # set before mlflow is imported; what the user has set stays
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # the default is four minutes of waiting for a dead server
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

JOB, ATTEMPT, RECORD, SHA = "job", "attempt", "record", "record.sha"  # tags; SHA is written last
EXTRAS, LOGGED, INVOCATION, PARENT = "extras.sha", "points", "invocation", "parent_of"
SUPERSEDED = "superseded"


class StoreError(RuntimeError):
    """MLflow's store cannot be reached or written; one line."""


def address(root: Path, store: str | None) -> str:
    """The store's address: given, else MLFLOW_TRACKING_URI, else one SQLite file in the project's folder."""
    chosen = store or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    inside = chosen.removeprefix("sqlite:///")
    if inside != chosen and not inside.startswith("/"):
        return f"sqlite:///{Path(root).resolve() / inside}"
    return chosen


@contextlib.contextmanager
def locked(root: Path, uri: str) -> Iterator[None]:
    """One sync at a time: two that create one store break it, two that write make doubles. Syncs with one
    PostgreSQL come from several folders and machines, so there the database keeps the lock too."""
    inside = uri.removeprefix("sqlite:///")
    lock = Path(f"{inside}.lock") if inside != uri else Path(root) / ".snakemake" / "mlflow.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with _locked_in_database(uri) if uri.startswith("postgresql") else contextlib.nullcontext():
            yield


@contextlib.contextmanager
def _locked_in_database(uri: str) -> Iterator[None]:
    """A lock of the server's, freed when its connection ends, however that comes. A server out of reach is known
    here, at once: MLflow's own first connection is tried again for minutes."""
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import NullPool

    try:
        engine = create_engine(uri, poolclass=NullPool, connect_args={"connect_timeout": CONNECT_S})
    except ModuleNotFoundError as error:
        needed = f"needs {error.name}: pip install --no-deps --require-hashes -r requirements-services.lock"
        raise StoreError(hide("", f"MLflow store {uri}: {needed}")) from error
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("select pg_advisory_lock(hashtext(:name))"), {"name": EXPERIMENT})
        yield


@contextlib.contextmanager
def errors_as_one_line(uri: str) -> Iterator[None]:
    """MLflow's, the database's and the network's failures as StoreError; anything else is a fault of ours."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        said = " ".join(_words_of(error).split())[:300]
        raise StoreError(hide("", f"MLflow store {uri}: {said}")) from error


def _words_of(error: BaseException) -> str:
    """The database's own, where it said any: around them are the statement and advice for whoever wrote it."""
    from sqlalchemy.exc import DBAPIError

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, DBAPIError) and cause.orig is not None:
            return str(cause.orig)
        cause = cause.__cause__ or cause.__context__
    return str(error)


def prepare_environment() -> None:
    for key, value in ENVIRONMENT.items():
        os.environ.setdefault(key, value)


class _Found(dict[str, list[Any]]):
    """What was looked up, by name: once, when it is asked for."""

    def __init__(self, look: Callable[[str], list[Any]]) -> None:
        super().__init__()
        self.look = look

    def __missing__(self, name: str) -> list[Any]:
        self[name] = self.look(name)
        return self[name]


class Store:
    """One experiment of one store. Calls raise MLflow's own errors; see `errors_as_one_line`."""

    def __init__(self, uri: str) -> None:
        prepare_environment()
        from mlflow import MlflowClient
        from mlflow.entities import Metric, Param, RunTag

        for name in ("mlflow", "alembic", "urllib3"):
            logging.getLogger(name).setLevel(logging.ERROR)
        # what it logs, with a traceback, it raises as well: the one line that is made of that is enough
        logging.getLogger("mlflow.store.db").setLevel(logging.CRITICAL)
        self.Metric, self.Param, self.RunTag = Metric, Param, RunTag
        self.client = MlflowClient(tracking_uri=uri)
        found = self.client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            made = self.client.create_experiment(
                EXPERIMENT, artifact_location=f"mlflow-artifacts:/{EXPERIMENT}"
            )
            found = self.client.get_experiment(made)
        self.experiment = found.experiment_id
        self.made = [found.experiment_id, found.creation_time]
        self.empty = not self.client.search_runs([self.experiment], max_results=1)
        self.by_job = _Found(lambda job: self._tagged(JOB, job))
        self.parents = _Found(lambda invocation: self._tagged(PARENT, invocation))

    def _tagged(self, tag: str, value: str) -> list[Any]:
        """All runs with this tag, the newest last."""
        if self.empty:  # before this sync
            return []
        quote = '"' if "'" in value else "'"
        asked, found, token = f"tags.{tag} = {quote}{value}{quote}", [], None
        while True:
            page = self.client.search_runs(
                [self.experiment], asked, order_by=["attributes.start_time ASC"], page_token=token
            )
            found += page
            token = page.token
            if not token:
                return found

    def attempt(self, run: JobRun) -> Any | None:
        """The run that holds, or may go on to hold, this record; None where a new one is due."""
        same = [r for r in self.by_job[run.job] if r.data.tags.get(ATTEMPT) == run.attempt]
        whole = [r for r in same if r.data.tags.get(SHA) == run.sha]
        torn = [r for r in same if SHA not in r.data.tags or r.info.status == "KILLED"]
        return next(iter(whole or torn), None)

    def is_whole(self, held: Any, run: JobRun) -> bool:
        tags = held.data.tags
        return (
            tags.get(SHA) == run.sha and tags.get(EXTRAS) == run.extras_sha and held.info.status == run.status
        ) or (run.status == held.info.status == "RUNNING" and int(tags.get(LOGGED, -1)) == len(run.points))

    def parent(self, invocation: str, start: int) -> str:
        """Id of the invocation's run; made where it is not there."""
        if not self.parents[invocation]:
            tags = {PARENT: invocation, INVOCATION: invocation}
            made = self.client.create_run(self.experiment, start, tags, f"rebuild {invocation}")
            self.parents[invocation].append(made)
        return self.parents[invocation][0].info.run_id

    def write(self, run: JobRun, held: Any | None) -> None:
        """Writes what the store lacks of this record: points, then the tag that says so, then the state: only the two
        together say whole.
        """
        if held is None:
            tags = {"mlflow.parentRunId": self.parent(run.invocation, run.start), **self._own_tags(run)}
            held = self.client.create_run(self.experiment, run.start, tags, run.name)
            self.by_job[run.job].append(held)
        run_id, tags = held.info.run_id, held.data.tags
        logged = int(tags.get(LOGGED, 0))
        points = run.points[logged:] + (run.extras if run.complete else [])
        last = {LOGGED: str(len(run.points)), RECORD: run.path}
        last |= {EXTRAS: run.extras_sha, SHA: run.sha} if run.complete else {}
        self._log(run_id, points, {} if LOGGED in tags else run.params, last)
        if run.complete:
            self.client.set_terminated(run_id, run.status, run.end)
        tags.update(last)

    def _own_tags(self, run: JobRun) -> dict[str, str]:
        tags = {
            JOB: run.job,
            ATTEMPT: run.attempt,
            RECORD: run.path,
            INVOCATION: run.invocation,
            SUPERSEDED: "false",
        }
        return tags | dict(list(run.tags.items())[:OTHERS_A_CALL])

    def _log(self, run_id: str, points: list[Point], params: dict[str, str], tags: dict[str, str]) -> None:
        """In as few calls as MLflow allows: each is several transactions of a database, whatever it brings.

        Tags come with the last call, and there, as MLflow has it, after all else. A point that is there already (same
        name, value, time, step) is not doubled: MLflow's own promise.
        """
        metrics = [self.Metric(p.name, p.value, p.time, p.step) for p in points]
        named = [self.Param(k, v) for k, v in params.items()]
        while True:
            now = {"metrics": metrics[:METRICS_A_CALL], "params": named[:OTHERS_A_CALL]}
            metrics, named = metrics[METRICS_A_CALL:], named[OTHERS_A_CALL:]
            if not metrics and not named:
                self.client.log_batch(run_id, **now, tags=[self.RunTag(k, v) for k, v in tags.items()])
                return
            self.client.log_batch(run_id, **now)

    def current(self, run: JobRun | Known) -> Any:
        """The store's run of an attempt that was written: the newest one made of it."""
        same = [r for r in self.by_job[run.job] if r.data.tags.get(ATTEMPT) == run.attempt]
        whole = [r for r in same if r.data.tags.get(SHA) == run.sha]
        return whole[0] if whole else same[-1]

    def supersede(self, job: str, current: Any | None) -> int:
        """Marks the job's runs but the current one as superseded; deletes none. Returns how many changed."""
        changed = 0
        for run in self.by_job[job]:
            wanted = (
                "false" if run is current or (current and run.info.run_id == current.info.run_id) else "true"
            )
            if run.data.tags.get(SUPERSEDED) != wanted:
                self.client.set_tag(run.info.run_id, SUPERSEDED, wanted)
                changed += 1
        return changed

    def is_open(self, invocation: str) -> bool:
        """Whether the invocation's run says that it goes on: it does, or a sync was torn before it closed it."""
        return any(run.info.status == "RUNNING" for run in self.parents[invocation])

    def sum_up(self, invocation: str, runs: Sequence[JobRun | Known], *, goes_on: bool) -> None:
        """Sums of an invocation, from the records of its jobs that are there; its state and end, if it has ended."""
        if not runs:  # all that it made has been made again
            self.client.set_terminated(self.parents[invocation][0].info.run_id, "KILLED")
            return
        parent = self.parent(invocation, min(r.start for r in runs))
        states = {r.status for r in runs}
        state = next((s for s in ("RUNNING", "FAILED", "KILLED") if s in states), "FINISHED")
        end = max(r.end or r.start for r in runs)
        sums: dict[str, float] = {
            f"jobs_{s.lower()}": len([r for r in runs if r.status == s]) for s in states
        }
        sums["jobs"] = len(runs)
        sums["wall_s"] = sum(r.wall_s for r in runs)
        self.client.log_batch(parent, metrics=[self.Metric(k, float(v), end, 0) for k, v in sums.items()])
        if goes_on or state == "RUNNING":
            self.client.update_run(parent, status="RUNNING")
        else:
            self.client.set_terminated(parent, state, end)
