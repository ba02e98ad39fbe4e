"""Turn the config into the runs it asks for. Imports no torch, no pandas: the graph is built from here.

Everything is checked before a job starts; a setting that cannot be used is a SettingError of one line.
Paths are strings relative to the workflow's folder, as Snakemake compares them.
"""

from functools import cached_property
from hashlib import file_digest
from pathlib import Path
from typing import Any

from retake.planning.code import modules_in, reached
from retake.planning.listing import Listing
from retake.planning.machines import Machines
from retake.planning.recipes import (
    folders_with,
    load_recipe,
    stages_of,
    variant_of,
)
from retake.planning.releases import Releases
from retake.planning.reporting import Reporting
from retake.planning.training import Trainings
from retake.schema.card import Card, WeightsCard, read_card, read_weights_card
from retake.schema.config import Config
from retake.schema.recipe import Recipe
from retake.schema.shards import shard_names
from retake.schema.strict import SettingError, checked_as, did_you_mean

Job = dict[str, Any]  # what a job's script reads, as JSON
RUN = ("method", "variant", "dataset", "seed")


def one_of(names: Any) -> str:
    """A wildcard constraint; with no names it matches nothing, where a bare join would match all."""
    return "|".join(sorted(names)) or "(?!)"


class Plan(Releases, Machines, Reporting, Listing):
    """The runs that a config asks for, and what each of them reads."""

    def __init__(self, config: dict[str, Any], file: str = "config.yaml"):
        self.config = checked_as(Config, config, file)
        self.file = file
        self.scale = self.config.scale
        self.results, self.data = f"results/{self.scale}", f"data/{self.scale}"
        self.chosen = {entry.method: list(entry.datasets) for entry in self.config.run}
        found = folders_with("methods", "recipe.yaml")
        for method in self.chosen:
            if method not in found:
                raise SettingError(f"{file}: run: no method {method!r}; {did_you_mean(method, found)}")
        self.recipe_files = {method: found[method] for method in self.chosen}
        self.recipes = {method: load_recipe(path, self.scale) for method, path in self.recipe_files.items()}
        self.card_files = folders_with("data/datasets", "card.yaml")
        self.weights_files = folders_with("weights", "card.yaml")
        self.cards: dict[str, Card] = {}
        self.weights: dict[str, WeightsCard] = {}
        for method, recipe in self.recipes.items():
            self._gather(method, recipe)
        for name in self.config.folders:
            known = {*self.releases, *(f"weights/{w}" for w in self.weights)}
            if name not in known:
                raise SettingError(
                    f"{file}: folders: nothing here is called {name!r}; {did_you_mean(name, known)}"
                )
        self.trainings = Trainings(self)

    def check_all(self) -> None:
        """Resolve every job of every table once, so that whatever cannot be resolved is said before the first job."""
        _ = self.views, self.banks
        self.check_mini_options()
        self.check_own()
        for method in self.recipes:
            for figure in self.figures_of(method):
                self.figure_job(method, figure)
        for run, row in self.every_run():
            self.score_job(run, row.protocol, row.split)
            if self.recipes[run["method"]].variants[run["variant"]].fuse:
                self.fuse_job(run, row.protocol, row.split)
            else:
                self.predict_job(run, row.protocol, row.split)
                for stage in stages_of(self.recipes[run["method"]], run["variant"]):
                    self.trainings.job(run, stage)

    # --- what is there -------------------------------------------------------------------------------------

    def _gather(self, method: str, recipe: Recipe) -> None:
        """Read the cards of all that the method touches; every name must exist and suit its task."""
        for dataset in self.chosen[method]:
            card = self._read(dataset, f"{self.file}: run: {method}")
            if recipe.task not in card.tasks:
                have = ", ".join(card.tasks)
                raise SettingError(
                    f"{self.file}: run: {method}: data set {dataset!r} has no task {recipe.task!r} but {have}"
                )
        for name, stage in recipe.stages.items():
            for source in stage.data:
                if source.dataset != "target":
                    self._read(source.dataset, f"{self.recipe_files[method]}: stages.{name}.data")
            for start in stage.start:
                if start.weights:
                    self._foundation(start.weights, f"{self.recipe_files[method]}: stages.{name}.start")
        for name, bank in recipe.banks.items():
            self._foundation(bank.weights, f"{self.recipe_files[method]}: banks.{name}")
        for name, table in recipe.tables.items():
            for row in table.rows:
                if row.dataset not in self.card_files:
                    known = did_you_mean(row.dataset, self.card_files)
                    raise SettingError(
                        f"{self.recipe_files[method]}: tables.{name}: no data set {row.dataset!r}; {known}"
                    )
        for name in recipe.variants:
            variant_of(recipe, name, self.recipe_files[method])

    def _read(self, dataset: str, where: str) -> Card:
        """The card of what is to be read; a release that is nothing else is refused, its data sets are named."""
        card = self._card(dataset, where)
        if not card.tasks:
            files = self.card_files.items()
            readings = [name for name, file in files if read_card(file).release == dataset]
            raise SettingError(f"{where}: {dataset!r} is a release, no data set; have {', '.join(readings)}")
        return card

    def _card(self, dataset: str, where: str) -> Card:
        if dataset not in self.card_files:
            raise SettingError(f"{where}: no data set {dataset!r}; {did_you_mean(dataset, self.card_files)}")
        if dataset not in self.cards:
            card = read_card(self.card_files[dataset])
            self.cards[dataset] = card
            if card.release not in (None, dataset):
                self._card(card.release, f"{self.card_files[dataset]}: release")
            if self.cards[self.release_of(dataset)].access == "folder" and self.config.own is None:
                raise SettingError(
                    f"{self.file}: own: missing; {dataset!r} needs {{videos: FOLDER, captions: CSV}}"
                )
        return self.cards[dataset]

    def _foundation(self, name: str, where: str) -> None:
        if name not in self.weights_files:
            raise SettingError(f"{where}: no weights {name!r}; {did_you_mean(name, self.weights_files)}")
        if name not in self.weights:
            self.weights[name] = card = read_weights_card(self.weights_files[name])
            if self.scale == "mini":
                self._read(card.mini.pretrain.dataset, f"{self.weights_files[name]}: mini.pretrain.dataset")

    @property
    def datasets(self) -> list[str]:
        """All that are read; a release that is nothing else is none."""
        return sorted(name for name, card in self.cards.items() if card.tasks)

    @property
    def releases(self) -> list[str]:
        return sorted({self.release_of(d) for d in self.cards})

    @property
    def made(self) -> list[str]:
        """Releases that the mini world makes."""
        return [r for r in self.releases if self.scale == "mini" and self.cards[r].access != "folder"]

    @property
    def fetched(self) -> list[str]:
        return [r for r in self.releases if r not in self.made]

    def release_of(self, dataset: str) -> str:
        return self.cards[dataset].release or dataset

    def shards(self, release: str) -> list[str]:
        grown = max(1, round(self.config.mini_size)) if release in self.made else 1
        return shard_names(self.cards[release].shards[self.scale] * grown)

    def splits(self, dataset: str) -> dict[str, int]:
        """Items that each split has at this scale, by the card; empty where the card does not say."""
        card = self.cards[dataset]
        if self.scale == "paper" or not card.mini.splits:
            return dict(card.splits)
        return {name: max(4, round(n * self.config.mini_size)) for name, n in card.mini.splits.items()}

    @cached_property
    def views(self) -> dict[str, Job]:
        """Every view by name. Two recipes that use one name must agree to the value."""
        found: dict[str, tuple[Job, Any]] = {}
        for where, views in self._view_blocks():
            for name, view in views.items():
                value = view.model_dump(mode="json")
                if name in found and found[name][0] != value:
                    raise SettingError(
                        f"{where}: views.{name}: differs from the view of that name in {found[name][1]}"
                    )
                found[name] = (value, where)
        return {name: value for name, (value, _) in found.items()}

    def _view_blocks(self) -> list[tuple[Any, dict]]:
        blocks = [(self.recipe_files[m], r.views) for m, r in self.recipes.items()]
        if self.scale == "mini":
            blocks += [(self.weights_files[w], c.mini.pretrain.views) for w, c in self.weights.items()]
        return blocks

    @cached_property
    def banks(self) -> dict[str, Job]:
        """Every bank by name, under the same rule as views."""
        found: dict[str, Job] = {}
        for method, recipe in self.recipes.items():
            for name, bank in recipe.banks.items():
                value = bank.model_dump(mode="json")
                if found.setdefault(name, value) != value:
                    raise SettingError(
                        f"{self.recipe_files[method]}: banks.{name}: another method's bank of that name differs"
                    )
        return found

    # --- paths ---------------------------------------------------------------------------------------------

    def root(self, release: str) -> str:
        return f"{self.data}/{release}"

    def manifests(self, release: str) -> list[str]:
        return [f"{self.results}/releases/{release}/shard{s}.json" for s in self.shards(release)]

    def annotations(self, dataset: str) -> str:
        return f"{self.results}/annotations/{dataset}.parquet"

    def arrays_of(self, release: str, view: str | None, bank: str | None) -> tuple[str, list[str]]:
        """(the index, the arrays it points at) of a release seen through a view or written into a bank."""
        folder = f"media/{view}" if view else f"features/{bank}"
        name = "frames" if view else "features"
        base = f"{self.results}/{folder}/{release}"
        return f"{base}/index.parquet", [f"{base}/shard{s}/{name}.npy" for s in self.shards(release)]

    def weights_path(self, name: str, file: str = "model.safetensors") -> str:
        return f"{self.data}/weights/{name}/{file}"

    def run_path(self, kind: str, run: Job) -> str:
        return f"{self.results}/{kind}/{run['method']}/{run['variant']}/{run['dataset']}/seed{run['seed']}"

    def predictions(self, run: Job, protocol: str, split: str) -> str:
        return f"{self.run_path('predictions', run)}/{protocol}/{split}.parquet"

    def metrics_file(self, run: Job, protocol: str, split: str) -> str:
        return f"{self.run_path('metrics', run)}/{protocol}/{split}.json"

    # --- predictions, metrics ------------------------------------------------------------------------------

    def recipe_of(self, method: str, variant: str) -> Recipe:
        if variant not in self.recipes[method].variants:
            known = did_you_mean(variant, self.recipes[method].variants)
            raise SettingError(f"{self.recipe_files[method]}: variants: no variant {variant!r}; {known}")
        return variant_of(self.recipes[method], variant, self.recipe_files[method])

    def trained(self) -> set[str]:
        return {v for r in self.recipes.values() for v, spec in r.variants.items() if not spec.fuse}

    def fused(self) -> set[str]:
        return {v for r in self.recipes.values() for v, spec in r.variants.items() if spec.fuse}

    def predict_job(self, run: Job, protocol: str, split: str, onto: str | None = None) -> Job:
        """Inputs and JSON of one prediction; `onto`: another data set than the one trained on."""
        recipe = self.recipe_of(run["method"], run["variant"])
        stages = stages_of(recipe, run["variant"])
        source = recipe.stages[stages[-1]].data[0]
        seen = {"dataset": onto or run["dataset"], "split": split, "view": source.view, "bank": source.bank}
        data, inputs = self.trainings.source(seen)
        spec = recipe.protocols[protocol].model_dump(mode="json", exclude_none=True)
        words = spec.get("max_len")
        if isinstance(words, dict):
            if seen["dataset"] not in words and "default" not in words:
                where = f"{self.recipe_files[run['method']]}: protocols.{protocol}.max_len"
                raise SettingError(f"{where}: no number for data set {seen['dataset']!r} and no default")
            spec["max_len"] = words.get(seen["dataset"], words.get("default"))
        at_once = spec.pop("at_once", None) or recipe.stages[stages[-1]].batch.at_once
        inputs["checkpoint"] = self.trainings.checkpoint(run, stages[-1])
        job = {"task": recipe.task, "data": data, "protocol": spec, "at_once": at_once}
        job["precision"] = recipe.stages[stages[-1]].precision
        return {"inputs": inputs, "recipe": job}

    def caption_job(self, run: Job, protocol: str, videos: str) -> Job:
        """A prediction on another data set by the checkpoint that is there; it is no input, so nothing trains it."""
        job = self.predict_job(run, protocol, "test", onto=videos)
        checkpoint = Path(job["inputs"].pop("checkpoint"))
        if not checkpoint.is_file():
            raise SettingError(
                f"{checkpoint}: no such checkpoint, and captions are not worth a training: "
                f"get it with `dvc pull {checkpoint.parent}` or train it with `snakemake {checkpoint}`"
            )
        with checkpoint.open("rb") as file:
            digest = file_digest(file, "sha256").hexdigest()
        job["recipe"] |= {"checkpoint": checkpoint.as_posix(), "checkpoint_sha256": digest}
        return job

    def fuse_job(self, run: Job, protocol: str, split: str) -> Job:
        recipe = self.recipes[run["method"]]
        variant = recipe.variants[run["variant"]]
        parts = [self.predictions({**run, "variant": v}, protocol, split) for v in variant.fuse]
        job = {"task": recipe.task, "combiner": variant.combiner, "weights": list(variant.fuse.values())}
        return {"inputs": {"parts": parts}, "recipe": job}

    def score_job(self, run: Job, protocol: str, split: str) -> Job:
        """All metrics that any table asks of this run, so that it is scored once."""
        metrics = {
            metric
            for table in self.tables_of(run["method"])
            for row in self.rows(run["method"], table)
            for metric in row.metrics
            if (row.variant, row.dataset, row.split, row.protocol)
            == (run["variant"], run["dataset"], split, protocol)
        }
        rule = "fuse_predictions" if self.recipes[run["method"]].variants[run["variant"]].fuse else "predict"
        place = self.run_path(f"records/{rule}", run)
        inputs = {
            "predicted": f"{place}/{protocol}/{split}.jsonl",
            "predictions": self.predictions(run, protocol, split),
            "annotations": self.annotations(run["dataset"]),
        }
        if any(m.startswith("facts_") for m in metrics):
            inputs["truth"] = f"{self.results}/releases/{self.release_of(run['dataset'])}/truth.parquet"
        if "meteor" in metrics:
            filtered = f"{self.results}/metrics/paraphrases/{run['dataset']}"
            inputs |= {"paraphrases": f"{filtered}.gz", "words": f"{filtered}.txt"}
        identity = {
            **run,
            "seed": int(run["seed"]),
            "protocol": protocol,
            "split": split,
            "scale": self.scale,
        }
        identity["items_of"] = self.splits(run["dataset"]).get(split)
        return {"inputs": inputs, "recipe": {"metrics": sorted(metrics), "identity": identity}}

    # --- code ----------------------------------------------------------------------------------------------

    def code(self, script: str, *folders: str) -> list[str]:
        """The package's files that a job of `script` runs, with the plug-in folders or files it finds by name."""
        plugins = [
            f for folder in folders for f in (modules_in(folder) if Path(folder).is_dir() else (folder,))
        ]
        return list(reached(f"scripts/{script}.py", *plugins))
