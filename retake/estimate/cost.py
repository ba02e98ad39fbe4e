"""A target's cost: the work of its jobs by the rates of their rules, refused where one was not measured."""

from dataclasses import dataclass

from retake.estimate.amounts import Amounts
from retake.estimate.jobs import Needed
from retake.estimate.rates import FETCHING, Rate, rate_of
from retake.schema.strict import SettingError

GB, HOUR, DAY = 1e9, 3600, 86400


@dataclass(frozen=True)
class Cost:
    """What jobs of one rule and one rate take."""

    rule: str
    jobs: int
    units: float
    rate: Rate

    @property
    def busy_s(self) -> float:
        """Seconds of one worker."""
        return self.units / self.rate.per_s

    @property
    def wall_s(self) -> float:
        return self.busy_s / min(self.rate.workers, self.jobs)

    @property
    def disk(self) -> float:
        return self.units * self.rate.bytes_per_unit


def costs_of(jobs: list[Needed], rates: list[Rate], amounts: Amounts, scale: str) -> list[Cost]:
    """One a rule and rate, in the graph's order. Raises SettingError that names every rule without a rate."""
    groups: dict[tuple[str, int], tuple[Rate, list[Needed]]] = {}
    missing: dict[str, int] = {}
    for job in jobs:
        rate = rate_of(rates, job.rule, job.wildcards, scale)
        if rate is None:
            missing[job.rule] = missing.get(job.rule, 0) + 1
        else:
            groups.setdefault((job.rule, id(rate)), (rate, []))[1].append(job)
    if missing:
        named = ", ".join(f"{rule} ({num} jobs)" for rule, num in missing.items())
        raise SettingError(f"no rate was measured at {scale} scale of: {named}")
    found = []
    for (rule, _), (rate, members) in groups.items():
        if rule in FETCHING and rate.unit != "byte":
            raise SettingError(f"{rule}: its rate counts {rate.unit}s; expected bytes")
        found.append(Cost(rule, len(members), amounts.of(rule, rate.unit, members), rate))
    return found


def told(target: str, scale: str, costs: list[Cost], amounts: Amounts) -> str:
    """The estimate for people: a line a rule, the sums, and every assumption."""
    lines = [f"{target} at {scale} scale, what is not done of it", ""]
    for cost in costs:
        rate = cost.rate
        lines.append(
            f"  {cost.rule}: {cost.jobs} jobs, {cost.units:,.0f} {rate.unit}s at {rate.per_s:,.4g} a second and "
            f"{rate.device} worker, {rate.workers} at a time: {cost.wall_s / HOUR:,.2f} h"
        )
    busy = {d: sum(c.busy_s for c in costs if c.rate.device == d) for d in ("gpu", "cpu")}
    wall = sum(cost.wall_s for cost in costs)
    download = sum(cost.units for cost in costs if cost.rule in FETCHING)
    lines += [
        "",
        f"  time      {wall / HOUR:,.2f} h = {wall / DAY:,.2f} days",
        f"  GPU       {busy['gpu'] / HOUR:,.2f} GPU-hours = {busy['gpu'] / DAY:,.2f} GPU-days",
        f"  CPU       {busy['cpu'] / HOUR:,.2f} hours of one worker",
        f"  disk      {sum(cost.disk for cost in costs) / GB:,.2f} GB written",
        f"  download  {download / GB:,.2f} GB",
        "",
        "Assumed:",
        "  rules come one after another, and their workers do not slow each other down",
        "  work is divided among workers without a rest",
    ]
    lines += [f"  {line}" for line in amounts.said]
    for rate in {id(cost.rate): cost.rate for cost in costs}.values():
        of = "".join(f" {key}={value}" for key, value in rate.where.items())
        lines.append(f"  {rate.rule}{of}: {rate.source}")
    return "\n".join(lines) + "\n"
