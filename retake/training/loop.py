"""The only training loop. What differs between methods enters as data, through the model, or through the
batch plan.

A model gives `losses(batch)`: sums over the batch's examples, `total` the one that is minimised, and
`count`, the number of units they are divided by. The loop adds gradients up over mini-batches and processes
and divides by the count of them all, so that a step does not depend on how its examples were cut up. A
model may have `on_shape(shape)`, called before a step, and `before_evaluation(loader)`, where loader()
gives training batches.
"""

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from tqdm import tqdm

from retake.data.loader import Source, epoch_groups, mini_batches, prefetched, to_device
from retake.training import checkpoint
from retake.training.batch_plan import BatchShape, plan_of
from retake.training.devices import deterministic
from retake.training.optimiser import clip, optimiser_of, rate_at, set_rate
from retake.training.resume import Progress, ResumeState, seed_step
from retake.training.settings import checked_stage
from retake.training.stages import Freezer
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
    module: Any, sizes: dict[str, Any], starts: list[dict[str, Any]], rows: list[dict[str, Any]]
) -> dict[str, Any]:
    """What a model is built from beside its sizes: taken over from a start, else made from the training
    rows.
    """
    prepared: dict[str, Any] = {}
    for start in starts:
        for key, value in checkpoint.read_header(Path(start["checkpoint"])).get("prepared", {}).items():
            if prepared.setdefault(key, value) != value:
                raise ValueError(f"{start['checkpoint']}: its {key} is not that of an earlier start")
    if prepared or not hasattr(module, "prepare"):
        return prepared
    return module.prepare(rows, sizes)


