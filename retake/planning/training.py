"""Which stage is trained where, from what, on what: the part of the plan that has a memory of its own.

Two variants whose resolved training parts are equal share one checkpoint; a stage that never looks at the
target data set is trained once for all targets.
"""

from typing import TYPE_CHECKING, Any

from retake.planning.once import once
from retake.planning.recipes import overlaid, stages_of
from retake.schema.banks import banks_read, detector_of
from retake.schema.labels import NOT_SAID, RELEASE
from retake.schema.recipe import Source, Stage, Start
from retake.schema.record import digest_of
from retake.schema.strict import SettingError, did_you_mean

if TYPE_CHECKING:
    from retake.plan import Plan

Job = dict[str, Any]


def joined(inputs: Job, files: Job) -> Job:
    """Named lists of paths, each path once."""
    return {kind: list(dict.fromkeys(inputs.get(kind, []) + files.get(kind, []))) for kind in inputs | files}


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
                for stage in [] if spec.joined else stages_of(recipe, variant):
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
            filled = [self._fills(method, source, dataset) for source in spec.data]
            parts = [
                spec.model_dump(mode="json"),
                sizes,
                recipe.card_sizes,
                views,
                banks,
                wrote,
                starts,
                filled,
            ]
            self._keys[place] = digest_of(parts)
        return self._keys[place]

    def _fills(self, method: str, entry: Source, dataset: str | None) -> list[Any]:
        """All that decides what a data entry's memory and detections hold."""
        recipe, read = self.plan.recipes[method], dataset if entry.dataset == "target" else entry.dataset
        named, found = {detector_of(entry)}, []
        for name in banks_read(entry):
            bank = recipe.banks[name]
            named.add(bank.detector)
            found += [bank.model_dump(mode="json"), *self._made(method, name, read)]
            if bank.like is not None:
                like = self.plan.recipe_of(method, bank.like, read)
                shown = like.stages[stages_of(like, bank.like)[-1]].data[0].model_dump(mode="json")
                found.append({key: shown[key] for key in ("view", "signal", "sample")})
        for name in sorted(filter(None, named)):
            found.append(recipe.detectors[name].model_dump(mode="json"))
        return found

    def _made(self, method: str, bank: str, dataset: str | None) -> list[str]:
        """The key of what fills a bank, where that is trained here."""
        made = self.plan.producer({"method": method, "bank": bank, "dataset": dataset, "seed": 0})
        return [] if made is None else [self._key(method, made[0]["variant"], made[1], made[0]["dataset"])]

    def before(
        self, method: str, variant: str, stage: str, dataset: str | None
    ) -> list[tuple[str, str, str | None]]:
        """(variant, stage, data set) of what is trained before: what the stage starts from, what fills its banks."""
        starts = [start for start in self.starts(method, variant, stage, dataset) if not start.weights]
        found = [(*self._origin(method, variant, start), start.dataset or dataset) for start in starts]
        for entry in self.plan.recipe_of(method, variant, dataset).stages[stage].data:
            for bank in banks_read(entry):
                read = dataset if entry.dataset == "target" else entry.dataset
                filled = {"method": method, "bank": bank, "dataset": read, "seed": 0}
                if (made := self.plan.producer(filled)) is not None:
                    found.append((made[0]["variant"], made[1], made[0]["dataset"]))
        return found

    def check_circles(self, method: str, variant: str, dataset: str | None) -> None:
        """Raises SettingError where a stage of the variant would have to be trained before itself."""
        done: set[tuple[str, str, str | None]] = set()

        def walk(place: tuple[str, str, str | None], way: list[tuple[str, str, str | None]]) -> None:
            if place in way:
                said = " <- ".join(f"{v}/{s}" for v, s, _ in [*way[way.index(place) :], place])
                where = f"{self.plan.recipe_files[method]}: variants.{variant}"
                raise SettingError(f"{where}: starts and banks go in a circle: {said}")
            if place not in done:
                for earlier in self.before(method, *place):
                    walk(earlier, [*way, place])
                done.add(place)

        for stage in stages_of(self.plan.recipes[method], variant):
            walk((variant, stage, dataset), [])

    def sizes(self, method: str, variant: str, stage: str, dataset: str) -> Job:
        """What the stage builds its model from: the recipe's sizes, and those of its first data set's card."""
        recipe = self.plan.recipe_of(method, variant, dataset)
        first = recipe.stages[stage].data[0].dataset
        seen = dataset if first == "target" else first
        counted = {size: self.plan.count(seen, name) for size, name in recipe.card_sizes.items()}
        return overlaid(recipe.model, recipe.stages[stage].model) | counted

    @once
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

    @once
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

    @once
    def owner(self, method: str, variant: str, stage: str, dataset: str) -> tuple[str, str, str]:
        """(variant, stage, data set) in whose folder the checkpoint lies.

        Raises SettingError where `per_dataset` changes a stage that is trained once for all data sets.
        """
        on: str | None = dataset
        if not self._sees_target(method, variant, stage):
            on, dataset = None, self.plan.recipe_of(method, variant).stages[stage].data[0].dataset
        key = self._key(method, variant, stage, on)
        if on is None and any(
            self._key(method, variant, stage, asked) != key for asked in self.plan.asked_on(method)
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
        self, views: Any, entry: Source, dataset: str, split: str | list[str], labels: str = RELEASE
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
        inputs: Job = {"annotations": [annotations], "index": [index], "arrays": list(arrays)}
        if (detector := detector_of(entry)) is not None:
            data["detections"] = plan.detections(plan.detector_on(detector, release), release)
            inputs["index"].append(data["detections"])
        return data, inputs

    def seen(
        self,
        run: Job,
        views: Any,
        entry: Source,
        dataset: str,
        split: str | list[str],
        labels: str = RELEASE,
        *,
        stored: bool = True,
    ) -> tuple[Job, Job]:
        """What `source` gives, with the memory that the entry has in a run, and rows of a bank in the place of clips.

        Of these only the index of the videos is read, for when frames are shown.  stored: False: clips are shown
        """
        data, shown = self.source(views, entry, dataset, split, labels)
        inputs = {kind: list(paths) for kind, paths in shown.items()}
        memory, files = self.plan.memory(run, entry, dataset)
        data, inputs = data | memory, joined(inputs, files)
        if not stored or entry.stored is None:
            return data, inputs
        rows, files = self.plan.stored(run, entry, dataset)
        inputs["arrays"] = [path for path in inputs["arrays"] if path not in shown["arrays"]]
        if (table := data.pop("detections", None)) is not None:
            inputs["index"].remove(table)
        return data | rows, joined(inputs, files)

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
            self.plan.check_stored(run, stage, entry, name)
            data, files = self.seen(run, recipe.views, entry, name, entry.split, entry.labels)
            entries.append({**data, "share": entry.share, "rows": entry.rows})
            inputs = joined(inputs, files)
        validation = None
        if spec.validation is not None:
            validation, files = self._validation(run, recipe, spec, dataset)
            inputs = joined(inputs, files)
        start = self.begins(run, stage)
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

    def _validation(self, run: Job, recipe: Any, spec: Stage, dataset: str) -> tuple[Job, Job]:
        first = spec.data[0]
        name = dataset if first.dataset == "target" else first.dataset
        asked = spec.validation.protocol
        stored = asked is None or self.plan.reads_stored(recipe, first, recipe.protocols[asked])
        data, files = self.seen(run, recipe.views, first, name, spec.validation.split, stored=stored)
        protocol = None
        if spec.validation.protocol is not None:
            protocol = recipe.protocols[spec.validation.protocol].model_dump(mode="json", exclude_none=True)
            protocol.pop("at_once", None)
            words = protocol.get("max_len")
            if isinstance(words, dict):
                protocol["max_len"] = words.get(name, words.get("default"))
        at_once = spec.validation.at_once or spec.batch.at_once
        return {"data": data, "protocol": protocol, "at_once": at_once}, files

    def begins(self, run: Job, stage: str) -> list[Job]:
        """What a stage of a run starts from: each file, and which of its tensors go where."""
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
        """Checkpoint -> (run, stage) that trains it, of the stage and of all that it starts from or whose bank it
        reads, in order.
        """
        found: dict[str, tuple[Job, str]] = {}
        for start in self.starts(run["method"], run["variant"], stage, run["dataset"]):
            if not start.weights:
                variant, origin = self._origin(run["method"], run["variant"], start)
                found |= self.needed(self._at(run, variant, start), origin)
        for entry in self.plan.recipe_of(run["method"], run["variant"], run["dataset"]).stages[stage].data:
            for bank in banks_read(entry):
                read = run["dataset"] if entry.dataset == "target" else entry.dataset
                filled = self.plan.bank_run(run["method"], bank, read, run["seed"])
                if (made := self.plan.producer(filled)) is not None:
                    found |= self.needed(*made)
        return found | {self.checkpoint(run, stage): (run, stage)}

    def pretrain_job(self, weights: str) -> Job:
        """Inputs and JSON of a foundation that is trained here: its card's stage on its card's data set."""
        card = self.plan.weights[weights].mini
        spec = card.pretrain
        assert spec is not None, f"{weights} is trained here"
        entry = Source(
            dataset=spec.dataset, split=spec.split, view=spec.view, text=spec.text, sample=spec.sample
        )
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
            "data": [{**data, "share": 1.0, "rows": spec.rows}],
            "validation": validation,
        }
        apart = {"task", "dataset", "split", "view", "text", "views", "sample", "rows", "validation"}
        rest = spec.model_dump(mode="json", exclude=apart)
        job |= {"start": [], **rest, "resume": {"every_s": 300.0}, "max_steps": self.plan.config.max_steps}
        return {"inputs": inputs, "recipe": job}
