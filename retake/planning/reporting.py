"""Which tables, figures and claims a plan has, and what each is made from."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retake.schema.card import Card
from retake.schema.config import Config
from retake.schema.recipe import Figure, Pick, Recipe, Row

Job = dict[str, Any]


class Reporting:
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

    def tables_of(self, method: str, headline: bool = False) -> list[str]:
        """Tables of the method that can be made at this scale with the chosen data sets."""
        recipe = self.recipes[method]
        chosen = set(self.chosen[method])
        named = [
            name
            for name, table in recipe.tables.items()
            if self.scale in table.scales and any(row.dataset in chosen for row in table.rows)
        ]
        if headline:
            named = [name for name in named if recipe.tables[name].headline]
        return named + self._unlisted(method)

    def _unlisted(self, method: str) -> list[str]:
        """Chosen data sets that no table of the recipe has a row for: each gets a table of its own name."""
        listed = {row.dataset for table in self.recipes[method].tables.values() for row in table.rows}
        return [d for d in self.chosen[method] if d not in listed and "test" not in self._no_captions(d)]

    def _no_captions(self, dataset: str) -> set[str]:
        own = self.cards[self.release_of(dataset)].access == "folder" and self.config.own.captions is None
        return {"test"} if own else set()

    def rows(self, method: str, table: str) -> list[Row]:
        """The rows of a table that are measured in this run."""
        recipe = self.recipes[method]
        if table in recipe.tables:
            return [row for row in recipe.tables[table].rows if row.dataset in self.chosen[method]]
        pattern: dict[tuple, Row] = {}
        for name in recipe.tables:
            if recipe.tables[name].headline:
                for row in recipe.tables[name].rows:
                    pattern.setdefault((row.variant, row.protocol), row.model_copy(update={"dataset": table}))
        return list(pattern.values())

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
        spec = self.recipes[method].tables.get(table)
        rows = [row.model_dump(mode="json") for row in (spec.rows if spec else self.rows(method, table))]
        labels = {name: v.label or name for name, v in self.recipes[method].variants.items()}
        title = spec.title if spec else f"{self.cards[table].title}: every headline variant"
        rows = [{**row, "label": row["label"] or labels[row["variant"]]} for row in rows]
        described = {"title": title, "seeds": self.seeds(method, table), "rows": rows}
        return {"method": method, "table": table, "scale": self.scale, "spec": described}

    def figures_of(self, method: str, headline: bool = False) -> list[str]:
        chosen = set(self.chosen[method])
        named = [
            name
            for name, figure in self.recipes[method].figures.items()
            if self.scale in figure.scales
            and chosen >= set(figure.datasets)
            and (figure.headline or not headline)
        ]
        return named + ([] if headline or not self._pattern(method) else self._unlisted(method))

    def _pattern(self, method: str) -> Figure | None:
        """The recipe's first figure of captions: what a data set of no figure is shown by."""
        figures = self.recipes[method].figures.values()
        return next((f for f in figures if f.kind == "captions" and self.scale in f.scales), None)

    def _figure(self, method: str, figure: str) -> Figure:
        """A figure of the recipe, or one of captions on a chosen data set that no table has a row for."""
        if figure in self.recipes[method].figures:
            return self.recipes[method].figures[figure]
        pattern = self._pattern(method)
        pick = [Pick(dataset=figure, rule=rule) for rule in dict.fromkeys(p.rule for p in pattern.pick)]
        title = f"{self.cards[figure].title}: {pattern.title[:1].lower()}{pattern.title[1:]}"
        seed = self.config.seeds[0]
        return pattern.model_copy(update={"title": title, "datasets": [figure], "pick": pick, "seed": seed})

    def figure_job(self, method: str, figure: str) -> Job:
        """Inputs and JSON of a figure: predictions, scores, references and frames of its data sets."""
        recipe = self.recipes[method]
        spec = self._figure(method, figure)
        runs = [
            {"method": method, "variant": v, "dataset": d, "seed": spec.seed}
            for d in spec.datasets
            for v in spec.variants
        ]
        scores = [self.metrics_file(run, spec.protocol, spec.split) for run in runs]
        shown = {d: self.arrays_of(self.release_of(d), next(iter(recipe.views)), None) for d in spec.datasets}
        inputs = {
            "predictions": [self.predictions(run, spec.protocol, spec.split) for run in runs],
            "per_item": [path.removesuffix(".json") + ".items.parquet" for path in scores],
            "annotations": [self.annotations(d) for d in spec.datasets],
            "media": [shown[d][0] for d in spec.datasets],
            "arrays": [a for d in spec.datasets for a in shown[d][1]],
        }
        return {
            "inputs": inputs,
            "recipe": {"method": method, "figure": figure, "spec": spec.model_dump(mode="json")},
        }

    def report_job(self) -> Job:
        config = self.config.model_dump(mode="json")
        return {"config": config, "results": self.results, "costs": f"{self.results}/costs"}

    def claims_of(self, method: str) -> str | None:
        file = self.recipe_files[method].parent / "claims.csv"
        return file.as_posix() if file.is_file() else None

    def claim_inputs(self, method: str) -> list[str]:
        """Metrics files of every table row that a claim of the method speaks of."""
        with Path(self.claims_of(method)).open(encoding="utf-8", newline="") as file:
            claims = list(csv.DictReader(file))
        asked = {(c["dataset"], c["split"], c["protocol"], c[side]) for c in claims for side in ("a", "b")}
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
        """The item scores that lie beside those metrics files."""
        return [path.removesuffix(".json") + ".items.parquet" for path in self.claim_inputs(method)]
