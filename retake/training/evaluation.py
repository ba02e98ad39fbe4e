"""A model over a validation split, by all processes together: the part of the loop that trains nothing."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn

from retake.data.loader import Source, mini_batches, prefetched, to_device
from retake.training.parallel import Replicated


class Evaluation:
    """The part of `retake.training.loop.StageRun` that evaluates; the attributes below are the run's."""

    if TYPE_CHECKING:
        recipe: dict[str, Any]
        accelerator: Accelerator
        parallel: Replicated
        device: torch.device
        rank: int
        model: nn.Module
        validation: Source | None
        scores: dict[str, Any]

        def _training_batches(self) -> Iterator[dict[str, Any]]: ...

    def reduced(self, sums: dict[str, Tensor]) -> dict[str, float]:
        """Sums over all processes, as numbers."""
        names = sorted(sums)
        stacked = self.accelerator.reduce(torch.stack([sums[n] for n in names]), reduction="sum")
        return dict(zip(names, stacked.tolist(), strict=True))

    def _evened(
        self, group: list[tuple[int, int]], dealt: Callable[..., list]
    ) -> list[tuple[int, list[int]]]:
        """This process's mini-batches as `dealt` gives them, and such without rows where it would have none, or
        fewer than another with which it keeps in step.
        """
        num = self.accelerator.num_processes
        mine, most = dealt(rank=self.rank, num_processes=num), 1
        if self.parallel.in_step:
            most = max(1, *(len(dealt(rank=rank, num_processes=num)) for rank in range(num)))
        return mine + [(group[0][0], [])] * (most - len(mine))

    @torch.no_grad()
    def _evaluate(self) -> dict[str, float]:
        """Losses per unit over the whole validation split, and the monitor's score."""
        if hasattr(self.model, "before_evaluation"):
            self.model.before_evaluation(self._training_batches)
        self.model.eval()
        settings, source = self.recipe["validation"], self.validation
        at_once = settings["at_once"] or self.recipe["batch"]["at_once"]
        rows = [(0, number) for number in range(len(source.rows))]
        parts = [numbers for _, numbers in self._evened(rows, partial(mini_batches, rows, at_once))]
        sums: dict[str, Tensor] = {}
        made = prefetched(partial(source.batch, numbers or [0]) for numbers in parts)
        for batch, numbers in zip(made, parts, strict=True):
            with self.accelerator.autocast():
                add(sums, self.model.losses(to_device(batch, self.device)), float(bool(numbers)))
        values = self.reduced(sums)
        count = values.pop("count")
        found = {f"val/{name}": value / count for name, value in values.items()}
        if self.scores:
            answers, references = self._answers(source, at_once, settings["protocol"])
            found |= {f"val/{name}": score(answers, references) for name, score in self.scores.items()}
        return found

    def _answers(self, source: Source, at_once: int, protocol: dict[str, Any]) -> tuple[dict, dict]:
        """Predictions by item, from all processes, and the rows that they are held against.

        Processes that keep in step all predict everything: an answer's length decides how often units meet.
        """
        references: dict[str, list[dict[str, Any]]] = {}
        first: dict[str, int] = {}
        for number, row in enumerate(source.rows):
            references.setdefault(row["item_id"], []).append(row)
            first.setdefault(row["item_id"], number)
        units = [(0, number) for number in first.values()]
        num = 1 if self.parallel.in_step else self.accelerator.num_processes
        parts = mini_batches(units, at_once, rank=self.rank % num, num_processes=num)
        pairs: list[tuple[str, dict[str, Any]]] = []
        for batch in prefetched(partial(source.batch, numbers) for _, numbers in parts):
            with self.accelerator.autocast():
                rows = self.model.predict(to_device(batch, self.device), protocol)
            pairs += zip(batch["item_id"], rows, strict=True)
        if num > 1:
            pairs = gather_object(pairs)
        return dict(sorted(pairs)), references


def add(sums: dict[str, Tensor], losses: dict[str, Tensor], weight: float) -> None:
    """Add a mini-batch's losses, in double precision."""
    for name, value in losses.items():
        sums[name] = sums.get(name, 0.0) + value.detach().double() * weight
