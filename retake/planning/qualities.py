"""How good labels are, and figures of them: which files a plan makes, and what each is made from."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retake.schema.config import Config
from retake.schema.figures import LabelledFigure, StillsFigure
from retake.schema.quality import OF_LABELS, QualityRow
from retake.schema.recipe import Recipe
from retake.schema.strict import SettingError, did_you_mean

Job = dict[str, Any]


class Qualities:
    """The part of `retake.plan.Plan` that speaks of the quality of labels; the attributes below are the plan's."""

    if TYPE_CHECKING:
        config: Config
        file: str
        scale: str
        results: str
        recipes: dict[str, Recipe]
        recipe_files: dict[str, Path]
        made: list[str]
        datasets: list[str]
        labellers: dict[str, Job]

        def tables_of(self, method: str, headline: bool = False) -> list[str]: ...
        def claims_of(self, method: str) -> str | None: ...
        def annotations(self, dataset: str) -> str: ...
        def release_of(self, dataset: str) -> str: ...
        def shards(self, release: str) -> list[str]: ...
        def manifests(self, release: str) -> list[str]: ...
        def label_table(self, labeller: str, release: str) -> str: ...
        def label_shards(self, labeller: str, release: str, file: str) -> list[str]: ...
        def label_job(self, labeller: str, release: str, shard: str) -> Job: ...
        def labeller_code(self, labeller: str) -> str: ...

    def quality_file(self, labeller: str, dataset: str) -> str:
        return f"{self.results}/metrics/labels/{labeller}/{dataset}.json"

    def quality_rows(self, method: str, table: str) -> list[QualityRow]:
        """Of the recipe's table; a table that the recipe does not have speaks of no labels."""
        tables = self.recipes[method].tables
        return list(tables[table].labels) if table in tables else []

    def qualities_of_table(self, method: str, table: str) -> list[str]:
        rows = self.quality_rows(method, table)
        return list(dict.fromkeys(self.quality_file(row.labeller, row.dataset) for row in rows))

    def every_quality_file(self) -> list[str]:
        found = (p for m in self.recipes for t in self.tables_of(m) for p in self.qualities_of_table(m, t))
        return list(dict.fromkeys(found))

    def quality_job(self, labeller: str, dataset: str) -> Job:
        """What is judged, and by whom: people if config.yaml names their judgements, else the truth if there is one."""
        release = self.release_of(dataset)
        inputs = {"asr": self.annotations(dataset), "labels": self.label_table(labeller, release)}
        if dataset in self.config.judgements:
            inputs["judgements"] = self.config.judgements[dataset]
        elif release in self.made:
            inputs["truth"] = f"{self.results}/releases/{release}/truth.parquet"
        identity = {"labeller": labeller, "dataset": dataset, "scale": self.scale}
        return {"inputs": inputs, "recipe": {"identity": identity}}

    def claim_qualities(self, method: str) -> list[str]:
        """The files that a claim of the method speaks of: those of its tables, on the claim's data set."""
        with Path(self.claims_of(method) or "").open(encoding="utf-8", newline="") as file:
            asked = {c["dataset"] for c in csv.DictReader(file) if c["metric"] in OF_LABELS}
        rows = [row for table in self.tables_of(method) for row in self.quality_rows(method, table)]
        return list(
            dict.fromkeys(self.quality_file(r.labeller, r.dataset) for r in rows if r.dataset in asked)
        )

    def label_figure_inputs(self, method: str, figure: str) -> Job:
        """What a figure of labelled clips or of captioned stills is drawn from."""
        spec = self.recipes[method].figures[figure]
        assert isinstance(spec, LabelledFigure | StillsFigure), "seen to by who asks"
        where = f"{self.recipe_files[method]}: figures.{figure}"
        self._check_labelled(where, spec.labeller, spec.dataset)
        if isinstance(spec, StillsFigure):
            return {"pictures": f"{self.results}/media/examples/{method}/{figure}.stills.parquet"}
        shown = self.label_shards(spec.labeller, self.release_of(spec.dataset), "shown.parquet")
        return {"shown": shown, "asr": self.annotations(spec.dataset)}

    def stills_job(self, method: str, figure: str) -> Job:
        """Inputs and JSON of the stills that a figure shows captions of."""
        spec = self.recipes[method].figures.get(figure)
        if not isinstance(spec, StillsFigure):
            raise SettingError(f"{self.recipe_files[method]}: figures: {figure!r} shows no stills")
        release = self.release_of(spec.dataset)
        labels = self.label_job(spec.labeller, release, self.shards(release)[0])
        inputs = {name: path for name, path in labels["inputs"].items() if name != "manifest"}
        inputs |= {"annotations": self.annotations(spec.dataset), "manifests": self.manifests(release)}
        asked = {key: labels["recipe"][key] for key in ("labeller", "spec")}
        return {
            "inputs": inputs,
            "recipe": asked | {"stills": spec.model_dump(mode="json", exclude={"title"})},
        }

    def stills_code(self, method: str, figure: str) -> str:
        """The plug-in folder that the figure's labeller is built by."""
        spec = self.recipes[method].figures[figure]
        assert isinstance(spec, StillsFigure), "seen to by stills_job"
        return self.labeller_code(spec.labeller)

    def _check_labelled(self, where: str, labeller: str, dataset: str) -> None:
        if labeller not in self.labellers:
            raise SettingError(f"{where}: no labeller {labeller!r}; {did_you_mean(labeller, self.labellers)}")
        if dataset not in self.datasets:
            known = did_you_mean(dataset, self.datasets)
            raise SettingError(f"{where}: no data set {dataset!r} in this run; {known}")

    def check_qualities(self) -> None:
        """Tables speak of labellers and data sets that this run has; judgements are of its data sets, and are files."""
        for method in self.recipes:
            for name in self.tables_of(method):
                for row in self.quality_rows(method, name):
                    where = f"{self.recipe_files[method]}: tables.{name}.labels"
                    self._check_labelled(where, row.labeller, row.dataset)
        for dataset, path in self.config.judgements.items():
            if dataset not in self.datasets:
                known = did_you_mean(dataset, self.datasets)
                raise SettingError(f"{self.file}: judgements: no data set {dataset!r} in this run; {known}")
            if not Path(path).is_file():
                raise SettingError(f"{self.file}: judgements.{dataset}: {path} is no file")
