"""Which stage is trained where, from what, on what: the part of the plan that has a memory of its own.

Two variants whose resolved training parts are equal share one checkpoint; a stage that never looks at the
target data set is trained once for all targets.
"""

from typing import TYPE_CHECKING, Any

from retake.planning.recipes import overlaid, stages_of
from retake.schema.labels import NOT_SAID, RELEASE
from retake.schema.recipe import Source, Stage, Start
from retake.schema.record import digest_of
from retake.schema.strict import SettingError, did_you_mean

if TYPE_CHECKING:
    from retake.plan import Plan

Job = dict[str, Any]


class Trainings:
    """Resolves stages to checkpoints and jobs. `plan` gives recipes, cards and paths."""

    def __init__(self, plan: "Plan"):
        self.plan = plan
        self._keys: dict[tuple[str, str, str, str | None], str] = {}
        self._owners: dict[tuple[str, str | None], dict[str, tuple[str, str]]] = {}

    # --- who trains what -----------------------------------------------------------------------------------

    def _owners_on(self, method: str, dataset: str | None) -> dict[str, tuple[str, str]]:
        """Key -> the first (variant, stage) that has it on a data set; None: whatever the data set."""
        if (method, dataset) not in self._owners:
            found: dict[str, tuple[str, str]] = {}
            recipe = self.plan.recipes[method]
            for variant, spec in recipe.variants.items():
                for stage in [] if spec.fuse else stages_of(recipe, variant):
                    found.setdefault(self._key(method, variant, stage, dataset), (variant, stage))
            self._owners[method, dataset] = found
        return self._owners[method, dataset]

    def _key(self, method: str, variant: str, stage: str, dataset: str | None = None) -> str:
        """Digest of all that decides this stage's weights but the seed and the target data set's rows."""
        place = (method, variant, stage, dataset)
        if place not in self._keys:
            self._keys[place] = ""  # a circle of starts would come back here
            recipe = self.plan.recipe_of(method, variant, dataset)
            spec = recipe.stages[stage]
            seen = [s.view or recipe.banks[s.bank].view for s in spec.data if s.view or s.bank]
            seen += [of for name in seen if (of := getattr(recipe.views[name], "of", None))]
            views = {name: recipe.views[name].model_dump(mode="json") for name in seen}
            banks = {s.bank: recipe.banks[s.bank].model_dump(mode="json") for s in spec.data if s.bank}
            wrote = {
                s.labels: recipe.labellers[s.labels].model_dump(mode="json", exclude=NOT_SAID)
                for s in spec.data
                if s.labels != RELEASE
            }
            starts = [
                start.weights or [self._key(method, v, s, start.dataset or dataset), start.dataset]
                for start in self.starts(method, variant, stage, dataset)
                for v, s in [self._origin(method, variant, start)]
            ]
            sizes = overlaid(recipe.model, spec.model)
            parts = [spec.model_dump(mode="json"), sizes, recipe.card_sizes, views, banks, wrote, starts]
            self._keys[place] = digest_of(parts)
        return self._keys[place]

    def sizes(self, method: str, variant: str, stage: str, dataset: str) -> Job:
        """What the stage builds its model from: the recipe's sizes, and those of its first data set's card."""
        recipe = self.plan.recipe_of(method, variant, dataset)
        first = recipe.stages[stage].data[0].dataset
        seen = dataset if first == "target" else first
        counted = {size: self.plan.count(seen, name) for size, name in recipe.card_sizes.items()}
        return overlaid(recipe.model, recipe.stages[stage].model) | counted

    def starts(self, method: str, variant: str, stage: str, dataset: str | None = None) -> list[Start]:
        """Where the stage begins: what it says, else the stage before it, else nothing."""
        recipe = self.plan.recipe_of(method, variant, dataset)
        if recipe.stages[stage].start:
            return list(recipe.stages[stage].start)
        order = stages_of(recipe, variant)
        before = order[: order.index(stage)] if stage in order else []
        return [Start(stage=before[-1])] if before else []

    def _origin(self, method: str, variant: str, start: Start) -> tuple[str, str]:
        """(variant, stage) whose checkpoint a start names; empty for published weights."""
        if start.weights:
            return "", ""
        origin = start.variant or variant
        order = stages_of(self.plan.recipes[method], origin)
        return origin, start.stage or order[-1]

    def _sees_target(self, method: str, variant: str, stage: str) -> bool:
        spec = self.plan.recipe_of(method, variant).stages[stage]
        if any(source.dataset == "target" for source in spec.data):
            return True
        return any(
            not start.weights
            and start.dataset is None
            and self._sees_target(method, *self._origin(method, variant, start))
            for start in self.starts(method, variant, stage)
        )

    def owner(self, method: str, variant: str, stage: str, dataset: str) -> tuple[str, str, str]:
        """(variant, stage, data set) in whose folder the checkpoint lies.

        Raises SettingError where `per_dataset` changes a stage that is trained once for all data sets.
        """
        on: str | None = dataset
        if not self._sees_target(method, variant, stage):
            on, dataset = None, self.plan.recipe_of(method, variant).stages[stage].data[0].dataset
        key = self._key(method, variant, stage, on)
        if on is None and any(
            self._key(method, variant, stage, chosen) != key for chosen in self.plan.chosen[method]
        ):
            where = f"{self.plan.recipe_files[method]}: per_dataset"
            raise SettingError(f"{where}: stage {stage!r} of {variant!r} is trained once for all data sets")
        first, name = self._owners_on(method, on)[key]
        return first, name, dataset

    def checkpoint(self, run: Job, stage: str) -> str:
        variant, name, dataset = self.owner(run["method"], run["variant"], stage, run["dataset"])
        folder = self.plan.run_path("training", {**run, "variant": variant, "dataset": dataset})
        return f"{folder}/{name}/checkpoint.safetensors"

    # --- jobs ----------------------------------------------------------------------------------------------

    def source(
        self, views: Any, entry: Source, dataset: str, split: str, labels: str = RELEASE
    ) -> tuple[Job, Job]:
        """(JSON, inputs) of one data set's split as a stage's data `entry` sees it: through a view or from a bank.

        `views` has the views of the recipe or card that the entry stands in; `labels` says who wrote the references.
        """
        plan = self.plan
        release = plan.release_of(dataset)
        annotations = plan.annotations(dataset) if labels == RELEASE else plan.label_table(labels, release)
        data = {"dataset": dataset, "split": split, "annotations": annotations}
        if entry.text:
            return {**data, "kind": "text"}, {"annotations": [annotations], "index": [], "arrays": []}
        index, arrays = plan.arrays_of(release, entry.view, entry.bank)
        data |= {"index": index, "kind": views[entry.view].kind if entry.view else "features"}
        if entry.signal is not None:
            data["signal"] = entry.signal
        if entry.sample is not None:
            data["sample"] = entry.sample.model_dump(mode="json")
        return data, {"annotations": [annotations], "index": [index], "arrays": list(arrays)}

    def job(self, run: Job, stage: str) -> Job:
        """Inputs and JSON of one training stage."""
        method, variant, dataset = run["method"], run["variant"], run["dataset"]
        recipe = self.plan.recipe_of(method, variant, dataset)
        if stage not in recipe.stages:
            known = did_you_mean(stage, recipe.stages)
            raise SettingError(f"{self.plan.recipe_files[method]}: stages: no stage {stage!r}; {known}")
        spec: Stage = recipe.stages[stage]
        entries, inputs = [], {"annotations": [], "index": [], "arrays": []}
        for entry in spec.data:
            name = dataset if entry.dataset == "target" else entry.dataset
            data, files = self.source(recipe.views, entry, name, entry.split, entry.labels)
            entries.append({**data, "share": entry.share, "rows": entry.rows})
            inputs = {kind: list(dict.fromkeys(inputs[kind] + files[kind])) for kind in inputs}
        validation = None
        if spec.validation is not None:
            validation, files = self._validation(recipe, spec, dataset)
            inputs = {kind: list(dict.fromkeys(inputs[kind] + files[kind])) for kind in inputs}
        start = self._start(run, stage)
        inputs["start"] = [s["checkpoint"] for s in start]
        if words := [path for s in start for path in s.get("tokenizer", {}).values()]:
            inputs["tokenizer"] = words
        rest = spec.model_dump(mode="json", exclude={"data", "start", "model", "validation"})
        job = {
            "task": self.plan.task_of(method, dataset),
            "model": self.sizes(method, variant, stage, dataset),
            "data": entries,
            "validation": validation,
        }
        job |= {"start": start, **rest, "resume": {"every_s": 300.0}, "max_steps": self.plan.config.max_steps}
        return {"inputs": inputs, "recipe": job}

    def _validation(self, recipe: Any, spec: Stage, dataset: str) -> tuple[Job, Job]:
        first = spec.data[0]
        name = dataset if first.dataset == "target" else first.dataset
        data, files = self.source(recipe.views, first, name, spec.validation.split)
        protocol = None
        if spec.validation.protocol is not None:
            protocol = recipe.protocols[spec.validation.protocol].model_dump(mode="json", exclude_none=True)
            protocol.pop("at_once", None)
            words = protocol.get("max_len")
            if isinstance(words, dict):
                protocol["max_len"] = words.get(name, words.get("default"))
        at_once = spec.validation.at_once or spec.batch.at_once
        return {"data": data, "protocol": protocol, "at_once": at_once}, files

    def _start(self, run: Job, stage: str) -> list[Job]:
        found = []
        for start in self.starts(run["method"], run["variant"], stage, run["dataset"]):
            words: Job = {}
            if start.weights:
                path = self.plan.weights_path(start.weights)
                if files := self.plan.tokenizer_of(start.weights):
                    words = {"tokenizer": files}
            else:
                variant, origin = self._origin(run["method"], run["variant"], start)
                path = self.checkpoint(self._at(run, variant, start), origin)
            found.append(
                {"checkpoint": path, "into": start.into, "leave_out": list(start.leave_out), **words}
            )
        return found

    @staticmethod
    def _at(run: Job, variant: str, start: Start) -> Job:
        """The run whose checkpoint a start names: another data set's or seed's where it says so."""
        seed = run["seed"] if start.seed is None else start.seed
        return {**run, "variant": variant, "dataset": start.dataset or run["dataset"], "seed": seed}

    def needed(self, run: Job, stage: str) -> dict[str, tuple[Job, str]]:
        """Checkpoint -> (run, stage) that trains it, of the stage and of all that it starts from, in order."""
        found: dict[str, tuple[Job, str]] = {}
        for start in self.starts(run["method"], run["variant"], stage, run["dataset"]):
            if not start.weights:
                variant, origin = self._origin(run["method"], run["variant"], start)
                found |= self.needed(self._at(run, variant, start), origin)
        return found | {self.checkpoint(run, stage): (run, stage)}

    def pretrain_job(self, weights: str) -> Job:
        """Inputs and JSON of a foundation that is trained here: its card's stage on its card's data set."""
        card = self.plan.weights[weights].mini
        spec = card.pretrain
        assert spec is not None, f"{weights} is trained here"
        entry = Source(dataset=spec.dataset, split=spec.split, view=spec.view, text=spec.text)
        data, inputs = self.source(spec.views, entry, spec.dataset, spec.split)
        validation = None
        if spec.validation is not None:
            held, _ = self.source(spec.views, entry, spec.dataset, spec.validation.split)
            validation = {
                "data": held,
                "protocol": None,
                "at_once": spec.validation.at_once or spec.batch.at_once,
            }
        job = {
            "task": spec.task,
            "model": card.model,
            "data": [{**data, "share": 1.0, "rows": "all"}],
            "validation": validation,
        }
        rest = spec.model_dump(
            mode="json", exclude={"task", "dataset", "split", "view", "text", "views", "validation"}
        )
        job |= {"start": [], **rest, "resume": {"every_s": 300.0}, "max_steps": self.plan.config.max_steps}
        return {"inputs": inputs, "recipe": job}
