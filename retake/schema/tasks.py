"""Tasks and metrics: what a model answers with, and what its answers are scored in."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """Columns that a prediction table has beside item_id; each must be there."""

    columns: tuple[str, ...]


@dataclass(frozen=True)
class Metric:
    """unit: what one prints it in; scale: a stored fraction times this is the printed number."""

    name: str
    tasks: tuple[str, ...]
    higher_is_better: bool = True
    unit: str = "percent"
    scale: float = 100.0


TASKS = {
    "caption": Task(("text",)),
    "answer": Task(("text",)),
    "classify": Task(("scores",)),
    "classify_multi": Task(("scores",)),
    "choose": Task(("scores",)),
    "retrieve": Task(("candidate_id", "score")),
    "detect": Task(("box_xyxy", "scores")),
    "regress": Task(("value",)),
    "compress": Task(("frame", "bits")),
}

MS = "ms per frame"
METRICS = {
    "bleu4": Metric("BLEU-4", ("caption",)),
    "meteor": Metric("METEOR", ("caption",)),
    "rouge_l": Metric("ROUGE-L", ("caption",)),
    "cider": Metric("CIDEr", ("caption",)),
    "facts_one_frame": Metric("facts told by one frame", ("caption",)),
    "facts_order": Metric("facts told by order", ("caption",)),
    "facts_motion": Metric("facts told by motion", ("caption",)),
    "facts_sound": Metric("facts told by sound", ("caption",)),
    "facts_far": Metric("facts told by a far event", ("caption",)),
    "top1": Metric("top-1", ("classify",)),
    "top5": Metric("top-5", ("classify",)),
    "acc": Metric("accuracy", ("choose", "answer")),
    "map": Metric("mAP", ("classify_multi", "detect")),
    "wap": Metric("wAP", ("classify_multi",)),
    "r1": Metric("R@1", ("retrieve",)),
    "r5": Metric("R@5", ("retrieve",)),
    "r10": Metric("R@10", ("retrieve",)),
    "medr": Metric("median rank", ("retrieve",), higher_is_better=False, unit="rank", scale=1.0),
    "mse": Metric("mean squared error", ("regress",), higher_is_better=False, unit="", scale=1.0),
    "psnr": Metric("PSNR", ("compress",), unit="dB", scale=1.0),
    "ms_ssim": Metric("MS-SSIM", ("compress",), unit="", scale=1.0),
    "bpp": Metric("rate", ("compress",), higher_is_better=False, unit="bits per pixel", scale=1.0),
    # what a system costs: of no task, see retake.schema.costs
    "gflops": Metric("cost", (), higher_is_better=False, unit="GFLOPs", scale=1.0),
    "ms_prepare": Metric("preparation, one thread", (), False, MS, 1.0),
    "ms_prepare_many": Metric("preparation, many processes", (), False, MS, 1.0),
    "ms_in_turn": Metric("networks, one after the other", (), False, MS, 1.0),
    "ms_at_once": Metric("networks, at the same time", (), False, MS, 1.0),
}


def metrics_of(task: str) -> list[str]:
    return [name for name, metric in METRICS.items() if task in metric.tasks]
