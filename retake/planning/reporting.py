"""Which tables, figures and claims a plan has, and what each is made from."""

import csv
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retake.planning.measured_figures import MeasuredFigures
from retake.planning.once import once
from retake.schema.card import Card
from retake.schema.config import Config
from retake.schema.costs import CostRow
from retake.schema.figures import (
    EmbeddingFigure,
    Figure,
    LabelledFigure,
    Pick,
    ScoredFigure,
    SignalsFigure,
    StillsFigure,
)
from retake.schema.figures_measured import MeasuredFigure, WindowExamplesFigure
from retake.schema.metrics_file import items_of
from retake.schema.quality import QualityRow
from retake.schema.recipe import Recipe, Row, Table
from retake.schema.strict import SettingError
from retake.schema.tasks import metrics_of
from retake.schema.views import StreamView

Job = dict[str, Any]
WITH_EXAMPLES = SignalsFigure | EmbeddingFigure | WindowExamplesFigure  # figures of frames taken out for them


class Reporting(MeasuredFigures):
    """The reporting part of `retake.plan.Plan`; the attributes below are the plan's."""

    if TYPE_CHECKING:
        config: Config
        scale: str
        results: str
        recipes: dict[str, Recipe]
        recipe_files: dict[str, Path]
        chosen: dict[str, list[str]]
        cards: dict[str, Card]

        def metrics_file(self, run: Job, protocol: str, split: str) -> str: ...
        def predictions(self, run: Job, protocol: str, split: str) -> str: ...
        def annotations(self, dataset: str) -> str: ...
        def release_of(self, dataset: str) -> str: ...
        def arrays_of(self, release: str, view: str | None, bank: str | None) -> tuple[str, list[str]]: ...
        def cost_rows(self, method: str, table: str) -> list[CostRow]: ...
        def told_costs(self, method: str, table: str) -> Job: ...
        def task_of(self, method: str, dataset: str) -> str: ...
        def trains_on(self, method: str, row: Row) -> bool: ...
        def quality_rows(self, method: str, table: str) -> list[QualityRow]: ...
        def label_figure_inputs(self, method: str, figure: str) -> Job: ...

    @once
    def tables_of(self, method: str, headline: bool = False) -> list[str]:
        """Tables of the method that can be made at this scale with the chosen data sets."""
        recipe = self.recipes[method]
        named = [
            name
            for name, table in recipe.tables.items()
            if self.scale in table.scales and self._can_be_made(method, name, table)
        ]
        if headline:
            named = [name for name in named if recipe.tables[name].headline]
        return named + self._unlisted(method)

    def _can_be_made(self, method: str, name: str, table: Table) -> bool:
        """Whether a row is measured in this run; a table that only tells costs needs none."""
        return not table.rows or bool(self.rows(method, name))

    def _unlisted(self, method: str) -> list[str]:
        """Chosen data sets that no table of the recipe has a row for: each gets a table of its own name."""
        recipe = self.recipes[method]
        rows = [row for table in recipe.tables.values() for row in table.rows]
        listed = {dataset for row in rows for dataset in recipe.datasets_of(row.dataset)}
        return [d for d in self.chosen[method] if d not in listed and self._has_answers(method, d)]

    def _has_answers(self, method: str, dataset: str) -> bool:
        """Whether there is something to score by: own videos have captions, or classes, or neither."""
        if self.cards[self.release_of(dataset)].access != "folder":
            return True
        wanted = "captions" if self.task_of(method, dataset) == "caption" else "labels"
        return wanted in self.config.own.tables

    @cached_property
    def _rows(self) -> dict[tuple[str, str], list[Row]]:
        return {}

    def rows(self, method: str, table: str) -> list[Row]:
        """What is measured in this run for a table: a row a run, those of a mean or a gain apart."""
        if (method, table) not in self._rows:
            self._rows[method, table] = self._measured(method, table)
        return self._rows[method, table]

    def _measured(self, method: str, table: str) -> list[Row]:
        recipe = self.recipes[method]
        if table in recipe.tables:
            parts = [part for row in recipe.tables[table].rows for part in self._runs_of(recipe, row)]
            return [r for r in parts if r.dataset in self.chosen[method] or self.trains_on(method, r)]
        fit = metrics_of(self.task_of(method, table))
        pattern: dict[tuple, Row] = {}
        for spec in recipe.tables.values():
            for row in [run for asked in spec.rows for run in self._runs_of(recipe, asked)]:
                if spec.headline and set(row.metrics) <= set(fit):
                    pattern.setdefault((row.variant, row.protocol), row.model_copy(update={"dataset": table}))
        return list(pattern.values())

    @staticmethod
    def _runs_of(recipe: Recipe, row: Row) -> list[Row]:
        """A row as those that its runs are measured by: a variant on a data set each."""
        variants = [row.variant] if row.over is None else [row.variant, row.over]
        return [
            row.model_copy(update={"variant": variant, "over": None, "dataset": dataset})
            for dataset in recipe.datasets_of(row.dataset)
            for variant in variants
        ]

    def seeds(self, method: str, table: str) -> list[int]:
        spec = self.recipes[method].tables.get(table)
        return list((spec.seeds if spec else None) or self.config.seeds)

    def metrics_of_table(self, method: str, table: str) -> list[str]:
        """Metrics files that the table is made from, in the order of its rows, each once."""
        paths = [
            self.metrics_file(
                {"method": method, "variant": row.variant, "dataset": row.dataset, "seed": seed},
                row.protocol,
                row.split,
            )
            for row in self.rows(method, table)
            for seed in self.seeds(method, table)
        ]
        return list(dict.fromkeys(paths))

    def table_job(self, method: str, table: str) -> Job:
        recipe = self.recipes[method]
        spec = recipe.tables.get(table)
        asked = spec.rows if spec else self.rows(method, table)
        labels = {name: v.label or name for name, v in recipe.variants.items()}
        title = spec.title if spec else f"{self.cards[table].title}: every headline variant"
        rows = [{**row.model_dump(mode="json"), "label": row.label or labels[row.variant]} for row in asked]
        described = {"title": title, "seeds": self.seeds(method, table), "rows": rows}
        described["columns"] = dict(spec.columns) if spec else {}
        means = {row.dataset: recipe.means[row.dataset] for row in asked if row.dataset in recipe.means}
        told = self.told_costs(method, table)
        described["costs"] = told.pop("costs")
        described["labels"] = [row.model_dump(mode="json") for row in self.quality_rows(method, table)]
        job = {"method": method, "table": table, "scale": self.scale, "spec": described, "means": means}
        return job | told

    @once
    def figures_of(self, method: str, headline: bool = False) -> list[str]:
        recipe, chosen = self.recipes[method], set(self.chosen[method])
        named = [
            name
            for name, figure in recipe.figures.items()
            if self.scale in figure.scales
            and chosen >= {one for dataset in figure.datasets for one in recipe.datasets_of(dataset)}
            and (figure.headline or not headline)
        ]
        return named + ([] if headline or not self._pattern(method) else self._unlisted(method))

    def _pattern(self, method: str) -> ScoredFigure | None:
        """The recipe's first figure of captions: what a data set of no figure is shown by."""
        figures = self.recipes[method].figures.values()
        scored = (f for f in figures if isinstance(f, ScoredFigure) and f.kind == "captions")
        return next((f for f in scored if self.scale in f.scales), None)

    def _figure(self, method: str, figure: str) -> Figure:
        """A figure of the recipe, or one of captions on a chosen data set that no table has a row for."""
        if figure in self.recipes[method].figures:
            return self.recipes[method].figures[figure]
        pattern = self._pattern(method)
        if pattern is None:
            raise SettingError(f"{self.recipe_files[method]}: figures: no figure {figure!r}")
        pick = [Pick(dataset=figure, rule=rule) for rule in dict.fromkeys(p.rule for p in pattern.pick)]
        title = f"{self.cards[figure].title}: {pattern.title[:1].lower()}{pattern.title[1:]}"
        seed = self.config.seeds[0]
        return pattern.model_copy(update={"title": title, "datasets": [figure], "pick": pick, "seed": seed})

    def figure_job(self, method: str, figure: str) -> Job:
        """Inputs and JSON of a figure."""
        spec = self._figure(method, figure)
        described: Job = {"method": method, "figure": figure}
        described |= {"spec": spec.model_dump(mode="json"), "scale": self.scale}
        if isinstance(spec, ScoredFigure):
            inputs = self._scored_inputs(method, spec)
        elif isinstance(spec, LabelledFigure | StillsFigure):
            inputs = self.label_figure_inputs(method, figure)
        elif isinstance(spec, MeasuredFigure) and not isinstance(spec, WindowExamplesFigure):
            inputs = self.measured_inputs(method, figure, spec)
            if spec.seeds is None:
                described["spec"]["seeds"] = self._seeds_of(spec)
        elif spec.kind == "cost_accuracy":
            folder = f"{self.results}/tables/{method}"
            release = self.release_of(self.recipes[method].datasets_of(spec.dataset)[0])
            index, arrays = self.arrays_of(release, spec.view, None)
            inputs = {"tables": [f"{folder}/{name}.csv" for name in (spec.times, spec.scores)]}
            inputs |= {"media": [index], "arrays": arrays}
            view = self.recipes[method].views[spec.view]
            assert isinstance(view, StreamView), "seen to when the recipe was read"
            if view.size is None:
                where = f"{self.recipe_files[method]}: figures.{figure}.view"
                raise SettingError(
                    f"{where}: videos of view {spec.view!r} differ in size; expected one with size"
                )
            described["size"] = list(view.size)
        else:
            folder = f"{self.results}/media/examples/{method}"
            inputs = {"examples": f"{folder}/{figure}.npz", "frames": f"{folder}/{figure}.csv"}
        return {"inputs": inputs, "recipe": described}

    def has_examples(self, method: str, figure: str) -> bool:
        """Whether the figure is of frames that are taken out for it."""
        return isinstance(self.recipes[method].figures.get(figure), WITH_EXAMPLES)

    def examples_job(self, method: str, figure: str) -> Job:
        """Inputs and JSON of the frames that a figure shows."""
        spec = self.recipes[method].figures.get(figure)
        if not isinstance(spec, WITH_EXAMPLES):
            raise SettingError(f"{self.recipe_files[method]}: figures: {figure!r} shows no frames of its own")
        index, arrays = self.arrays_of(self.release_of(spec.dataset), spec.view, None)
        inputs = {"annotations": self.annotations(spec.dataset), "index": index, "arrays": arrays}
        described = spec.model_dump(mode="json", exclude={"title"})
        if isinstance(spec, WindowExamplesFigure):
            inputs["predictions"] = self.measured_inputs(method, figure, spec)["predictions"]
            described["view_kind"] = self.recipes[method].views[spec.view].kind
        return {"inputs": inputs, "recipe": {"spec": described}}

    def _scored_inputs(self, method: str, spec: ScoredFigure) -> Job:
        """Predictions, scores, references and frames of a figure's data sets."""
        recipe = self.recipes[method]
        runs = [
            {"method": method, "variant": v, "dataset": d, "seed": spec.seed}
            for d in spec.datasets
            for v in spec.variants
        ]
        scores = [self.metrics_file(run, spec.protocol, spec.split) for run in runs]
        per_item = [items_of(path).as_posix() for path in scores]
        if spec.kind == "bars":
            return {"per_item": per_item}
        shown = {d: self.arrays_of(self.release_of(d), next(iter(recipe.views)), None) for d in spec.datasets}
        return {
            "predictions": [self.predictions(run, spec.protocol, spec.split) for run in runs],
            "per_item": per_item,
            "annotations": [self.annotations(d) for d in spec.datasets],
            "media": [shown[d][0] for d in spec.datasets],
            "arrays": [a for d in spec.datasets for a in shown[d][1]],
        }

    def report_job(self) -> Job:
        config = self.config.model_dump(mode="json")
        return {"config": config, "results": self.results}

    def claims_of(self, method: str) -> str | None:
        file = self.recipe_files[method].parent / "claims.csv"
        return file.as_posix() if file.is_file() else None

    def claims_job(self, method: str) -> Job:
        return {"method": method, "scale": self.scale, "means": dict(self.recipes[method].means)}

    def claim_inputs(self, method: str) -> list[str]:
        """Metrics files of every table row that a claim of the method speaks of."""
        with Path(self.claims_of(method)).open(encoding="utf-8", newline="") as file:
            claims = list(csv.DictReader(file))
        recipe = self.recipes[method]
        asked = {
            (dataset, claim["split"], claim["protocol"], claim[side])
            for claim in claims
            for dataset in recipe.datasets_of(claim["dataset"])
            for side in ("a", "b")
        }
        paths = [
            self.metrics_file(
                {"method": method, "variant": row.variant, "dataset": row.dataset, "seed": seed},
                row.protocol,
                row.split,
            )
            for table in self.tables_of(method)
            for row in self.rows(method, table)
            if (row.dataset, row.split, row.protocol, row.variant) in asked
            for seed in self.seeds(method, table)
        ]
        return list(dict.fromkeys(paths))

    def claim_items(self, method: str) -> list[str]:
        """The item scores that belong to those metrics files."""
        return [items_of(path).as_posix() for path in self.claim_inputs(method)]
