"""Turn the config into the runs it asks for. Imports no torch, no pandas: the graph is built from here.

Everything is checked before a job starts; a setting that cannot be used is a SettingError of one line.
Paths are strings relative to the workflow's folder, as Snakemake compares them.
"""

from typing import Any

from retake.planning.banks import Banks
from retake.planning.costs import Costs
from retake.planning.fused import Fused
from retake.planning.labels import Labels
from retake.planning.listing import Listing
from retake.planning.machines import Machines
from retake.planning.media import Media
from retake.planning.qualities import Qualities
from retake.planning.recipes import (
    folders_with,
    load_recipe,
    stages_of,
    variant_of,
)
from retake.planning.releases import Releases
from retake.planning.reporting import Reporting
from retake.planning.stored import StoredRows
from retake.planning.submissions import Submissions
from retake.planning.taken import taken
from retake.planning.trained import Trained
from retake.planning.training import Trainings, joined
from retake.planning.watched import Watched
from retake.schema.banks import detector_of
from retake.schema.card import Card, WeightsCard, read_weights_card
from retake.schema.config import Config
from retake.schema.recipe import Recipe
from retake.schema.shards import shard_names
from retake.schema.strict import SettingError, checked_as, did_you_mean
from retake.schema.tasks import TRAINING, metrics_of

Job = dict[str, Any]  # what a job's script reads, as JSON
RUN = ("method", "variant", "dataset", "seed")
EVERY_S = 1.0  # of keyframes where a table has none


def one_of(names: Any) -> str:
    """A wildcard constraint; with no names it matches nothing, where a bare join would match all."""
    return "|".join(sorted(names)) or "(?!)"


