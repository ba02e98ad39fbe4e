"""What tables say of trainings themselves: rows of the reserved protocol `training`, whose split is a stage's name."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from retake.planning.once import once
from retake.planning.recipes import stages_of
from retake.planning.training import Trainings
from retake.schema.recipe import Recipe, Row
from retake.schema.strict import SettingError, did_you_mean
from retake.schema.tasks import TRAINING

Job = dict[str, Any]


class Trained:
    """The part of `retake.plan.Plan` that scores trainings; the attributes below are the plan's."""

    if TYPE_CHECKING:
        scale: str
        recipes: dict[str, Recipe]
        recipe_files: dict[str, Path]
        trainings: Trainings

        def recipe_of(self, method: str, variant: str, dataset: str | None = None) -> Recipe: ...
        def tables_of(self, method: str, headline: bool = False) -> list[str]: ...
        def rows(self, method: str, table: str) -> list[Row]: ...
        def every_run(self) -> list[tuple[Job, Row]]: ...
        def trained_parts(self, run: Job) -> list[Job]: ...

    def check_training_row(self, method: str, table: str, row: Row) -> None:
        """Raises SettingError where the row's variant has no such stage, or is trained on no such data set."""
        where = f"{self.recipe_files[method]}: tables.{table}"
        recipe = self.recipes[method]
        stages = [] if recipe.variants[row.variant].joined else stages_of(recipe, row.variant)
        if row.split not in stages:
            known = did_you_mean(row.split, stages)
            raise SettingError(f"{where}: variant {row.variant!r} has no stage {row.split!r}; {known}")

    def trains_on(self, method: str, row: Row) -> bool:
        """Whether the row is of a training on its data set for which that set need not be chosen.

        So it is where the stage reads that set by name: the training is one and the same for all targets.
        """
        recipe = self.recipes[method]
        if row.protocol != TRAINING or row.split not in recipe.stages:
            return False
        return any(source.dataset == row.dataset for source in recipe.stages[row.split].data)

    def training_score_job(self, run: Job, stage: str) -> Job:
        """All that any table asks of this training, so that it is read once."""
        method = run["method"]
        asked = {
            metric
            for table in self.tables_of(method)
            for row in self.rows(method, table)
            for metric in row.metrics
            if (row.protocol, row.variant, row.dataset, row.split)
            == (TRAINING, run["variant"], run["dataset"], stage)
        }
        job = self.trainings.job(run, stage)
        checkpoint = self.trainings.checkpoint(run, stage)
        identity = {
            **run,
            "seed": int(run["seed"]),
            "protocol": TRAINING,
            "split": stage,
            "scale": self.scale,
        }
        return {
            "inputs": {
                "trained": checkpoint.replace("checkpoint.safetensors", "record.jsonl"),
                "checkpoint": checkpoint,
                "start": job["inputs"]["start"],
            },
            "recipe": {
                "metrics": sorted(asked),
                "start": job["recipe"]["start"],
                "identity": identity | {"items_of": None},
            },
        }

    @once
    def every_training(self) -> list[tuple[Job, str]]:
        """Every (run, stage) that is trained for what tables measure, each checkpoint once, first things first."""
        asked: list[tuple[Job, str]] = []
        for run, row in self.every_run():
            if row.protocol == TRAINING:
                asked.append((run, row.split))
                continue
            parts = self.trained_parts(run)
            asked += [(p, stages_of(self.recipes[p["method"]], p["variant"])[-1]) for p in parts]
        found: dict[str, tuple[Job, str]] = {}
        for run, stage in asked:
            found |= self.trainings.needed(run, stage)
        return list(found.values())
