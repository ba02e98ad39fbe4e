"""The only training loop. What differs between methods enters as data, through the model, or through the
batch plan.

A model gives `losses(batch)`: sums over the batch's examples, `total` the one that is minimised, and
`count`, the number of units they are divided by. The loop adds gradients up over mini-batches and processes
and divides by the count of them all, so that a step does not depend on how its examples were cut up. A
model may have `on_shape(shape)`, called before a step, and `before_evaluation(loader)`, where loader()
gives training batches. Whether each process has the whole model is retake/training/parallel.py's to know.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from tqdm import tqdm

from retake.data.loader import Source, epoch_groups, mini_batches, prefetched, to_device, with_end
from retake.data.rows import Row
from retake.training import checkpoint
from retake.training.batch_plan import BatchShape, plan_of
from retake.training.devices import deterministic
from retake.training.divergence import Kept, runs_away
from retake.training.evaluation import Evaluation, add
from retake.training.optimiser import clip, norm_of, optimiser_of, rate_at, set_rate
from retake.training.parallel import parallel_of
from retake.training.resume import Progress, ResumeState, seed_step
from retake.training.settings import checked_stage
from retake.training.stages import Freezer, check_stored
from retake.training.validation import is_better, scores_of

PRECISION = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}
POINTS = 200  # of a training curve
Metric = Callable[[str, float, int], None]


def train_stage(
    *, model_module: str, recipe: dict[str, Any], seed: int, out: Path, metric: Metric, scratch: Path
) -> None:
    """Train one stage and write its checkpoint to `out`.

    recipe   the stage's JSON (settings.py has every key)       metric   called with (name, value, step)
    scratch  folder of the resume state: found there, training goes on from it; the caller removes it on
    success Raises ValueError on a recipe that does not fit the model or the data, FloatingPointError on a
    loss that is no number.
    """
    stage = StageRun(model_module, checked_stage(recipe), seed, metric, scratch)
    stage.train()
    stage.save(out)


def prepared_for(
    module: Any, sizes: dict[str, Any], starts: list[dict[str, Any]], rows: Sequence[Row]
) -> dict[str, Any]:
    """What a model is built from beside its sizes: taken over from a start, else made from the training
    rows. A tokenizer that lies beside published weights is {file name: text}.
    """
    prepared: dict[str, Any] = {}
    wanted = set(getattr(module, "PREPARED", ()))
    for start in starts:
        for key, value in checkpoint.read_header(Path(start["checkpoint"])).get("prepared", {}).items():
            if prepared.setdefault(key, value) != value:
                raise ValueError(f"{start['checkpoint']}: its {key} is not that of an earlier start")
    with_words = [start for start in starts if start.get("tokenizer")] if "tokenizer" in wanted else []
    if len(with_words) > 1 or (with_words and "tokenizer" in prepared):
        raise ValueError(f"{with_words[-1]['checkpoint']}: brings a tokenizer, as an earlier start does")
    for start in with_words:
        files = sorted(start["tokenizer"].items())
        prepared["tokenizer"] = {name: Path(path).read_text(encoding="utf-8") for name, path in files}
    if not hasattr(module, "prepare") or (prepared and wanted <= prepared.keys()):
        return prepared
    return module.prepare(rows, sizes) | prepared


class StageRun(Evaluation):
    """One stage in the making."""

    def __init__(self, model_module: str, recipe: dict[str, Any], seed: int, metric: Metric, scratch: Path):
        deterministic()
        self.recipe, self.seed, self.emit = recipe, seed, metric
        self.accelerator = Accelerator(
            mixed_precision=PRECISION[recipe["precision"]], cpu=not torch.cuda.is_available()
        )
        self.device, self.rank = self.accelerator.device, self.accelerator.process_index
        classes = recipe["model"].get("num_classes")
        self.sources = [Source(spec, num_classes=classes) for spec in recipe["data"]]
        validation = recipe["validation"]
        self.validation = Source(validation["data"], num_classes=classes) if validation else None
        self.scores = scores_of(recipe["length"]["monitor"])
        if self.scores and validation["protocol"] is None:
            raise ValueError(f"length.monitor: {recipe['length']['monitor']!r} needs validation.protocol")
        module = import_module(model_module)
        self.prepared = prepared_for(module, recipe["model"], recipe["start"], self.sources[0].rows)
        torch.manual_seed(seed % 2**63)
        build = partial(module.build, **recipe["model"], **self.prepared)
        self.model, narrow = checkpoint.started(build, recipe["start"], recipe["fresh"])
        self.freezer = Freezer(self.model, recipe["trainable"], recipe["batch_norm"])
        check_stored(module, recipe["data"], self.freezer.trained)
        still = {
            name for name, p in self.model.named_parameters(remove_duplicate=False) if not p.requires_grad
        }
        self.narrow = {name: tensor for name, tensor in narrow.items() if name in still}
        self.parallel = parallel_of(recipe["parallel"], self.accelerator)
        self.parallel.place(self.model)
        self.optimiser = self.accelerator.prepare(optimiser_of(self.model, recipe["optimiser"]))
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.kept = None
        if recipe["diverged"] == "keep":
            self.kept = Kept(self.model, self.trained, self.accelerator)
        self._plan_steps()
        self.identity = checkpoint.digest_of({"recipe": recipe, "seed": seed})
        self.state = ResumeState(scratch, self.identity, recipe["resume"])
        self.progress, self.best = Progress(), None
        self._go_on()

    def _plan_steps(self) -> None:
        """`planned` steps shape the learning rate, whose `schedule` counts in steps; `total` is where training
        ends at the latest.
        """
        self.schedule = self.recipe["schedule"]
        examples = tuple(len(source.order(np.random.default_rng(0))) for source in self.sources)
        self.plan = plan_of(self.recipe["plan"], self.recipe["batch"], examples, self.seed)
        length = self.recipe["length"]
        if length["steps"] is not None:
            self.planned = length["steps"]
        else:
            self.planned = self._steps_in(length["epochs"])
            drops = [self._steps_in(epochs) for epochs in self.recipe["schedule"]["drops"]]
            self.schedule = self.schedule | {"drops": drops}
        self.total = min(self.planned, self.recipe["max_steps"] or self.planned)
        self.log_every = max(1, self.total // POINTS)

    def _steps_in(self, epochs: int) -> int:
        return sum(self.plan.steps(epoch) for epoch in range(epochs))

    # -- going on after a kill

    def _go_on(self) -> None:
        found = self.state.read(self.optimiser, self.parallel.share_of)
        if found is None:
            return
        self.progress, parts, scaler = found
        self.parallel.fill(self.model, parts["model"])
        self.best = parts.get("best")
        if scaler is not None and self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(scaler)
        if self.accelerator.is_main_process:
            for entry in self.progress.history:
                self.emit(*entry)

    def _keep(self) -> None:
        if not self.parallel.agreed(self.state.due(self.progress.step)):
            return
        scaler = self.accelerator.scaler.state_dict() if self.accelerator.scaler is not None else None
        parts = {"model": self.model.state_dict()} | ({"best": self.best} if self.best is not None else {})
        parts = {name: self.parallel.gathered(tensors) for name, tensors in parts.items()}
        optimiser = {
            number: values
            | self.parallel.gathered({k: v for k, v in values.items() if isinstance(v, Tensor)})
            for number, values in self.optimiser.state_dict()["state"].items()
        }
        if self.accelerator.is_main_process:
            self.state.write(self.progress, parts, optimiser, scaler)

    # -- training

    def finished(self) -> bool:
        at, patience = self.progress, self.recipe["length"]["patience"]
        return at.diverged or at.step >= self.total or (patience is not None and at.waited >= patience)

    def train(self) -> None:
        """Steps until the length or the patience ends; then the best weights, where a monitor chooses
        them.
        """
        at = self.progress
        with tqdm(
            total=self.total, initial=at.step, unit="step", disable=not self.accelerator.is_main_process
        ) as bar:
            while not self.finished():
                batches = self._batches(at.epoch, at.group)
                for (shape, group), ended in with_end(islice(self._groups(at.epoch), at.group, None)):
                    begun = time.monotonic()
                    values = self._step(shape, batches, self._num_batches(shape, group))
                    at.step, at.group = at.step + 1, at.group + 1
                    if ended:
                        at.epoch, at.group = at.epoch + 1, 0
                    if values is None:
                        at.diverged = True
                        self._put("train/diverged", 1.0)
                        break
                    self._log(values, len(group) / (time.monotonic() - begun), bar)
                    self._validate(ended)
                    self._keep()
                    if self.finished():
                        break
        if self.best is not None:
            self.parallel.fill(self.model, self.best)

    def _mine(self, shape: BatchShape, group: list[tuple[int, int]]) -> list[tuple[int, list[int]]]:
        """This process's mini-batches; those without rows weigh nothing."""
        return self._evened(group, partial(mini_batches, group, shape.at_once, parts=shape.parts))

    def _num_batches(self, shape: BatchShape, group: list[tuple[int, int]]) -> int:
        return len(self._mine(shape, group))

    def _groups(self, epoch: int) -> Iterator[tuple[BatchShape, list[tuple[int, int]]]]:
        """What each step of an epoch sees, made when it is asked for."""
        return epoch_groups(self.sources, self.plan.shapes(epoch), seed=self.seed, epoch=epoch)

    def _batches(self, epoch: int, skip: int) -> Iterator[tuple[dict[str, Any], float]]:
        """Batches of the epoch's groups from `skip` on, each with its weight (0 or 1)."""

        def makers() -> Iterator[Callable[[], Any]]:
            for number, (shape, group) in enumerate(islice(self._groups(epoch), skip, None), start=skip):
                drawn = shape.frames is not None or shape.size_px is not None
                for part, (of, rows) in enumerate(self._mine(shape, group)):
                    place = [self.seed % 2**63, epoch, number, part, self.rank]
                    rng = np.random.default_rng(place) if drawn else None
                    seen = partial(self.sources[of].batch, rows or [group[0][1]], shape, rng, place[:3])
                    yield partial(self._weighed, seen, float(bool(rows)))

        return prefetched(makers())

    @staticmethod
    def _weighed(made: Callable[[], dict[str, Any]], weight: float) -> tuple[dict[str, Any], float]:
        return made(), weight

    def _step(self, shape: BatchShape, batches: Iterator, num_batches: int) -> dict[str, float] | None:
        """One optimiser step; returns the losses per unit, None where it was undone as the training diverged."""
        self.freezer.train()
        if self.kept is not None:
            self.kept.take()
        if hasattr(self.model, "on_shape"):
            self.model.on_shape(shape)
        seed_step(self.seed, self.progress.step, self.rank)
        self.optimiser.zero_grad()
        sums: dict[str, Tensor] = {}
        for _ in range(num_batches):
            batch, weight = next(batches)
            with self.accelerator.autocast():
                losses = self.model.losses(to_device(batch, self.device))
            # divided by what is known now, to stay in range; the global count puts it right below
            self.accelerator.backward(losses["total"] * (weight / shape.items))
            add(sums, losses, weight)
        values = self.reduced(sums)
        count = values.pop("count")
        away = runs_away(values["total"] / count, self.progress.first) if count > 0 else True
        if count <= 0 or (self.kept is None and not math.isfinite(values["total"])):
            raise FloatingPointError(
                f"step {self.progress.step}: total loss {values['total']} over {count} units"
            )
        if self.kept is not None and away:
            self.kept.put_back()
            return None
        self.parallel.add_up(self.trained)
        self.parallel.unscale(self.optimiser)
        for parameter in self.trained:
            if parameter.grad is not None:
                parameter.grad.mul_(shape.items / count)
        found = {name: value / count for name, value in values.items()}
        if self._is_logged(self.progress.step + 1):
            found["grad_norm"] = self.parallel.number(norm_of(self.trained))
        clip(self.trained, self.recipe["optimiser"]["clip"])
        share = rate_at(self.progress.step, self.planned, self.schedule)
        set_rate(self.optimiser, share * shape.lr_scale)
        self.optimiser.step()
        if self.kept is not None and not self.kept.finite():
            self.kept.put_back()
            return None
        if self.progress.first is None:
            self.progress.first = found["total"]
        return found

    # -- what comes out on the way

    def _put(self, name: str, value: float, *, timing: bool = False) -> None:
        """A metric to the record, and to the history that a resumed run repeats."""
        if self.accelerator.is_main_process:
            self.emit(name, value, self.progress.step)
        if not timing:
            self.progress.history.append((name, value, self.progress.step))

    def _is_logged(self, step: int) -> bool:
        return step % self.log_every == 0 or step == self.total

    def _log(self, values: dict[str, float], items_per_s: float, bar: tqdm) -> None:
        bar.update()
        bar.set_postfix({"loss": f"{values['total']:.3f}", "items/s": f"{items_per_s:.0f}"}, refresh=False)
        if not self._is_logged(self.progress.step):
            return
        for name, value in values.items():
            if name != "grad_norm" or math.isfinite(
                value
            ):  # of a step that loss scaling leaves out it is none
                self._put(f"train/{name}", value)
        for number, group in enumerate(self.optimiser.param_groups):
            self._put(f"train/lr{number}", group["lr"])
        self._put("train/items_per_s", items_per_s, timing=True)

    def _validate(self, epoch_ended: bool) -> None:
        """Validate where it is due (the last step always is); keep the best weights."""
        at, length = self.progress, self.recipe["length"]
        every = length["evaluate_every"]
        if every["steps"] is not None:
            due = at.step % every["steps"] == 0
        else:
            due = epoch_ended and at.epoch % every["epochs"] == 0
        if self.validation is None or not (due or at.step >= self.total):
            return
        values = self._evaluate()
        for name, value in values.items():
            self._put(name, value)
        monitor = length["monitor"]
        if monitor is None:
            return
        if monitor not in values:
            raise ValueError(f"length.monitor: {monitor!r} is not among {sorted(values)}")
        at.waited += 1
        if is_better(monitor, values[monitor], at.best):
            at.best, at.best_step, at.waited = values[monitor], at.step, 0
            self.best = self.parallel.copied(self.model)

    def _training_batches(self) -> Iterator[dict[str, Any]]:
        """Batches of the present epoch from its begin, on the device: for statistics that are gathered
        anew.
        """
        for batch, weight in self._batches(self.progress.epoch, 0):
            if weight:
                yield to_device(batch, self.device)

    def save(self, out: Path) -> None:
        tensors, aliases = self.parallel.written(self.model)
        if self.accelerator.is_main_process:
            header = {
                "sizes": self.recipe["model"],
                "prepared": self.prepared,
                "recipe_sha256": self.identity,
            }
            tensors |= {
                name: self.narrow[name] for name in tensors if name in self.narrow
            }  # halves stay halves
            checkpoint.save_tensors(out, tensors, aliases, header)
        self.accelerator.wait_for_everyone()
