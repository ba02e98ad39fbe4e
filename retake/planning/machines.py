"""What jobs ask of the machine, by scale."""

from typing import TYPE_CHECKING

from retake.schema.card import TOKENIZERS, WeightsCard
from retake.schema.config import Config


class Machines:
    """The part of `retake.plan.Plan` that speaks of GPUs, threads and memory."""

    if TYPE_CHECKING:
        config: Config
        scale: str
        weights: dict[str, WeightsCard]

    @property
    def published(self) -> list[str]:
        """Foundations that are fetched."""
        return list(self.weights) if self.scale == "paper" else []

    @property
    def pretrained(self) -> list[str]:
        """Foundations that the graph trains itself."""
        return list(self.weights) if self.scale == "mini" else []

    def with_words(self, names: list[str], kind: str | None) -> list[str]:
        """Those of the foundations `names` whose tokenizer is of a kind (TOKENIZERS); None: that have none."""
        files = list(TOKENIZERS[kind]) if kind is not None else []
        return [name for name in names if self.weights[name].tokenizer == files]

    @property
    def fetching_mb(self) -> int:
        """Pickled weights are in memory while they are rewritten."""
        pickled = any(file.becomes for card in self.weights.values() for file in card.source.files)
        return 12_000 if pickled and self.published else 1000

    @property
    def gpu(self) -> int:
        """GPUs that a job of a network asks for; at mini scale none, else all would queue behind one."""
        return self.config.devices if self.scale == "paper" else 0

    @property
    def threads(self) -> int:
        """Threads of a training; one at mini scale, since a second one changes the last bits."""
        return 8 if self.scale == "paper" else 1

    @property
    def timing_threads(self) -> int:
        """Processors that are kept free of all else while times are taken; Snakemake gives at most what it has."""
        return 16

    @property
    def training_mb(self) -> int:
        return 1450 if self.scale == "mini" else 32_000

    @property
    def timing_mb(self) -> int:
        """Networks are timed at the papers' size whatever the scale."""
        return 1700 if self.scale == "mini" else 32_000

    @property
    def launcher(self) -> str:
        """What starts a training: what starts every script, or one process a GPU."""
        alone = "python retake/launch.py"
        return f"torchrun --standalone --nproc-per-node {self.gpu}" if self.gpu > 1 else alone
