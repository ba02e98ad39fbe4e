"""Tasks and metrics: what a model answers with, and what its answers are scored in."""

from dataclasses import dataclass
from functools import cache


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

TRAINING = "training"  # in the place of a protocol: the row is of a training, its split a stage's name
TRAINED = ("last_loss", "loss_spikes", "grad_spread", "diverged", "gate_move")
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
    # mean over the classes of one kind of evidence: of the mini world alone, whose truth says which they are
    "ap_one_frame": Metric("mAP, told by one frame", ("detect",)),
    "ap_motion": Metric("mAP, told by motion", ("detect",)),
    "ap_far5": Metric("mAP, told 5 s away", ("detect",)),
    "ap_far15": Metric("mAP, told 15 s away", ("detect",)),
    "ap_far30": Metric("mAP, told 30 s away", ("detect",)),
    "r1": Metric("R@1", ("retrieve",)),
    "r5": Metric("R@5", ("retrieve",)),
    "r10": Metric("R@10", ("retrieve",)),
    "medr": Metric("median rank", ("retrieve",), higher_is_better=False, unit="rank", scale=1.0),
    "mse": Metric("mean squared error", ("regress",), higher_is_better=False, unit="", scale=1.0),
    "psnr": Metric("PSNR", ("compress",), unit="dB", scale=1.0),
    "ms_ssim": Metric("MS-SSIM", ("compress",), unit="", scale=1.0),
    "bpp": Metric("rate", ("compress",), higher_is_better=False, unit="bits per pixel", scale=1.0),
    # what is told of a training, by its record and its checkpoint: of no task, protocol `training`
    "last_loss": Metric("loss at the end", (), False, "", 1.0),
    "loss_spikes": Metric("loss spikes", (), False, "steps", 1.0),
    "grad_spread": Metric("spread of the gradient's norm", (), False, "", 1.0),
    "diverged": Metric("diverged", (), False, "", 1.0),
    "gate_move": Metric("largest move of a gate", (), False, "", 1.0),
    # how good labels are: of no task, see retake.schema.quality
    "label_fits": Metric("fits its clip", ()),
    "label_better": Metric("the better one, ties halved", ()),
    "label_tied": Metric("as good", ()),
    "label_greets": Metric("greets or parts", (), False),
    "label_chat": Metric("chit-chat", (), False),
    "label_words": Metric("length", (), unit="words", scale=1.0),
    "label_distinct": Metric("distinct", ()),
    "label_permuted": Metric("fits another video's clip", (), False),
    "label_gain": Metric("fits its own clip more often", ()),
    # what a system costs: of no task, see retake.schema.costs
    "gflops": Metric("cost", (), higher_is_better=False, unit="GFLOPs", scale=1.0),
    "gflops_x": Metric("cost over the first's", (), False, "times", 1.0),
    "params_m": Metric("parameters", (), False, "10^6", 1.0),
    "params_m_x": Metric("parameters over the first's", (), False, "times", 1.0),
    "ms_prepare": Metric("preparation, one thread", (), False, MS, 1.0),
    "ms_prepare_many": Metric("preparation, many processes", (), False, MS, 1.0),
    "ms_in_turn": Metric("networks, one after the other", (), False, MS, 1.0),
    "ms_at_once": Metric("networks, at the same time", (), False, MS, 1.0),
    "pairs": Metric("operations", (), False, "pairs of query and key", 1.0),
    # what a part of a network is made of and gives, see retake.costs.parts
    "blocks": Metric("blocks", (), unit="", scale=1.0),
    "over_time": Metric("layers over several frames", (), unit="", scale=1.0),
    "kernel_frames": Metric("longest kernel", (), unit="frames", scale=1.0),
    "kernel_px": Metric("widest kernel", (), unit="pixels", scale=1.0),
    "out_channels": Metric("channels", (), unit="", scale=1.0),
    "out_frames": Metric("output length", (), unit="frames", scale=1.0),
    "out_height": Metric("output height", (), unit="pixels", scale=1.0),
    "out_width": Metric("output width", (), unit="pixels", scale=1.0),
    "ms_step": Metric("forward and backward", (), False, "ms", 1.0),
    "mb_kept": Metric("kept for the backward pass", (), False, "MB", 1.0),
}


@cache
def metrics_of(task: str) -> tuple[str, ...]:
    return tuple(name for name, metric in METRICS.items() if task in metric.tasks)
