"""Everything of a kind that a plan makes: what the collecting rules ask for."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from retake.planning.once import once
from retake.planning.training import Trainings
from retake.schema.card import Card, WeightsCard
from retake.schema.config import Config
from retake.schema.figures import CostAccuracyFigure, EmbeddingFigure, SignalsFigure
from retake.schema.figures_measured import WindowExamplesFigure
from retake.schema.recipe import Recipe, Row
from retake.schema.strict import SettingError, did_you_mean
from retake.schema.tasks import TRAINING

Job = dict[str, Any]


def unique(paths: Any) -> list[str]:
    """Each path once, in the order of its first place."""
    return list(dict.fromkeys(paths))


class Listing:
    """The listing part of `retake.plan.Plan`; the attributes below are the plan's."""

    if TYPE_CHECKING:
        config: Config
        scale: str
        results: str
        data: str
        recipes: dict[str, Recipe]
        recipe_files: dict[str, Path]
        chosen: dict[str, list[str]]
        cards: dict[str, Card]
        weights: dict[str, WeightsCard]
        instead: dict[str, str]
        trainings: Trainings
        releases: list[str]
        banks: dict[str, Job]
        datasets: list[str]

        def shards(self, release: str) -> list[str]: ...
        def manifests(self, release: str) -> list[str]: ...
        def release_of(self, dataset: str) -> str: ...
        def weights_path(self, name: str, file: str = "model.safetensors") -> str: ...
        def tables_of(self, method: str, headline: bool = False) -> list[str]: ...
        def figures_of(self, method: str, headline: bool = False) -> list[str]: ...
        def rows(self, method: str, table: str) -> list[Row]: ...
        def seeds(self, method: str, table: str) -> list[int]: ...
        def claims_of(self, method: str) -> str | None: ...
        def metrics_of_table(self, method: str, table: str) -> list[str]: ...
        def predictions(self, run: Job, protocol: str, split: str) -> str: ...
        def recipe_of(self, method: str, variant: str, dataset: str | None = None) -> Recipe: ...
        def caption_job(self, run: Job, protocol: str, videos: str) -> Job: ...
        def parts_of(self, run: Job) -> list[Job]: ...
        def every_training(self) -> list[tuple[Job, str]]: ...
        def metrics_file(self, run: Job, protocol: str, split: str) -> str: ...
        def own_label_tables(self) -> list[str]: ...
        def check_label_target(self, word: str, labeller: str, file: str) -> None: ...
        def check_submission_target(self, word: str, names: list[str]) -> None: ...
        def every_bank_view(self) -> set[tuple[str, str]]: ...

    def folders(self) -> list[str]:
        """Made even where nothing comes to lie in them: DVC takes up no output that is not there."""
        kinds = "detections features pseudolabels paraphrases items figures claims curves".split()
        return [f"{self.results}/{kind}" for kind in kinds]

    def table_paths(self, headline: bool = False) -> list[str]:
        folder = f"{self.results}/tables"
        return [f"{folder}/{m}/{t}.csv" for m in self.recipes for t in self.tables_of(m, headline)]

    def figure_paths(self, headline: bool = False) -> list[str]:
        folder = f"{self.results}/figures"
        return [f"{folder}/{m}/{f}.svg" for m in self.recipes for f in self.figures_of(m, headline)]

    def claim_paths(self) -> list[str]:
        return [f"{self.results}/claims/{m}.csv" for m in self.recipes if self.claims_of(m)]

    @once
    def curves_of(self, method: str) -> list[str]:
        """Records of all that is trained for the method's tables, in the order of training."""
        return unique(
            self.trainings.checkpoint(run, stage).replace("checkpoint.safetensors", "record.jsonl")
            for run, stage in self.every_training()
            if run["method"] == method
        )

    def curve_paths(self) -> list[str]:
        return [f"{self.results}/curves/{m}.csv" for m in self.recipes if self.curves_of(m)]

    def check_targets(self, words: list[str]) -> None:
        """A table, figure or caption file named on the command line must be one that the plan has."""
        for word in words:
            kind, *rest = (
                word.removeprefix(f"{self.results}/").split("/") if word.startswith("results/") else [""]
            )
            if word.startswith("results/") and not word.startswith(f"{self.results}/"):
                raise SettingError(
                    f"{word}: the scale is {self.scale}; expected a path under {self.results}/"
                )
            if kind == "captions":
                self.check_caption_target(word, rest)
            if kind == "submissions":
                self.check_submission_target(word, rest)
            if kind == "pseudolabels" and len(rest) > 1:
                self.check_label_target(word, *rest[:2])
            if kind not in ("tables", "figures") or len(rest) != 2:
                continue
            method, name = rest[0], rest[1].split(".")[0]
            if method not in self.recipes:
                raise SettingError(
                    f"{word}: no method {method!r} in this run; {did_you_mean(method, self.recipes)}"
                )
            have = self.tables_of(method) if kind == "tables" else self.figures_of(method)
            if name not in have:
                raise SettingError(
                    f"{word}: no {kind.rstrip('s')} {name!r} of {method} here; {did_you_mean(name, have)}"
                )

    def check_caption_target(self, word: str, names: list[str]) -> None:
        """Raises where the names do not exist, or where there is no checkpoint to caption with."""
        form = "<videos>/<method>/<variant>/<dataset>/seed<seed>/<protocol>.jsonl"
        if len(names) != 6 or not names[4].startswith("seed") or not names[5].endswith((".jsonl", ".csv")):
            raise SettingError(f"{word}: expected {self.results}/captions/{form}, or .csv")
        videos, method, variant, dataset, seed, file = names
        for kind, name, have in (("data set", videos, self.datasets), ("method", method, self.recipes)):
            if name not in have:
                raise SettingError(f"{word}: no {kind} {name!r} in this run; {did_you_mean(name, have)}")
        protocol = file.split(".")[0]
        if protocol not in self.recipes[method].protocols:
            known = did_you_mean(protocol, self.recipes[method].protocols)
            raise SettingError(f"{word}: no protocol {protocol!r}; {known}")
        run = {"method": method, "variant": variant, "dataset": dataset, "seed": seed.removeprefix("seed")}
        self.caption_job(run, protocol, videos)

    @once
    def every_run(self) -> list[tuple[Job, Row]]:
        """Every (run, row) that any table measures, each once."""
        found: dict[tuple, tuple[Job, Row]] = {}
        for method in self.recipes:
            for table in self.tables_of(method):
                for row in self.rows(method, table):
                    for seed in self.seeds(method, table):
                        run = {"method": method, "variant": row.variant, "dataset": row.dataset, "seed": seed}
                        found.setdefault((*run.values(), row.protocol, row.split), (run, row))
        return list(found.values())

    def trained_parts(self, run: Job) -> list[Job]:
        """The run itself, or where it is fused, the trained runs that it is fused of."""
        parts = self.parts_of(run)
        return [one for part in parts for one in self.trained_parts(part)] if parts else [run]

    @once
    def every_trained_run(self) -> list[Job]:
        """Every trained run that a table measures, or that one it measures is fused of, each once."""
        asked = [run for run, row in self.every_run() if row.protocol != TRAINING]
        runs = [part for run in asked for part in self.trained_parts(run)]
        return list({tuple(run.values()): run for run in runs}.values())

    def every_manifest(self) -> list[str]:
        files = [f"{self.results}/releases/{r}/files.json" for r in self.releases]
        return files + [path for r in self.releases for path in self.manifests(r)]

    @once
    def _seen(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """((view, release), (bank, release)) pairs that a training, a bank or a prediction reads."""
        views, banks = set(), set()
        for run, stage in self.every_training():
            recipe = self.recipe_of(run["method"], run["variant"], run["dataset"])
            for source in recipe.stages[stage].data:
                dataset = run["dataset"] if source.dataset == "target" else source.dataset
                if source.view:
                    views.add((source.view, self.release_of(dataset)))
                if source.bank:
                    banks.add((source.bank, self.release_of(dataset)))
        for method, recipe in self.recipes.items():
            drawn = [recipe.figures[f] for f in self.figures_of(method) if f in recipe.figures]
            seen = SignalsFigure | EmbeddingFigure | CostAccuracyFigure | WindowExamplesFigure
            shown = [f for f in drawn if isinstance(f, seen)]
            views |= {(f.view, self.release_of(d)) for f in shown for d in recipe.datasets_of(f.dataset)}
        views |= {(self.banks[bank]["view"], release) for bank, release in banks} | self.every_bank_view()
        if self.scale == "mini":
            spent = [card.mini.pretrain for card in self.weights.values()]
            views |= {
                (p.view, self.release_of(p.dataset)) for p in spent if p is not None and p.view is not None
            }
        return sorted(views), sorted(banks)

    def every_media_index(self) -> list[str]:
        return [f"{self.results}/media/{view}/{release}/index.parquet" for view, release in self._seen()[0]]

    def every_failures_file(self) -> list[str]:
        return [f"{self.results}/media/{view}/{release}/failures.csv" for view, release in self._seen()[0]]

    def every_bank_index(self) -> list[str]:
        return [
            f"{self.results}/features/{bank}/{release}/index.parquet" for bank, release in self._seen()[1]
        ]

    def every_weights(self) -> list[str]:
        files = [self.weights_path(name) for name in self.weights]
        return files + [path for name in self.weights for path in self.tokenizer_of(name).values()]

    def tokenizer_of(self, weights: str) -> dict[str, str]:
        """The tokenizer files of a foundation, or of the one in its place: name -> path."""
        card = self.weights[self.instead.get(weights, weights)]
        return {name: self.weights_path(weights, name) for name in card.tokenizer}

    def every_checkpoint(self) -> list[str]:
        return unique(self.trainings.checkpoint(run, stage) for run, stage in self.every_training())

    def every_training_record(self) -> list[str]:
        trained = [path.replace("checkpoint.safetensors", "record.jsonl") for path in self.every_checkpoint()]
        first = self.weights if self.scale == "mini" else {}
        return [f"{self.results}/records/pretrain_weights/{name}.jsonl" for name in first] + trained

    def every_prediction(self) -> list[str]:
        return unique(
            self.predictions(run, row.protocol, row.split)
            for run, row in self.every_run()
            if row.protocol != TRAINING
        )

    def every_training_score(self) -> list[str]:
        """Metrics files that are of trainings, not of predictions."""
        return unique(
            self.metrics_file(run, row.protocol, row.split)
            for run, row in self.every_run()
            if row.protocol == TRAINING
        )

    def every_metrics_file(self) -> list[str]:
        return unique(
            path
            for m in self.recipes
            for table in self.tables_of(m)
            for path in self.metrics_of_table(m, table)
        )

    def every_recipe_file(self) -> list[str]:
        return [path.as_posix() for path in self.recipe_files.values()]

    def caption_paths(self) -> list[str]:
        """Captions and pseudolabels of the user's own videos that config.yaml asks for."""
        if self.config.own is None:
            return []
        return [
            f"{self.results}/captions/own/{c.method}/{c.variant}/{c.dataset}/seed{c.seed}/{c.protocol}.jsonl"
            for c in self.config.own.caption_with
        ] + self.own_label_tables()

    def shard_files(self, stage: str, name: str, release: str, file: str) -> list[str]:
        """One file of each shard of a view or a bank."""
        return [f"{self.results}/{stage}/{name}/{release}/shard{s}/{file}" for s in self.shards(release)]

    def bank_input(self, wildcards: Any, file: str) -> str:
        """The shard of frames that a shard of a bank is extracted from."""
        view = self.banks[wildcards.bank]["view"]
        return f"{self.results}/media/{view}/{wildcards.release}/shard{wildcards.shard}/{file}"

    def bank_code(self, bank: str) -> str:
        return f"retake/weights/{self.banks[bank]['weights']}"
