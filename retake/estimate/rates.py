"""Rates: how fast one worker does the work of a rule, where and how that was measured."""

import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from retake.schema.record import Record
from retake.schema.strict import SettingError, Strict, checked_as, read_yaml

OF_TRAINING = "train_stage"
FETCHING = ("download_release", "fetch_weights")


class Rate(Strict):
    """What was measured of one rule's jobs."""

    rule: str
    where: dict[
        str, str
    ] = {}  # only of jobs with these wildcards; of several rates that fit, that with the most
    scale: Literal["mini", "paper", "both"]  # of what the work was; both: it is the same at either
    unit: str = Field(
        pattern="^[a-z][a-z_]*$"
    )  # what is counted: job, step, byte, or what cards count (clip, video)
    per_s: PositiveFloat  # units a second, of one worker
    bytes_per_unit: NonNegativeFloat  # left on the disk
    device: Literal["cpu", "gpu"]  # what a worker is: one process with its threads, or one GPU
    workers: PositiveInt = 1  # how many work at the same time
    command: str = Field(min_length=1)
    machine: str = Field(min_length=1)
    date: datetime.date | None  # None: it was told, not measured, which no file may say

    @property
    def source(self) -> str:
        """Where it is from, for people."""
        if self.date is None:
            return f"as told by {self.command}"
        return f"measured on {self.machine}, {self.date}, by `{self.command}`"


class Rates(Strict):
    rates: list[Rate]


def read_rates(files: Iterable[Path]) -> list[Rate]:
    """Every rate of the files. Raises SettingError that names file and key; two rates of one thing are an error."""
    found: dict[tuple, Path] = {}
    rates = []
    for file in files:
        for rate in checked_as(Rates, read_yaml(file), file).rates:
            if rate.date is None:
                raise SettingError(f"{file}: rates: date: {rate.rule}: expected the day of the measurement")
            place = (rate.rule, tuple(sorted(rate.where.items())), rate.scale)
            if place in found:
                raise SettingError(f"{file}: a rate of {rate.rule} stands in {found[place]}, too")
            found[place] = file
            rates.append(rate)
    return rates


def rate_of(rates: Iterable[Rate], rule: str, wildcards: dict[str, str], scale: str) -> Rate | None:
    """The rate of a job: of those that fit, the one that names most of its wildcards; None: none was measured."""
    fits = [
        rate
        for rate in rates
        if rate.rule == rule and rate.scale in (scale, "both") and rate.where.items() <= wildcards.items()
    ]
    return max(fits, key=lambda rate: len(rate.where), default=None)


def told_line(mb_per_s: float) -> list[Rate]:
    """Rates of what downloads, over a line of so many megabytes a second. Raises SettingError unless above 0."""
    if not mb_per_s > 0:
        raise SettingError(f"--line {mb_per_s:g}: expected megabytes a second, above 0")
    return [
        Rate(
            rule=rule, scale="both", unit="byte", per_s=mb_per_s * 1e6, bytes_per_unit=1, device="cpu",
            command=f"--line {mb_per_s:g}", machine="your line", date=None,
        )
        for rule in FETCHING
    ]  # fmt: skip


def measured(results: Path, *, machine: str, device: Literal["cpu", "gpu"]) -> list[Rate]:
    """Rates of the jobs that ended well under `results`, one a rule: steps of trainings, jobs of all else.

    What lies on the disk is counted where the outputs are still there. Raises SettingError where there is no record.
    """
    if results.name not in ("mini", "paper"):
        raise SettingError(f"{results}: expected results/mini or results/paper")
    done: dict[str, list[Record]] = {}
    files = [*(results / "records").rglob("*.jsonl"), *(results / "training").rglob("record.jsonl")]
    for path in sorted(files):
        record = Record.read(path)
        if record.end is not None and record.end["status"] == "finished":
            done.setdefault(record.job["rule"], []).append(record)
    if not done:
        raise SettingError(f"{results}: no record of a job that ended; build something first")
    rates = []
    for rule, records in sorted(done.items()):
        units = [
            max((m["step"] or 0 for m in r.metrics), default=0) if rule == OF_TRAINING else 1 for r in records
        ]
        seconds = sum(r.end["wall_s"] for r in records if r.end is not None)
        written = [Path(path) for r in records for path in r.job["outputs"]]
        if not sum(units) or not seconds:
            continue
        size = sum(path.stat().st_size for path in written if path.is_file())
        rates.append(
            Rate(
                rule=rule,
                scale="paper" if results.name == "paper" else "mini",
                unit="step" if rule == OF_TRAINING else "job",
                per_s=sum(units) / seconds,
                bytes_per_unit=size / sum(units),
                device=device,
                command=f"snakemake --config scale={results.name}",
                machine=machine,
                date=max(r.job["started"] for r in records)[:10],
            )
        )
    return rates
