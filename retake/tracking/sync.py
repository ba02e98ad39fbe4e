"""Brings the records below `results` into MLflow. What is there and unchanged is not written again."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from retake import guard
from retake.tracking.runs import JobRun, hide, records_of, run_of
from retake.tracking.store import Store, StoreError, address, errors_as_one_line, locked, prepare_environment
from retake.tracking.synced import Known, Synced

__all__ = ["Report", "StoreError", "sync"]


@dataclass
class Report:
    """What one sync did. `refused`: one line for each file that is no record."""

    store: str
    written: int = 0
    unchanged: int = 0
    superseded: int = 0
    refused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.store}: {self.written} written, {self.unchanged} up to date, {self.superseded} superseded"
        )


def sync(
    results: Path = Path("results"),
    store: str | None = None,
    *,
    ended: bool = False,
    at_most: int | None = None,
) -> Report:
    """Every record of every scale below `results`, once; with `at_most`, so many of jobs that are wholly over.

    A record's run is written again only if the record changed; the run that it replaces stays, tagged
    superseded=true. Jobs under way (`<scale>/running`) are RUNNING while their workflow holds the folder,
    else KILLED; `ended` says that it has no job left (onsuccess, onerror). The workflow's own run is RUNNING
    until then. Raises StoreError: one line.
    """
    results = Path(results)
    root = results.parent
    uri = address(root, store)
    report = Report(hide("", uri.replace(f"{root.resolve()}/", "")))
    prepare_environment()
    with errors_as_one_line(uri), locked(root, uri):
        runs = Store(uri)
        synced = Synced(root, uri, runs.made)
        live = _live(root, ended)
        records = [
            (scale, path)
            for scale in sorted(p for p in results.glob("*") if p.is_dir())
            for path in records_of(scale)
        ]
        found = _runs(records, report, live, synced, at_most)
        _write(runs, synced, found, report, live)
        synced.write(path for _, path in records)
    return report


def _live(root: Path, ended: bool) -> str | None:
    """The invocation whose jobs may be at work."""
    holder = None if ended else guard.holder(root)
    return holder.get("invocation") if holder else None


def _runs(
    records: list[tuple[Path, Path]], report: Report, live: str | None, synced: Synced, at_most: int | None
) -> list[tuple[Path, JobRun | Known]]:
    """Every attempt that a record tells of, with its record; of one that the store holds whole, what is known."""
    found: list[tuple[Path, JobRun | Known]] = []
    new = 0
    for scale, path in records:
        known = synced.of(path)
        if known is None and at_most is not None and (new == at_most or path.parent.name == "running"):
            continue
        try:
            run = known or run_of(path, scale, live)
        except FileNotFoundError:  # a job under way has just ended: its record is at its place next time
            continue
        except (ValueError, KeyError, TypeError) as error:
            report.refused.append(f"{path}: not read: {type(error).__name__}: {error}")
            continue
        if isinstance(run, JobRun) and at_most is not None:
            if not _is_over(path, run):
                continue
            new += 1
        if run is not None:
            found.append((path, run))
    return found


def _is_over(record: Path, run: JobRun) -> bool:
    """Whether all that tells of a job is there: what Snakemake measured comes last. False while it is made again."""
    return (
        all(file.is_file() for file in run.files)
        and run.files[0].stat().st_mtime_ns >= record.stat().st_mtime_ns
    )


def _write(
    store: Store,
    synced: Synced,
    found: list[tuple[Path, JobRun | Known]],
    report: Report,
    live: str | None,
) -> None:
    changed = set()
    found = sorted(
        found, key=lambda pair: (pair[1].start, pair[1].path)
    )  # a job's attempts in order of their start
    latest = {run.job: run for _, run in found}
    read = [(path, run) for path, run in found if isinstance(run, JobRun)]
    report.unchanged += len(found) - len(read)
    for _, run in read:
        held = store.attempt(run)
        if held is not None and store.is_whole(held, run):
            report.unchanged += 1
        else:
            store.write(run, held)
            report.written += 1
            changed.add(run.invocation)
    for job in dict.fromkeys(run.job for _, run in read):
        if len(store.by_job[job]) > 1:
            report.superseded += store.supersede(job, store.current(latest[job]))
    for invocation in sorted({run.invocation for _, run in read} | synced.open):
        goes_on = invocation == live
        if invocation in changed or (not goes_on and store.is_open(invocation)):
            of_it = [run for _, run in found if run.invocation == invocation]
            store.sum_up(invocation, of_it, goes_on=goes_on)
        synced.leave(invocation, is_open=goes_on)
    for path, run in read:
        if run.complete:
            synced.keep(path, run)


def quietly(results: Path, store: str | None, *, ended: bool) -> bool:
    """`sync` for a workflow's end: its own result stands, whatever MLflow does; one line says so.

    Returns whether the store was reached.
    """
    try:
        report = sync(results, store, ended=ended)
    except StoreError as error:
        sys.stderr.write(f"retake: not brought into MLflow (a later sync brings all): {error}\n")
        return False
    for line in report.refused:
        sys.stderr.write(f"retake: {line}\n")
    return True
