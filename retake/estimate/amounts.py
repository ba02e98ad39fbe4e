"""How much work a rule's jobs are, in the units of its rate: from cards, recipes, and what one is told."""

from math import ceil
from typing import TYPE_CHECKING, Any

from retake.estimate.jobs import Needed
from retake.estimate.rates import FETCHING
from retake.schema.strict import SettingError

if TYPE_CHECKING:
    from retake.plan import Plan


class Amounts:
    """told: "clips" or "<data set>.clips" -> how many there are; it goes before what a card says.

    `said` collects every assumption in the order in which it was made.
    """

    def __init__(self, plan: "Plan", told: dict[str, float]):
        self.plan, self.told = plan, told
        self.said: dict[str, None] = {}

    def of(self, rule: str, unit: str, jobs: list[Needed]) -> float:
        """Units in all these jobs. Raises SettingError that names what is not known."""
        if unit == "job":
            return len(jobs)
        if rule in FETCHING:
            return sum(self.bytes_of(job) for job in jobs)
        if unit == "step":
            return sum(self._steps(job) for job in jobs)
        return sum(self._counted(rule, unit, job) for job in jobs)

    def _assume(self, line: str) -> None:
        self.said.setdefault(line)

    def _known(self, name: str, what: str) -> float | None:
        """Told of this data set, told of all, or counted on its card."""
        for key in (f"{name}.{what}", what):
            if key in self.told:
                self._assume(f"{name}: {self.told[key]:,.0f} {what}, as told")
                return self.told[key]
        found = self.plan.cards[name].count(what, self.plan.scale) if name in self.plan.cards else None
        if found is not None:
            self._assume(f"{name}: {found:,} {what}, by its card")
        return found

    def _counted(self, rule: str, unit: str, job: Needed) -> float:
        """A job's part of what is counted of its release or data set: shards are taken to be equally large."""
        name = job.wildcards.get("release") or job.wildcards.get("dataset")
        if name is None:
            raise SettingError(f"{rule}: a job of no release has no {unit}s; give a rate whose unit is job")
        found = self._known(name, f"{unit}s")
        if found is None:
            raise SettingError(f"{name}: {unit}s: not on its card; give --count {name}.{unit}s=NUMBER")
        if "shard" not in job.wildcards:
            return found
        self._assume(f"shards of {name} are equally large")
        return found / len(self.plan.shards(name))

    def bytes_of(self, job: Needed) -> float:
        """What one job downloads. A release that cannot be downloaded is the user's to bring: nothing."""
        name = job.wildcards.get("release") or job.wildcards["weights"]
        card: Any = self.plan.cards[name] if "release" in job.wildcards else self.plan.weights[name]
        place = name if "release" in job.wildcards else f"weights/{name}"
        if place in self.plan.config.folders or card.access not in ("open", "packed"):
            self._assume(f"{place}: not downloaded, you have it or bring it (access: {card.access})")
            return 0.0
        key = f"{place}.bytes"
        if key in self.told:
            self._assume(f"{place}: {self.told[key]:,.0f} bytes, as told")
            return self.told[key]
        if "release" in job.wildcards:
            files = {file.file: file.size for file in card.sources}
        else:
            files = {file.name: file.size for file in card.source.files}
        if unknown := [file for file, size in files.items() if size is None]:
            raise SettingError(f"{place}: {unknown[0]}: its card gives no size; give --count {key}=NUMBER")
        return float(sum(size for size in files.values() if size is not None))

    def _steps(self, job: Needed) -> float:
        """Optimiser steps of a stage; of epochs, as many as show every row once."""
        run = {key: job.wildcards[key] for key in ("method", "variant", "dataset", "seed")}
        method, variant, dataset = run["method"], run["variant"], run["dataset"]
        stage = self.plan.recipe_of(method, variant, dataset).stages[job.wildcards["stage"]]
        at_most = self.plan.config.max_steps
        if at_most is not None:
            self._assume(f"max_steps: {at_most} steps a stage at most, by config.yaml")
        if stage.length.steps is not None:
            steps = stage.length.steps
        else:
            examples = 0.0
            for source in stage.data:
                name = dataset if source.dataset == "target" else source.dataset
                examples += source.share * sum(
                    self._rows(name, split, source.rows) for split in source.splits
                )
            steps = ceil(examples / stage.batch.effective) * stage.length.epochs
        if stage.length.patience is not None:
            self._assume(f"{method}: stages that may end early go on to their last step")
        return min(steps, at_most or steps)

    def _rows(self, name: str, split: str, rows: str) -> float:
        if rows == "one_per_item":
            items = self.plan.splits(name).get(split)
            if items is not None:
                return items
        found = self._known(name, f"{split}_rows")
        if found is None:
            raise SettingError(
                f"{name}: rows of {split}: not on its card; give --count {name}.{split}_rows=NUMBER"
            )
        return found
