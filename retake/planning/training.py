"""Which stage is trained where, from what, on what: the part of the plan that has a memory of its own.

Two variants whose resolved training parts are equal share one checkpoint; a stage that never looks at the
target data set is trained once for all targets.
"""

from typing import TYPE_CHECKING, Any

from retake.planning.recipes import overlaid, stages_of
from retake.schema.recipe import Stage, Start
from retake.schema.record import digest_of
from retake.schema.strict import SettingError, did_you_mean

if TYPE_CHECKING:
    from retake.plan import Plan

Job = dict[str, Any]


class Trainings:
    """Resolves stages to checkpoints and jobs. `plan` gives recipes, cards and paths."""

    def __init__(self, plan: "Plan"):
        self.plan = plan
        self._keys: dict[tuple[str, str, str], str] = {}
        self._owners: dict[tuple[str, str], tuple[str, str]] = {}
        for method, recipe in plan.recipes.items():
            for variant, spec in recipe.variants.items():
                for stage in [] if spec.fuse else stages_of(recipe, variant):
                    self._owners.setdefault((method, self._key(method, variant, stage)), (variant, stage))

    # --- who trains what -----------------------------------------------------------------------------------

    def _key(self, method: str, variant: str, stage: str) -> str:
        """Digest of all that decides this stage's weights but the seed and the target data set."""
        place = (method, variant, stage)
        if place not in self._keys:
            self._keys[place] = ""  # a circle of starts would come back here
            recipe = self.plan.recipe_of(method, variant)
            spec = recipe.stages[stage]
            views = {s.view: recipe.views[s.view].model_dump(mode="json") for s in spec.data if s.view}
            banks = {s.bank: recipe.banks[s.bank].model_dump(mode="json") for s in spec.data if s.bank}
            starts = [
                start.weights or [self._key(method, v, s), start.dataset]
                for start in self.starts(method, variant, stage)
                for v, s in [self._origin(method, variant, start)]
            ]
            parts = [spec.model_dump(mode="json"), self.sizes(method, variant, stage), views, banks, starts]
            self._keys[place] = digest_of(parts)
        return self._keys[place]

    def sizes(self, method: str, variant: str, stage: str) -> Job:
        recipe = self.plan.recipe_of(method, variant)
        return overlaid(recipe.model, recipe.stages[stage].model)

    def starts(self, method: str, variant: str, stage: str) -> list[Start]:
        """Where the stage begins: what it says, else the stage before it, else nothing."""
        recipe = self.plan.recipe_of(method, variant)
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
        """(variant, stage, data set) in whose folder the checkpoint lies."""
        first, name = self._owners[method, self._key(method, variant, stage)]
        if not self._sees_target(method, variant, stage):
            dataset = self.plan.recipe_of(method, variant).stages[stage].data[0].dataset
        return first, name, dataset

    def checkpoint(self, run: Job, stage: str) -> str:
        variant, name, dataset = self.owner(run["method"], run["variant"], stage, run["dataset"])
        folder = self.plan.run_path("training", {**run, "variant": variant, "dataset": dataset})
        return f"{folder}/{name}/checkpoint.safetensors"

    # --- jobs ----------------------------------------------------------------------------------------------

    def source(self, seen: Job) -> tuple[Job, Job]:
        """(JSON, inputs) of one data set's split, through a view or from a bank."""
        plan = self.plan
        index, arrays = plan.arrays_of(plan.release_of(seen["dataset"]), seen["view"], seen["bank"])
        annotations = plan.annotations(seen["dataset"])
        data = {
            "dataset": seen["dataset"],
            "split": seen["split"],
            "annotations": annotations,
            "index": index,
            "kind": "frames" if seen["view"] else "features",
        }
        return data, {"annotations": [annotations], "index": [index], "arrays": list(arrays)}

    def job(self, run: Job, stage: str) -> Job:
        """Inputs and JSON of one training stage."""
        method, variant, dataset = run["method"], run["variant"], run["dataset"]
        recipe = self.plan.recipe_of(method, variant)
        if stage not in recipe.stages:
            known = did_you_mean(stage, recipe.stages)
            raise SettingError(f"{self.plan.recipe_files[method]}: stages: no stage {stage!r}; {known}")
        spec: Stage = recipe.stages[stage]
        entries, inputs = [], {"annotations": [], "index": [], "arrays": []}
        for entry in spec.data:
            name = dataset if entry.dataset == "target" else entry.dataset
            data, files = self.source(
                {"dataset": name, "split": entry.split, "view": entry.view, "bank": entry.bank}
            )
            entries.append({**data, "share": entry.share, "rows": entry.rows})
            inputs = {kind: list(dict.fromkeys(inputs[kind] + files[kind])) for kind in inputs}
        validation = None
        if spec.validation is not None:
            validation, files = self._validation(recipe, spec, dataset)
            inputs = {kind: list(dict.fromkeys(inputs[kind] + files[kind])) for kind in inputs}
        start = self._start(run, stage)
        inputs["start"] = [s["checkpoint"] for s in start]
        rest = spec.model_dump(mode="json", exclude={"data", "start", "model", "validation"})
        job = {
            "task": recipe.task,
            "model": self.sizes(method, variant, stage),
            "data": entries,
            "validation": validation,
        }
        job |= {"start": start, **rest, "resume": {"every_s": 300.0}, "max_steps": self.plan.config.max_steps}
        return {"inputs": inputs, "recipe": job}

    def _validation(self, recipe: Any, spec: Stage, dataset: str) -> tuple[Job, Job]:
        first = spec.data[0]
        name = dataset if first.dataset == "target" else first.dataset
        data, files = self.source(
            {"dataset": name, "split": spec.validation.split, "view": first.view, "bank": first.bank}
        )
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
        for start in self.starts(run["method"], run["variant"], stage):
            if start.weights:
                path = self.plan.weights_path(start.weights)
            else:
                variant, origin = self._origin(run["method"], run["variant"], start)
                at = {**run, "variant": variant, "dataset": start.dataset or run["dataset"]}
                path = self.checkpoint(at, origin)
            found.append({"checkpoint": path, "into": start.into, "leave_out": list(start.leave_out)})
        return found

    def pretrain_job(self, weights: str) -> Job:
        """Inputs and JSON of a foundation that is trained here: its card's stage on its card's data set."""
        card = self.plan.weights[weights].mini
        spec = card.pretrain
        seen = {"dataset": spec.dataset, "view": spec.view, "bank": None}
        data, inputs = self.source({**seen, "split": spec.split})
        validation = None
        if spec.validation is not None:
            held, _ = self.source({**seen, "split": spec.validation.split})
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
            mode="json", exclude={"task", "dataset", "split", "view", "views", "validation"}
        )
        job |= {"start": [], **rest, "resume": {"every_s": 300.0}, "max_steps": self.plan.config.max_steps}
        return {"inputs": inputs, "recipe": job}