class Plan(
    Releases,
    Media,
    Banks,
    Machines,
    Reporting,
    Costs,
    Qualities,
    Labels,
    Listing,
    Trained,
    Fused,
    Submissions,
    StoredRows,
    Watched,
):
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
        self.instead: dict[str, str] = {}  # foundation -> the one that is in its place at mini scale
        for method, recipe in self.recipes.items():
            self._gather(method, recipe)
        self.gather_labellers()
        for name in self.config.folders:
            known = {*self.releases, *(f"weights/{w}" for w in self.weights)}
            if name not in known:
                raise SettingError(
                    f"{file}: folders: nothing here is called {name!r}; {did_you_mean(name, known)}"
                )
        self._resolved: dict[tuple[str, str, tuple[str, ...]], Recipe] = {}
        for method in self.recipes:
            self._check_named(method)
        self.trainings = Trainings(self)

    def check_all(self) -> None:
        """Resolve every job of every table once, so that whatever cannot be resolved is said before the first job."""
        _ = self.views, self.labellers
        self.check_banks()
        self.check_mini_options()
        self.check_own()
        self.check_qualities()
        for method in self.recipes:
            for figure in self.figures_of(method):
                self.figure_job(method, figure)
                if self.has_examples(method, figure):
                    self.examples_job(method, figure)
        for run, row in self.every_run():
            if row.protocol == TRAINING:
                self.training_score_job(run, row.split)
                continue
            self.score_job(run, row.protocol, row.split)
            if self.parts_of(run):
                self.fuse_job(run, row.protocol, row.split)
            for part in self.trained_parts(run):
                self.predict_job(part, row.protocol, row.split)
        for run, stage in self.every_training():
            self.trainings.job(run, stage)
        for filled in self.every_bank_run():
            self.rows_job(filled | {"shard": "000"})

    # --- what is there -------------------------------------------------------------------------------------

    def _gather(self, method: str, recipe: Recipe) -> None:
        """Read the cards of all that the method touches; every name must exist and suit its task."""
        for dataset in self.chosen[method]:
            card = self._read(dataset, f"{self.file}: run: {method}")
            if not set(recipe.tasks) & set(card.tasks):
                wanted, have = " or ".join(map(repr, recipe.tasks)), ", ".join(card.tasks)
                raise SettingError(
                    f"{self.file}: run: {method}: data set {dataset!r} has no task {wanted} but {have}"
                )
        self.gather_parts(method)
        for name, stage in recipe.stages.items():
            for source in stage.data:
                if source.dataset != "target":
                    self._read(source.dataset, f"{self.recipe_files[method]}: stages.{name}.data")
            for start in stage.start:
                if start.dataset is not None:
                    self._read(start.dataset, f"{self.recipe_files[method]}: stages.{name}.start")
        self._read_cut(recipe.views, f"{self.recipe_files[method]}")
        self.gather_banks(method)

    def _read_cut(self, views: dict[str, Any], where: str) -> None:
        """The cards of the data sets whose segments views are cut into."""
        for name, view in views.items():
            if (dataset := getattr(view, "segments_of", None)) is not None:
                self._read(dataset, f"{where}: views.{name}.segments_of")

    def _check_named(self, method: str) -> None:
        """Data sets that tables, means and overlays speak of, and how each variant resolves on each of them."""
        recipe, file = self.recipes[method], self.recipe_files[method]
        named = [(f"tables.{name}", recipe.datasets_of(row.dataset))
                 for name, table in recipe.tables.items() for row in table.rows]  # fmt: skip
        named += [(f"means.{name}", datasets) for name, datasets in recipe.means.items()]
        named += [
            (f"figures.{name}", [one for d in figure.datasets for one in recipe.datasets_of(d)])
            for name, figure in recipe.figures.items()
        ]
        named += [("per_dataset", [name]) for name in recipe.per_dataset]
        for where, datasets in named:
            if unknown := [name for name in datasets if name not in self.card_files]:
                known = did_you_mean(unknown[0], self.card_files)
                raise SettingError(f"{file}: {where}: no data set {unknown[0]!r}; {known}")
        for name, variant in recipe.variants.items():
            for dataset in [None, *self.asked_on(method)]:
                resolved = self.recipe_of(method, name, dataset)
                self._read_cut(resolved.views, f"{file}: variants.{name}")
                for stage in [] if variant.joined else stages_of(resolved, name):
                    for start in resolved.stages[stage].start:
                        if start.weights:
                            self._foundation(start.weights, f"{file}: variants.{name}: stages.{stage}.start")
        for name in recipe.tables:
            for row in self.rows(method, name):
                if row.protocol == TRAINING:
                    self.check_training_row(method, name, row)
                    continue
                task = self.task_of(method, row.dataset)
                if bad := [metric for metric in row.metrics if metric not in metrics_of(task)]:
                    raise SettingError(
                        f"{file}: tables.{name}: metric {bad[0]!r} does not score task {task!r} of {row.dataset}"
                    )

    def task_of(self, method: str, dataset: str) -> str:
        """What the method is asked on a data set: the first of its tasks that the card has; of none, its first."""
        tasks = self.recipes[method].tasks
        return next((task for task in tasks if task in self.cards[dataset].tasks), tasks[0])

    def count(self, dataset: str, name: str) -> int:
        """A count of the data set's card at this scale."""
        card = self.cards[dataset]
        found = card.count(name, self.scale)
        if card.access == "folder" and name == "classes" and self.config.own is not None:
            found = self.own_classes()
        if found is None:
            where = "mini.counts" if self.scale == "mini" else "counts"
            raise SettingError(f"{self.card_files[dataset]}: {where}.{name}: missing; a model is sized by it")
        return found

    def _read(self, dataset: str, where: str) -> Card:
        """The card of what is to be read; a release that is nothing else is refused, its data sets are named."""
        card = self._card(dataset, where)
        if not card.tasks:
            readings = [name for name in self.card_files if self.card(name).release == dataset]
            raise SettingError(f"{where}: {dataset!r} is a release, no data set; have {', '.join(readings)}")
        return card

    def _card(self, dataset: str, where: str) -> Card:
        if dataset not in self.card_files:
            raise SettingError(f"{where}: no data set {dataset!r}; {did_you_mean(dataset, self.card_files)}")
        if dataset not in self.cards:
            self.cards[dataset] = card = self.card(dataset)
            if card.release not in (None, dataset):
                self._card(card.release, f"{self.card_files[dataset]}: release")
            if self.cards[self.release_of(dataset)].access == "folder" and self.config.own is None:
                raise SettingError(
                    f"{self.file}: own: missing; {dataset!r} needs {{videos: FOLDER, captions or labels: CSV}}"
                )
        return self.cards[dataset]

    def _foundation(self, name: str, where: str) -> None:
        if name not in self.weights_files:
            raise SettingError(f"{where}: no weights {name!r}; {did_you_mean(name, self.weights_files)}")
        if name in self.weights or name in self.instead:
            return
        card = read_weights_card(self.weights_files[name])
        if self.scale == "mini" and card.mini.same_as is not None:
            self.instead[name] = card.mini.same_as
            self._foundation(card.mini.same_as, f"{self.weights_files[name]}: mini.same_as")
            if card.mini.same_as in self.instead:
                raise SettingError(
                    f"{self.weights_files[name]}: mini.same_as: {card.mini.same_as!r} has none of its own"
                )
            return
        self.weights[name] = card
        if self.scale == "mini" and card.mini.pretrain is not None:
            self._read(card.mini.pretrain.dataset, f"{self.weights_files[name]}: mini.pretrain.dataset")
            self._read_cut(card.mini.pretrain.views, f"{self.weights_files[name]}: mini.pretrain")

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

    # --- paths ---------------------------------------------------------------------------------------------

    def root(self, release: str) -> str:
        return f"{self.data}/{release}"

    def manifests(self, release: str) -> list[str]:
        return [f"{self.results}/releases/{release}/shard{s}.json" for s in self.shards(release)]

    def annotations(self, dataset: str) -> str:
        return f"{self.results}/annotations/{dataset}.parquet"

    def weights_path(self, name: str, file: str = "model.safetensors") -> str:
        return f"{self.data}/weights/{self.instead.get(name, name)}/{file}"

    def run_path(self, kind: str, run: Job) -> str:
        return f"{self.results}/{kind}/{run['method']}/{run['variant']}/{run['dataset']}/seed{run['seed']}"

    def predictions(self, run: Job, protocol: str, split: str) -> str:
        return f"{self.run_path('predictions', run)}/{protocol}/{split}.parquet"

    def metrics_file(self, run: Job, protocol: str, split: str) -> str:
        return f"{self.run_path('metrics', run)}/{protocol}/{split}.json"

    # --- predictions, metrics ------------------------------------------------------------------------------

    def recipe_of(self, method: str, variant: str, dataset: str | None = None) -> Recipe:
        """The recipe as a variant sees it, on a data set where one is named."""
        on = (self.release_of(dataset), dataset) if dataset in self.cards else ()
        laid = tuple(one for one in dict.fromkeys(on) if one in self.recipes[method].per_dataset)
        place = (method, variant, laid)
        if place not in self._resolved:
            if variant not in self.recipes[method].variants:
                known = did_you_mean(variant, self.recipes[method].variants)
                raise SettingError(f"{self.recipe_files[method]}: variants: no variant {variant!r}; {known}")
            self._resolved[place] = variant_of(self.recipes[method], variant, self.recipe_files[method], laid)
        return self._resolved[place]

    def predict_job(self, run: Job, protocol: str, split: str, onto: str | None = None) -> Job:
        """Inputs and JSON of one prediction; `onto`: another data set than the one trained on."""
        recipe = self.recipe_of(run["method"], run["variant"], run["dataset"])
        stages = stages_of(recipe, run["variant"])
        source = recipe.stages[stages[-1]].data[0]
        dataset = onto or run["dataset"]
        if onto is None:
            stored = self.reads_stored(recipe, source, recipe.protocols[protocol])
            data, inputs = self.trainings.seen(run, recipe.views, source, dataset, split, stored=stored)
        else:
            data, inputs = self.trainings.source(recipe.views, source, dataset, split)
            memory, files = self.memory(run, source, run["dataset"], onto)
            data, inputs = data | memory, joined(inputs, files)
            if detector_of(source) is not None:
                data["every_s"] = EVERY_S  # a table of whole videos is asked second by second
        spec = recipe.protocols[protocol].model_dump(mode="json", exclude_none=True)
        words = spec.get("max_len")
        if isinstance(words, dict):
            if dataset not in words and "default" not in words:
                where = f"{self.recipe_files[run['method']]}: protocols.{protocol}.max_len"
                raise SettingError(f"{where}: no number for data set {dataset!r} and no default")
            spec["max_len"] = words.get(dataset, words.get("default"))
        at_once = spec.pop("at_once", None) or recipe.stages[stages[-1]].batch.at_once
        inputs["checkpoint"] = self.trainings.checkpoint(run, stages[-1])
        task = self.task_of(run["method"], run["dataset"])
        job = {"task": task, "data": data, "protocol": spec, "at_once": at_once}
        job["precision"] = recipe.stages[stages[-1]].precision
        return {"inputs": inputs, "recipe": job}

    def caption_job(self, run: Job, protocol: str, videos: str) -> Job:
        """A prediction on another data set by the checkpoint that is there; it is no input, so nothing trains it."""
        if parts := self.parts_of(run):
            where = f"{self.recipe_files[run['method']]}: variants.{run['variant']}"
            names = ", ".join(dict.fromkeys(part["variant"] for part in parts))
            raise SettingError(f"{where}: is fused and has no checkpoint; videos are answered by {names}")
        job = self.predict_job(run, protocol, "test", onto=videos)
        job["recipe"] |= taken(job["inputs"].pop("checkpoint"))
        return job

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
        rule = "fuse_predictions" if self.parts_of(run) else "predict"
        place = self.run_path(f"records/{rule}", run)
        inputs = {
            "predicted": f"{place}/{protocol}/{split}.jsonl",
            "predictions": self.predictions(run, protocol, split),
            "annotations": self.annotations(run["dataset"]),
        }
        if any(m.startswith(("facts_", "ap_")) for m in metrics):
            inputs["truth"] = f"{self.results}/releases/{self.release_of(run['dataset'])}/truth.parquet"
        if "meteor" in metrics:
            filtered = f"{self.results}/paraphrases/{run['dataset']}"
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
