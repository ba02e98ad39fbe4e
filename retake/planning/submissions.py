"""Files for servers that alone have a test's labels: what each is made of. No table waits for one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from retake.schema.card import Card
from retake.schema.recipe import Recipe
from retake.schema.strict import SettingError, did_you_mean

Job = dict[str, Any]
FORM = "<method>/<variant>/<dataset>/seed<seed>/<protocol>/<split>.<csv, json or txt>"


class Submissions:
    """The part of `retake.plan.Plan` that writes them; the attributes below are the plan's."""

    if TYPE_CHECKING:
        results: str
        recipes: dict[str, Recipe]
        cards: dict[str, Card]
        card_files: dict[str, Path]
        datasets: list[str]

        def release_of(self, dataset: str) -> str: ...
        def root(self, release: str) -> str: ...
        def annotations(self, dataset: str) -> str: ...
        def annotation_inputs(self, dataset: str) -> list[str]: ...
        def predictions(self, run: Job, protocol: str, split: str) -> str: ...
        def parts_of(self, run: Job) -> list[Job]: ...

    def submission_job(self, wildcards: Any) -> Job:
        """Inputs and JSON of one file. Raises SettingError where no server reads it."""
        run = {key: wildcards[key] for key in ("method", "variant", "dataset", "seed")}
        protocol, split, form = (wildcards[key] for key in ("protocol", "split", "form"))
        dataset = run["dataset"]
        card = self.cards[dataset].submission
        if card is None:
            raise SettingError(
                f"{self.card_files[dataset]}: submission: missing; no server scores {dataset!r}"
            )
        if split not in card.splits or form != card.form:
            said = f"splits {', '.join(card.splits)} as {card.form}, not {split!r} as {form}"
            raise SettingError(f"{self.card_files[dataset]}: submission: its server reads {said}")
        others = [part for part in self.parts_of(run) if part["dataset"] != dataset]
        runs = {one["dataset"]: one for one in (run, *others)}
        inputs = {
            "predictions": [self.predictions(one, protocol, split) for one in runs.values()],
            "annotations": [self.annotations(name) for name in runs],
            "files": self.annotation_inputs(dataset),
        }
        return {
            "inputs": inputs,
            "recipe": {"datasets": list(runs), "root": self.root(self.release_of(dataset))},
        }

    def submission_code(self, dataset: str) -> str:
        """The file that writes a data set's: its own, or its release's."""
        own, shared = (
            self.card_files[name].with_name("submission.py") for name in (dataset, self.release_of(dataset))
        )
        return (own if own.is_file() else shared).as_posix()

    def check_submission_target(self, word: str, names: list[str]) -> None:
        """Raises where the names do not exist, or no server reads such a file."""
        if len(names) != 6 or not names[3].startswith("seed"):
            raise SettingError(f"{word}: expected {self.results}/submissions/{FORM}")
        method, variant, dataset, seed, protocol, file = names
        for kind, name, have in (("data set", dataset, self.datasets), ("method", method, self.recipes)):
            if name not in have:
                raise SettingError(f"{word}: no {kind} {name!r} in this run; {did_you_mean(name, have)}")
        recipe = self.recipes[method]
        for kind, name, have in (
            ("variant", variant, recipe.variants),
            ("protocol", protocol, recipe.protocols),
        ):
            if name not in have:
                raise SettingError(f"{word}: no {kind} {name!r}; {did_you_mean(name, have)}")
        split, _, form = file.partition(".")
        run = {"method": method, "variant": variant, "dataset": dataset, "seed": seed.removeprefix("seed")}
        self.submission_job(run | {"protocol": protocol, "split": split, "form": form})
