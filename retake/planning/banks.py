"""Detections and banks: which there are, what fills them, which files their jobs read.

A bank of rows is a method's own, as its checkpoints are: it lies under method, bank, data set and the seed of the
checkpoint that filled it (0: none did). Detections and banks of frames are shared by name, as views are.
"""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retake.planning.once import once
from retake.planning.recipes import stages_of
from retake.planning.taken import taken, there
from retake.planning.training import Trainings
from retake.schema.banks import Bank, Detector, banks_read, detector_of
from retake.schema.card import Card
from retake.schema.recipe import Recipe, Source
from retake.schema.strict import SettingError, did_you_mean

Job = dict[str, Any]
ON = "@"  # <data set>@<videos>: by what was trained on the one, of the other's videos


def trained_on(filled: Job) -> Any:
    """The data set on which a bank's producer was trained; None where that is left open."""
    return filled["dataset"] and filled["dataset"].partition(ON)[0]


def seen_on(filled: Job) -> Any:
    """The data set whose videos a bank holds."""
    return filled["dataset"].rpartition(ON)[2]


class Banks:
    """The part of `retake.plan.Plan` that speaks of detections and banks; the attributes below are the plan's."""

    if TYPE_CHECKING:
        results: str
        recipes: dict[str, Recipe]
        recipe_files: dict[str, Path]
        chosen: dict[str, list[str]]
        views: dict[str, Job]
        datasets: list[str]
        trainings: Trainings

        def _read(self, dataset: str, where: str) -> Card: ...
        def _foundation(self, name: str, where: str) -> None: ...
        def annotations(self, dataset: str) -> str: ...
        def annotation_inputs(self, dataset: str) -> list[str]: ...
        def detections(self, detector: str, release: str) -> str: ...
        def media_shard(self, view: str, release: str, shard: str) -> str: ...
        def recipe_of(self, method: str, variant: str, dataset: str | None = None) -> Recipe: ...
        def parser(self, dataset: str) -> str: ...
        def release_of(self, dataset: str) -> str: ...
        def root(self, release: str) -> str: ...
        def shards(self, release: str) -> list[str]: ...
        def shard_arrays(self, view: str, release: str, shard: str) -> list[str]: ...
        def weights_path(self, name: str, file: str = "model.safetensors") -> str: ...
        def every_training(self) -> list[tuple[Job, str]]: ...
        def every_trained_run(self) -> list[Job]: ...

    def gather_banks(self, method: str) -> None:
        """Read the cards of all that the recipe's detectors and banks name."""
        recipe, file = self.recipes[method], self.recipe_files[method]
        for kind, named in (("detectors", recipe.detectors), ("banks", recipe.banks)):
            for name, spec in named.items():
                if spec.weights is not None:
                    self._foundation(spec.weights, f"{file}: {kind}.{name}")
                if spec.dataset is not None:
                    self._read(spec.dataset, f"{file}: {kind}.{name}.dataset")

    def _agreed(self, kind: str) -> dict[str, Any]:
        """What recipes call by one name, which must be one and the same."""
        found: dict[str, Any] = {}
        for method, recipe in self.recipes.items():
            for name, spec in getattr(recipe, kind).items():
                if kind == "banks" and spec.rows is not None:
                    continue  # a method's own
                if found.setdefault(name, spec) != spec:
                    where = f"{self.recipe_files[method]}: {kind}.{name}"
                    raise SettingError(f"{where}: another method's {kind[:-1]} of that name differs")
        return found

    @cached_property
    def banks(self) -> dict[str, Job]:
        """Every bank of frames by name, under the same rule as views."""
        return {name: bank.told() for name, bank in self._agreed("banks").items()}

    @cached_property
    def detectors(self) -> dict[str, Detector]:
        """Every detector by name, under the same rule."""
        return self._agreed("detectors")

    @property
    def row_banks(self) -> list[str]:
        """Names of banks of rows, of whatever method."""
        return sorted(
            {n for r in self.recipes.values() for n, bank in r.banks.items() if bank.rows is not None}
        )

    def check_banks(self) -> None:
        """Raises SettingError where a variant changes a bank, or where banks and starts go in a circle."""
        _ = self.banks, self.detectors
        for method, recipe in self.recipes.items():
            for variant, spec in recipe.variants.items():
                for dataset in [None, *self.chosen[method]] if not spec.fuse else []:
                    changed = self.recipe_of(method, variant, dataset).banks
                    for name, bank in recipe.banks.items():
                        if bank.rows is not None and changed.get(name) != bank:
                            where = f"{self.recipe_files[method]}: variants.{variant}.set.banks.{name}"
                            raise SettingError(
                                f"{where}: a bank of rows is one for all; give this one another name"
                            )
                    self.trainings.check_circles(method, variant, dataset)

    # --- detections ----------------------------------------------------------------------------------------

    def detection_shard(self, detector: str, release: str, shard: str) -> str:
        return f"{self.results}/detections/{detector}/{release}/shard{shard}"

    def detection_shards(self, wildcards: Any, file: str) -> list[str]:
        """One file of each shard of a detector's."""
        of = wildcards.release
        return [f"{self.detection_shard(wildcards.detector, of, s)}/{file}" for s in self.shards(of)]

    def detectors_that(self, look: bool) -> list[str]:
        """Names of detectors that are networks, or else of those that a data set brings."""
        return [name for name, detector in self.detectors.items() if (detector.weights is not None) == look]

    def detect_job(self, wildcards: Any) -> Job:
        """Inputs and JSON of one shard's detections, found by a network or brought by a data set."""
        detector, release, shard = wildcards.detector, wildcards.release, wildcards.shard
        spec = self.detectors[detector]
        recipe: Job = {"detector": spec.told()}
        if spec.weights is not None and spec.view is not None:
            folder = self.media_shard(spec.view, release, shard)
            inputs = {
                "index": f"{folder}/index.parquet",
                "arrays": self.shard_arrays(spec.view, release, shard),
                "weights": self.weights_path(spec.weights),
                "config": self.weights_path(spec.weights, "config.json"),
            }
            return {"inputs": inputs, "recipe": recipe}
        self._same_release(detector, release)
        manifest = f"{self.results}/releases/{release}/shard{shard}.json"
        listed = [path for path in self.annotation_inputs(str(spec.dataset)) if path != manifest]
        return {
            "inputs": {"manifest": manifest, "files": listed},
            "recipe": recipe | {"root": self.root(release)},
        }

    def detector_code(self, detector: str) -> str:
        """The plug-in folder that a detecting network is built by."""
        return f"retake/weights/{self.detectors[detector].weights}"

    def detections_parser(self, detector: str) -> str:
        """The file that reads the boxes that a data set brings."""
        return self.parser(str(self.detectors[detector].dataset))

    def detector_on(self, detector: str, release: str) -> str:
        """Who finds a detector's boxes in a release: itself, or of boxes that a data set brings its `elsewhere`."""
        spec = self.detectors[detector]
        if spec.dataset is None or spec.elsewhere is None or self.release_of(spec.dataset) == release:
            return detector
        return spec.elsewhere

    def _same_release(self, detector: str, release: str) -> None:
        dataset = self.detectors[detector].dataset
        if dataset is not None and self.release_of(dataset) != release:
            of = self.release_of(dataset)
            raise SettingError(
                f"detectors.{detector}: {dataset!r} has boxes of release {of!r}, not of {release!r}; "
                "`elsewhere` names the detector that looks at others"
            )

    # --- banks of rows -------------------------------------------------------------------------------------

    def bank_run(self, method: str, bank: str, dataset: str, seed: Any, videos: str | None = None) -> Job:
        """Which filling of a bank a run of a seed reads on a data set.

        videos  another data set, whose videos the bank holds; its producer stays the one trained on `dataset`
        """
        spec = self._rows_bank(method, bank)
        own = seed if spec.seed is None else spec.seed
        place = dataset if videos is None else f"{dataset}{ON}{videos}"
        return {"method": method, "bank": bank, "dataset": place, "seed": own if spec.variant else 0}

    @property
    def bank_place(self) -> str:
        """A pattern of what may stand for the data set of a bank: its name, or with the videos of another,
        `<data set>@<videos>`.
        """
        name = f"(?:{'|'.join(self.datasets) or '(?!)'})"
        return f"{name}(?:{ON}{name})?"

    def _rows_bank(self, method: str, bank: str) -> Bank:
        return self.recipes[method].banks[bank]

    def producer(self, filled: Job) -> tuple[Job, str] | None:
        """(run, stage) whose checkpoint fills a bank; None: no training of this recipe does."""
        spec, method = self._rows_bank(filled["method"], filled["bank"]), filled["method"]
        if spec.variant is None:
            return None
        stages = stages_of(self.recipes[method], spec.variant)
        if spec.stage is not None and spec.stage not in stages:
            where = f"{self.recipe_files[method]}: banks.{filled['bank']}.stage"
            known = did_you_mean(spec.stage, stages)
            raise SettingError(f"{where}: variant {spec.variant!r} has no stage {spec.stage!r}; {known}")
        dataset = spec.dataset or trained_on(filled)
        run = {"method": method, "variant": spec.variant, "dataset": dataset, "seed": filled["seed"]}
        return run, spec.stage or stages[-1]

    def shown(self, filled: Job) -> Source | None:
        """The data entry whose view and sample show a bank's clips; None: its rows are a detector's own.

        Raises SettingError where that entry cuts no clips.
        """
        method, spec = filled["method"], self._rows_bank(filled["method"], filled["bank"])
        made = self.producer(filled)
        if made is None and spec.like is None:
            return None
        variant = made[0]["variant"] if made else str(spec.like)
        recipe = self.recipe_of(method, variant, made[0]["dataset"] if made else trained_on(filled))
        stage = made[1] if made else stages_of(recipe, variant)[-1]
        entry = recipe.stages[stage].data[0]
        if entry.view is None or getattr(entry.sample, "clip", None) is None:
            where = f"{self.recipe_files[method]}: banks.{filled['bank']}"
            raise SettingError(
                f"{where}: stage {stage!r} of {variant!r} has no sample.clip, by which to show seconds"
            )
        return entry

    def bank_view(self, filled: Job) -> str:
        """The view that a bank's videos are seen through."""
        entry = self.shown(filled)
        if entry is not None:
            return str(entry.view)
        return str(self.detectors[str(self._rows_bank(filled["method"], filled["bank"]).detector)].view)

    def bank_folder(self, filled: Job) -> str:
        place = "{method}/{bank}/{dataset}/seed{seed}".format(**filled)
        return f"{self.results}/features/{place}"

    def made_of(self, filled: Job) -> dict[str, str]:
        """What a bank is made of -> the file whose digest says which: checkpoint, media, detections."""
        spec, release = self._rows_bank(filled["method"], filled["bank"]), self.release_of(seen_on(filled))
        found = {"media": f"{self.results}/media/{self.bank_view(filled)}/{release}/index.parquet"}
        if (made := self.producer(filled)) is not None:
            found["checkpoint"] = self.trainings.checkpoint(*made)
        elif spec.weights is not None:
            found["checkpoint"] = self.weights_path(spec.weights)
        if spec.detector is not None:
            detector = self.detector_on(spec.detector, release)
            self._same_release(detector, release)
            found["detections"] = self.detections(detector, release)
        return found

    def given(self, filled: Job) -> list[str]:
        """What a bank is made of and nothing makes for it: of other videos' bank the checkpoint of a training.

        Raises SettingError where it is not there.
        """
        if ON not in filled["dataset"] or self._rows_bank(filled["method"], filled["bank"]).variant is None:
            return []
        there(self.made_of(filled)["checkpoint"])
        return ["checkpoint"]

    def memory(self, run: Job, entry: Source, dataset: str, videos: str | None = None) -> tuple[Job, Job]:
        """(JSON, inputs) of the memory that a data entry of a run's stage has on a data set; empty: none.

        videos  another data set, whose videos are seen; what was trained on `dataset` is taken as it is there
        """
        if entry.memory is None:
            return {}, {}
        held, inputs = self._held(run, entry.memory.bank, dataset, videos)
        job = entry.memory.model_dump(mode="json", exclude={"bank"}) | held
        return {"memory": job}, inputs | {"memory": [held["index"]]}

    def stored(self, run: Job, entry: Source, dataset: str) -> tuple[Job, Job]:
        """(JSON, inputs) of the bank that a data entry of a run's stage reads in the place of its clips."""
        if entry.stored is None:
            return {}, {}
        held, inputs = self._held(run, entry.stored.bank, dataset)
        inputs["arrays"] += [path.replace("features.npy", "boxes.npy") for path in inputs["arrays"]]
        return {"stored": held}, inputs | {"stored": [held["index"]]}

    def _held(self, run: Job, bank: str, dataset: str, videos: str | None = None) -> tuple[Job, Job]:
        """(index and what must have filled it, files) of the bank that a run reads on a data set."""
        filled = self.bank_run(run["method"], bank, dataset, run["seed"], videos)
        folder, made_of = self.bank_folder(filled), self.made_of(filled)
        arrays = [f"{folder}/shard{s}/features.npy" for s in self.shards(self.release_of(seen_on(filled)))]
        made = [made_of[name] for name in sorted(made_of) if name not in self.given(filled)]
        return {"index": f"{folder}/index.parquet", "made_of": made_of}, {"arrays": arrays, "made_of": made}

    def rows_job(self, wildcards: Any) -> Job:
        """Inputs and JSON of one shard of a bank of rows."""
        filled = {key: wildcards[key] for key in ("method", "bank", "dataset", "seed")}
        method, shard, release = filled["method"], wildcards["shard"], self.release_of(seen_on(filled))
        spec, made_of, view = (
            self._rows_bank(method, filled["bank"]),
            self.made_of(filled),
            self.bank_view(filled),
        )
        entry = self.shown(filled)
        inputs: Job = {"index": f"{self.media_shard(view, release, shard)}/index.parquet"}
        recipe: Job = {"bank": spec.told(), "module": None, "data": None}
        if entry is not None:
            inputs["arrays"] = self.shard_arrays(view, release, shard)
            if self.given(filled):
                recipe |= taken(made_of["checkpoint"])
            else:
                inputs["checkpoint"] = made_of["checkpoint"]
            recipe["data"] = {"kind": self.views[view]["kind"], "signal": entry.signal}
            recipe["data"] |= {"sample": entry.sample.model_dump(mode="json")} if entry.sample else {}
            recipe["module"] = f"retake.methods.{method}.model"
        if spec.weights is not None:
            inputs["config"] = self.weights_path(spec.weights, "config.json")
            recipe["module"] = f"retake.weights.{spec.weights}.model"
        if spec.detector is not None:
            folder = self.detection_shard(self.detector_on(spec.detector, release), release, shard)
            inputs["detections"] = f"{folder}/detections.parquet"
            if spec.rows == "objects":
                inputs["arrays"] = [f"{folder}/features.npy"]
        if spec.part == "annotated":
            inputs["annotations"] = self.annotations(seen_on(filled))
        return {"inputs": inputs, "recipe": recipe}

    def rows_code(self, wildcards: Any) -> list[str]:
        """The plug-in folders by which a bank's producer is built."""
        spec = self._rows_bank(wildcards["method"], wildcards["bank"])
        if spec.weights is not None:
            return [f"retake/weights/{spec.weights}"]
        return [f"retake/methods/{wildcards['method']}"] if spec.variant is not None else []

    def index_rows_job(self, wildcards: Any) -> Job:
        """Inputs and JSON of the index of a bank of rows."""
        filled = {key: wildcards[key] for key in ("method", "bank", "dataset", "seed")}
        folders = [
            f"{self.bank_folder(filled)}/shard{s}" for s in self.shards(self.release_of(seen_on(filled)))
        ]
        inputs: Job = {"shards": [f"{folder}/index.parquet" for folder in folders]}
        inputs["arrays"] = [f"{folder}/{file}.npy" for file in ("features", "boxes") for folder in folders]
        given, made_of = self.given(filled), self.made_of(filled)
        recipe = taken(made_of["checkpoint"]) if given else {}
        inputs |= {name: path for name, path in made_of.items() if name not in given}
        return {"inputs": inputs, "recipe": recipe}

    # --- which ---------------------------------------------------------------------------------------------

    def every_read(self) -> Iterator[tuple[Job, Source, str]]:
        """(run, data entry, data set) of all that trainings and predictions read."""
        for run, stage in self.every_training():
            for entry in self.recipe_of(run["method"], run["variant"], run["dataset"]).stages[stage].data:
                yield run, entry, run["dataset"] if entry.dataset == "target" else entry.dataset
        for run in self.every_trained_run():
            recipe = self.recipe_of(run["method"], run["variant"], run["dataset"])
            yield run, recipe.stages[stages_of(recipe, run["variant"])[-1]].data[0], run["dataset"]

    @once
    def every_bank_run(self) -> list[Job]:
        """Every filling of a bank that a training or a prediction reads, each once."""
        found: dict[str, Job] = {}
        for run, entry, dataset in self.every_read():
            for bank in banks_read(entry):
                filled = self.bank_run(run["method"], bank, dataset, run["seed"])
                found[self.bank_folder(filled)] = filled
        return list(found.values())

    def detected(self) -> list[tuple[str, str]]:
        """(detector, release) pairs that a bank, a training or a prediction reads; each once."""
        found = {
            (self.detector_on(name, self.release_of(dataset)), self.release_of(dataset))
            for _, entry, dataset in self.every_read()
            if (name := detector_of(entry)) is not None
        }
        for filled in self.every_bank_run():
            if (name := self._rows_bank(filled["method"], filled["bank"]).detector) is not None:
                release = self.release_of(seen_on(filled))
                found.add((self.detector_on(name, release), release))
        return sorted(found)

    def every_bank_view(self) -> set[tuple[str, str]]:
        """(view, release) pairs that detectors and banks of rows look through."""
        found = {(self.bank_view(b), self.release_of(seen_on(b))) for b in self.every_bank_run()}
        looked = {(self.detectors[name].view, release) for name, release in self.detected()}
        return found | {(view, release) for view, release in looked if view is not None}

    def every_detections_table(self) -> list[str]:
        return [self.detections(*pair) for pair in self.detected()]

    def every_rows_index(self) -> list[str]:
        return [f"{self.bank_folder(filled)}/index.parquet" for filled in self.every_bank_run()]