class StageRun:
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
        self.model: nn.Module = module.build(**recipe["model"], **self.prepared)
        checkpoint.start_from(self.model, recipe["start"], recipe["fresh"])
        self.model.to(self.device)
        self.freezer = Freezer(self.model, recipe["trainable"], recipe["batch_norm"])
        self.optimiser = self.accelerator.prepare(optimiser_of(self.model, recipe["optimiser"]))
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
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
        examples = sum(len(source.order(np.random.default_rng(0))) for source in self.sources)
        self.plan = plan_of(self.recipe["plan"], self.recipe["batch"], examples)
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
        found = self.state.read(self.optimiser)
        if found is None:
            return
        self.progress, parts, scaler = found
        self.model.load_state_dict(parts["model"])
        self.best = parts.get("best")
        if scaler is not None and self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(scaler)
        if self.accelerator.is_main_process:
            for entry in self.progress.history:
                self.emit(*entry)

    def _keep(self) -> None:
        if not self.accelerator.is_main_process or not self.state.due(self.progress.step):
            return
        scaler = self.accelerator.scaler.state_dict() if self.accelerator.scaler is not None else None
        parts = {"model": self.model.state_dict()} | ({"best": self.best} if self.best is not None else {})
        self.state.write(self.progress, parts, self.optimiser, scaler)

    # -- training

    def finished(self) -> bool:
        patience = self.recipe["length"]["patience"]
        return self.progress.step >= self.total or (patience is not None and self.progress.waited >= patience)

    def train(self) -> None:
        """Steps until the length or the patience ends; then the best weights, where a monitor chooses
        them.
        """
        at = self.progress
        with tqdm(
            total=self.total, initial=at.step, unit="step", disable=not self.accelerator.is_main_process
        ) as bar:
            while not self.finished():
                groups = list(
                    epoch_groups(self.sources, self.plan.shapes(at.epoch), seed=self.seed, epoch=at.epoch)
                )
                batches = self._batches(at.epoch, groups, at.group)
                for shape, group in groups[at.group :]:
                    begun = time.monotonic()
                    values = self._step(shape, batches, self._num_batches(shape, group))
                    at.step, at.group = at.step + 1, at.group + 1
                    ended = at.group == len(groups)
                    if ended:
                        at.epoch, at.group = at.epoch + 1, 0
                    self._log(values, len(group) / (time.monotonic() - begun), bar)
                    self._validate(ended)
                    self._keep()
                    if self.finished():
                        break
        if self.best is not None:
            self.model.load_state_dict(self.best)

    def _mine(self, shape: BatchShape, group: list[tuple[int, int]]) -> list[tuple[int, list[int]]]:
        """This process's mini-batches; one of weight 0 where a small last group has none for it."""
        ranks = {"rank": self.rank, "num_processes": self.accelerator.num_processes}
        return mini_batches(group, shape.at_once, **ranks) or [(group[0][0], [])]

    def _num_batches(self, shape: BatchShape, group: list[tuple[int, int]]) -> int:
        return len(self._mine(shape, group))

    def _batches(self, epoch: int, groups: list, skip: int) -> Iterator[tuple[dict[str, Any], float]]:
        """Batches of the epoch's groups from `skip` on, each with its weight (0 or 1)."""

        def makers() -> Iterator[Callable[[], Any]]:
            for number, (shape, group) in enumerate(groups[skip:], start=skip):
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

    def _step(self, shape: BatchShape, batches: Iterator, num_batches: int) -> dict[str, float]:
        """One optimiser step; returns the losses per unit."""
        self.freezer.train()
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
        if not math.isfinite(values["total"]) or count <= 0:
            raise FloatingPointError(
                f"step {self.progress.step}: total loss {values['total']} over {count} units"
            )
        self._gather_gradients()
        self.accelerator.unscale_gradients(self.optimiser)
        for parameter in self.trained:
            if parameter.grad is not None:
                parameter.grad.mul_(shape.items / count)
        clip(self.trained, self.recipe["optimiser"]["clip"])
        share = rate_at(self.progress.step, self.planned, self.schedule)
        set_rate(self.optimiser, share * shape.lr_scale)
        self.optimiser.step()
        return {name: value / count for name, value in values.items()}

    def _gather_gradients(self) -> None:
        """Sum over processes. Losses are sums, so gradients add up; averaging wrappers would not know the
        counts.
        """
        if self.accelerator.num_processes == 1:
            return
        for parameter in self.trained:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            parameter.grad = self.accelerator.reduce(parameter.grad, reduction="sum")

    def reduced(self, sums: dict[str, Tensor]) -> dict[str, float]:
        """Sums over all processes, as numbers."""
        names = sorted(sums)
        stacked = self.accelerator.reduce(torch.stack([sums[n] for n in names]), reduction="sum")
        return dict(zip(names, stacked.tolist(), strict=True))

    # -- what comes out on the way

    def _put(self, name: str, value: float, *, timing: bool = False) -> None:
        """A metric to the record, and to the history that a resumed run repeats."""
        if self.accelerator.is_main_process:
            self.emit(name, value, self.progress.step)
        if not timing:
            self.progress.history.append((name, value, self.progress.step))

    def _log(self, values: dict[str, float], items_per_s: float, bar: tqdm) -> None:
        bar.update()
        bar.set_postfix({"loss": f"{values['total']:.3f}", "items/s": f"{items_per_s:.0f}"}, refresh=False)
        if self.progress.step % self.log_every and self.progress.step != self.total:
            return
        for name, value in values.items():
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
            self.best = {
                name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()
            }

    @torch.no_grad()
    def _evaluate(self) -> dict[str, float]:
        """Losses per unit over the whole validation split, and the monitor's score."""
        if hasattr(self.model, "before_evaluation"):
            self.model.before_evaluation(self._training_batches)
        self.model.eval()
        settings, source = self.recipe["validation"], self.validation
        at_once = settings["at_once"] or self.recipe["batch"]["at_once"]
        rows = [(0, number) for number in range(len(source.rows))]
        parts = mini_batches(rows, at_once, rank=self.rank, num_processes=self.accelerator.num_processes)
        sums: dict[str, Tensor] = {}
        for batch in prefetched(partial(source.batch, numbers) for _, numbers in parts):
            with self.accelerator.autocast():
                add(sums, self.model.losses(to_device(batch, self.device)), 1.0)
        values = self.reduced(sums)
        count = values.pop("count")
        found = {f"val/{name}": value / count for name, value in values.items()}
        if self.scores:
            answers, references = self._answers(source, at_once, settings["protocol"])
            found |= {f"val/{name}": score(answers, references) for name, score in self.scores.items()}
        return found

    def _answers(self, source: Source, at_once: int, protocol: dict[str, Any]) -> tuple[dict, dict]:
        """Predictions by item, from all processes, and the rows that they are held against."""
        references: dict[str, list[dict[str, Any]]] = {}
        first: dict[str, int] = {}
        for number, row in enumerate(source.rows):
            references.setdefault(row["item_id"], []).append(row)
            first.setdefault(row["item_id"], number)
        units = [(0, number) for number in first.values()]
        parts = mini_batches(units, at_once, rank=self.rank, num_processes=self.accelerator.num_processes)
        pairs: list[tuple[str, dict[str, Any]]] = []
        for batch in prefetched(partial(source.batch, numbers) for _, numbers in parts):
            with self.accelerator.autocast():
                rows = self.model.predict(to_device(batch, self.device), protocol)
            pairs += zip(batch["item_id"], rows, strict=True)
        if self.accelerator.num_processes > 1:
            pairs = gather_object(pairs)
        return dict(sorted(pairs)), references

    def _training_batches(self) -> Iterator[dict[str, Any]]:
        """Batches of the present epoch from its begin, on the device: for statistics that are gathered
        anew.
        """
        epoch = self.progress.epoch
        groups = list(epoch_groups(self.sources, self.plan.shapes(epoch), seed=self.seed, epoch=epoch))
        for batch, _ in self._batches(epoch, groups, 0):
            yield to_device(batch, self.device)

    def save(self, out: Path) -> None:
        if self.accelerator.is_main_process:
            sizes = {"sizes": self.recipe["model"], "prepared": self.prepared}
            checkpoint.save(out, self.model, **sizes, recipe_sha256=self.identity)
        self.accelerator.wait_for_everyone()


def add(sums: dict[str, Tensor], losses: dict[str, Tensor], weight: float) -> None:
    """Add a mini-batch's losses, in double precision."""
    for name, value in losses.items():
        sums[name] = sums.get(name, 0.0) + value.detach().double() * weight
