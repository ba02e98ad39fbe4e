"""Fused variants in the plan: of whose predictions they are made, and the job that joins them."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retake.planning.once import once
from retake.schema.card import Card, read_card
from retake.schema.recipe import Recipe
from retake.schema.strict import SettingError

Job = dict[str, Any]


class Fused:
    """The part of `retake.plan.Plan` that fuses predictions; the attributes below are the plan's."""

    if TYPE_CHECKING:
        recipes: dict[str, Recipe]
        recipe_files: dict[str, Path]
        chosen: dict[str, list[str]]
        cards: dict[str, Card]
        card_files: dict[str, Path]
        _read: Callable[[str, str], Card]

        def release_of(self, dataset: str) -> str: ...
        def annotations(self, dataset: str) -> str: ...
        def predictions(self, run: Job, protocol: str, split: str) -> str: ...
        def task_of(self, method: str, dataset: str) -> str: ...

    def trained(self) -> set[str]:
        return {v for r in self.recipes.values() for v, spec in r.variants.items() if not spec.joined}

    def fused(self) -> set[str]:
        return {v for r in self.recipes.values() for v, spec in r.variants.items() if spec.joined}

    @once
    def card(self, dataset: str) -> Card:
        """What the card of a data set or release says, whether or not it is read in this run."""
        return read_card(self.card_files[dataset])

    def gather_parts(self, method: str) -> None:
        """Read the cards of the data sets that parts name, where another reading of their release was chosen."""
        releases = {self.release_of(dataset) for dataset in self.chosen[method]}
        for name, variant in self.recipes[method].variants.items():
            for dataset in [part.dataset for part in variant.parts if part.dataset is not None]:
                if dataset not in self.card_files or (self.card(dataset).release or dataset) in releases:
                    self._read(dataset, f"{self.recipe_files[method]}: variants.{name}.parts")

    def asked_on(self, method: str) -> list[str]:
        """The data sets that the method is run for, and those that parts of a fused variant answer on."""
        variants = self.recipes[method].variants.values()
        named = [part.dataset for variant in variants for part in variant.parts if part.dataset in self.cards]
        return list(dict.fromkeys([*self.chosen[method], *(name for name in named if name is not None)]))

    def parts_of(self, run: Job) -> list[Job]:
        """The runs that a fused run is made of, in order; none of one that is trained.

        Raises SettingError where a part answers on another release, whose items are others.
        """
        found = []
        for part in self.recipes[run["method"]].variants[run["variant"]].joined:
            dataset = part.dataset or run["dataset"]
            if dataset not in self.cards or self.release_of(dataset) != self.release_of(run["dataset"]):
                where = f"{self.recipe_files[run['method']]}: variants.{run['variant']}.parts"
                raise SettingError(f"{where}: {dataset!r} is no reading of the release of {run['dataset']!r}")
            seed = type(run["seed"])(int(run["seed"]) + part.seed_offset)
            found.append({**run, "variant": part.variant, "dataset": dataset, "seed": seed})
        return found

    def fuse_job(self, run: Job, protocol: str, split: str) -> Job:
        """Inputs and JSON of one fusion.

        A method's own combiner of `parts` reads annotation tables, too: the asked data set's, then one a part.
        """
        variant = self.recipes[run["method"]].variants[run["variant"]]
        parts = self.parts_of(run)
        inputs = {"parts": [self.predictions(part, protocol, split) for part in parts]}
        task = self.task_of(run["method"], run["dataset"])
        job = {"task": task, "combiner": variant.combiner, "weights": [p.weight for p in variant.joined]}
        if variant.parts and ":" in variant.combiner:
            inputs["annotations"] = [self.annotations(one["dataset"]) for one in (run, *parts)]
        return {"inputs": inputs, "recipe": job}
