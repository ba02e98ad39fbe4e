"""Figures of what tables measure, class by class or against a window: what each is drawn from."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from retake.schema.config import Config
from retake.schema.figures_measured import MeasuredFigure, Run, WindowExamplesFigure, WindowsFigure
from retake.schema.recipe import Row
from retake.schema.strict import SettingError
from retake.schema.tasks import TASKS

Job = dict[str, Any]


class MeasuredFigures:
    """The part of `retake.plan.Plan` that speaks of such figures; the attributes below are the plan's."""

    if TYPE_CHECKING:
        config: Config
        recipe_files: dict[str, Path]

        def tables_of(self, method: str, headline: bool = False) -> list[str]: ...
        def rows(self, method: str, table: str) -> list[Row]: ...
        def seeds(self, method: str, table: str) -> list[int]: ...
        def metrics_file(self, run: Job, protocol: str, split: str) -> str: ...
        def predictions(self, run: Job, protocol: str, split: str) -> str: ...
        def annotations(self, dataset: str) -> str: ...
        def task_of(self, method: str, dataset: str) -> str: ...

    def measured_inputs(self, method: str, figure: str, spec: MeasuredFigure) -> Job:
        """Metrics files of a figure of windows, else predictions and references; a run after the other, seed by seed.

        Raises SettingError where no table measures a run, or it answers with no boxes.
        """
        where = f"{self.recipe_files[method]}: figures.{figure}"
        seeds = [spec.seed] if isinstance(spec, WindowExamplesFigure) else self._seeds_of(spec)
        runs = list(dict.fromkeys(spec.runs))
        if isinstance(spec, WindowsFigure):
            for line in spec.lines:
                for run in line.runs:
                    self._check_measured(where, method, run, seeds, line.metric)
            return {"metrics": [self._file(self.metrics_file, method, run, s) for run in runs for s in seeds]}
        columns = TASKS[self.task_of(method, spec.dataset)].columns
        if "box_xyxy" not in columns:
            raise SettingError(
                f"{where}.dataset: {spec.dataset!r} is answered with {', '.join(columns)}, no boxes"
            )
        for run in runs:
            self._check_measured(where, method, run, seeds, None)
        predictions = [self._file(self.predictions, method, run, s) for run in runs for s in seeds]
        return {"predictions": predictions, "annotations": [self.annotations(spec.dataset)]}

    def _seeds_of(self, spec: MeasuredFigure) -> list[int]:
        return list(spec.seeds or self.config.seeds)

    @staticmethod
    def _file(path_of: Any, method: str, run: Run, seed: int) -> str:
        variant, dataset, split, protocol = run
        return path_of(
            {"method": method, "variant": variant, "dataset": dataset, "seed": seed}, protocol, split
        )

    def _check_measured(
        self, where: str, method: str, run: Run, seeds: list[int], metric: str | None
    ) -> None:
        """Every run of a figure is one of a table's: what a plan measures stands in its tables."""
        measured: set[int] = set()
        for table in self.tables_of(method):
            for row in self.rows(method, table):
                at = (row.variant, row.dataset, row.split, row.protocol)
                if at == run and (metric is None or metric in row.metrics):
                    measured |= set(self.seeds(method, table))
        if missing := [seed for seed in seeds if seed not in measured]:
            variant, dataset, split, protocol = run
            asks = "measures" if metric is None else f"asks for {metric} of"
            raise SettingError(
                f"{where}: no table {asks} {variant} on {dataset}, split {split}, protocol {protocol}, "
                f"seed {missing[0]}; give it a row"
            )
