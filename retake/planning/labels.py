"""Pseudolabels: which labellers there are, which releases they label, and what a shard's job reads."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retake.schema.card import Card, WeightsCard
from retake.schema.config import Config
from retake.schema.labels import RELEASE
from retake.schema.recipe import Recipe
from retake.schema.strict import SettingError, did_you_mean

Job = dict[str, Any]
OWN = "own"  # the release that is the user's folder


class Labels:
    """The part of `retake.plan.Plan` that speaks of pseudolabels; the attributes below are the plan's."""

    if TYPE_CHECKING:
        config: Config
        file: str
        results: str
        recipes: dict[str, Recipe]
        recipe_files: dict[str, Path]
        cards: dict[str, Card]
        weights: dict[str, WeightsCard]
        instead: dict[str, str]
        releases: list[str]

        def _card(self, dataset: str, where: str) -> Card: ...
        def _foundation(self, name: str, where: str) -> None: ...
        def shards(self, release: str) -> list[str]: ...
        def release_of(self, dataset: str) -> str: ...
        def weights_path(self, name: str, file: str = "model.safetensors") -> str: ...
        def recipe_of(self, method: str, variant: str, dataset: str | None = None) -> Recipe: ...
        def every_training(self) -> list[tuple[Job, str]]: ...

    def gather_labellers(self) -> None:
        """Read the cards of the labellers' weights, and that of the user's folder where it is to be labelled."""
        for method, recipe in self.recipes.items():
            for name, labeller in recipe.labellers.items():
                self._foundation(labeller.weights, f"{self.recipe_files[method]}: labellers.{name}")
        asked = self.config.own.label_with if self.config.own else []
        for name in asked:
            if name not in self.labellers:
                known = did_you_mean(name, self.labellers)
                raise SettingError(
                    f"{self.file}: own.label_with: no method of this run has a labeller {name!r}; {known}"
                )
        if asked:
            self._card(OWN, f"{self.file}: own.label_with")

    @cached_property
    def labellers(self) -> dict[str, Job]:
        """Every labeller by name. Recipes that use one name must agree to the value."""
        found: dict[str, Job] = {}
        for method, recipe in self.recipes.items():
            for name, labeller in recipe.labellers.items():
                value = labeller.model_dump(mode="json")
                if found.setdefault(name, value) != value:
                    where = f"{self.recipe_files[method]}: labellers.{name}"
                    raise SettingError(f"{where}: another method's labeller of that name differs")
        return found

    # --- paths, jobs ---------------------------------------------------------------------------------------

    def label_table(self, labeller: str, release: str) -> str:
        """The annotation table that a labeller writes of a release."""
        return f"{self.results}/pseudolabels/{labeller}/{release}.parquet"

    def label_shards(self, labeller: str, release: str, file: str) -> list[str]:
        """One file of each shard of a labelled release."""
        folder = f"{self.results}/pseudolabels/{labeller}/{release}"
        return [f"{folder}/shard{s}/{file}" for s in self.shards(release)]

    def label_job(self, labeller: str, release: str, shard: str) -> Job:
        """Inputs and JSON of one shard's labels."""
        spec = self.labellers[labeller]
        inputs: Job = {"manifest": f"{self.results}/releases/{release}/shard{shard}.json"}
        inputs |= {"weights": self.weights_path(spec["weights"])}
        inputs |= {"config": self.weights_path(spec["weights"], "config.json")}
        card = self.weights[self.instead.get(spec["weights"], spec["weights"])]
        inputs["tokenizer"] = [self.weights_path(spec["weights"], name) for name in card.tokenizer]
        return {"inputs": inputs, "recipe": {"labeller": labeller, "release": release, "spec": spec}}

    def labeller_code(self, labeller: str) -> str:
        """The plug-in folder that the labeller's network is built by."""
        return f"retake/weights/{self.labellers[labeller]['weights']}"

    # --- which ---------------------------------------------------------------------------------------------

    def own_labels(self) -> list[tuple[str, str]]:
        """(labeller, release) pairs that config.yaml asks for."""
        own = self.config.own
        return [] if own is None else [(name, OWN) for name in own.label_with]

    def labelled(self) -> list[tuple[str, str]]:
        """(labeller, release) pairs that a training reads, or that config.yaml asks for; each once."""
        found = set(self.own_labels())
        for run, stage in self.every_training():
            recipe = self.recipe_of(run["method"], run["variant"], run["dataset"])
            for source in recipe.stages[stage].data:
                if source.labels != RELEASE:
                    dataset = run["dataset"] if source.dataset == "target" else source.dataset
                    found.add((source.labels, self.release_of(dataset)))
        return sorted(found)

    def every_label_table(self) -> list[str]:
        return [self.label_table(*pair) for pair in self.labelled()]

    def own_label_tables(self) -> list[str]:
        return [self.label_table(*pair) for pair in self.own_labels()]

    def shown_labels(self) -> list[str]:
        """What the report shows of the labels of the user's own videos: a file a shard."""
        return [path for pair in self.own_labels() for path in self.label_shards(*pair, "shown.parquet")]

    def check_label_target(self, word: str, labeller: str, file: str) -> None:
        """Raises where a table of pseudolabels is asked for that the plan cannot make."""
        if labeller not in self.labellers:
            known = did_you_mean(labeller, self.labellers)
            raise SettingError(f"{word}: no method of this run has a labeller {labeller!r}; {known}")
        release = file.split(".")[0]
        if release not in self.releases:
            hint = (
                f"name it in {self.file}, own.label_with"
                if release == OWN
                else did_you_mean(release, self.releases)
            )
            raise SettingError(f"{word}: no release {release!r} in this run; {hint}")
