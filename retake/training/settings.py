"""The JSON that a training job reads: every key that may stand in it, and what holds where one is left
out.
"""

from typing import Any

REQUIRED = object()

TRAIN = {
    "task": REQUIRED,
    "model": REQUIRED,
    "data": REQUIRED,
    "trainable": REQUIRED,
    "optimiser": REQUIRED,
    "length": REQUIRED,
    "batch": REQUIRED,
    "validation": None,
    "start": [],
    "fresh": [],
    "batch_norm": {},
    "schedule": {},
    "plan": {"name": "constant"},
    "precision": "fp32",
    "parallel": "replicate",
    "diverged": "fail",
    "resume": {},
    "max_steps": None,
}
SOURCE = {
    "dataset": REQUIRED,
    "split": REQUIRED,
    "annotations": REQUIRED,
    "index": None,
    "kind": REQUIRED,
    "signal": None,
    "sample": None,
    "memory": None,  # data/memory: index, made_of, window_s, per_step, direction
    "stored": None,  # data/stored: index, made_of of the bank that is read in the place of clips
    "detections": None,  # the table of the detector that sample.boxes names
    "every_s": None,  # each row is several keyframes, so far apart
    "share": 1.0,
    "rows": "all",
    "labels": "release",
    "task": None,
}
VALIDATION = {"data": REQUIRED, "protocol": None, "at_once": None}
START = {"checkpoint": REQUIRED, "into": "", "leave_out": [], "tokenizer": {}}
OPTIMISER = {
    "name": REQUIRED,
    "groups": REQUIRED,
    "lr": 1.0,
    "clip": None,
    "betas": [0.9, 0.999],
    "eps": 1e-8,
    "momentum": 0.9,
    "nesterov": False,
    "amsgrad": False,
}
LENGTH = {"epochs": None, "steps": None, "patience": None, "monitor": None, "evaluate_every": {"epochs": 1}}
EVERY = {"epochs": None, "steps": None}
BATCH = {"effective": REQUIRED, "at_once": REQUIRED}
BATCH_NORM = {"frozen": [], "affine": "frozen"}
SCHEDULE = {"name": "constant", "warmup_steps": 0, "floor": 0.0, "drops": [], "factor": 0.1}
RESUME = {"every_s": 300.0, "every_steps": None}
PREDICT = {"task": REQUIRED, "data": REQUIRED, "protocol": {}, "at_once": REQUIRED, "precision": "fp32"}
BANK = {
    "weights": None,
    "variant": None,
    "view": None,
    "at_once": 64,
    "precision": "fp32",
    "dtype": "float32",
}

DETECTOR = {
    "weights": None,
    "dataset": None,
    "view": None,
    "classes": [],
    "keep": 0.05,
    "top": None,
    "features": False,
    "at_once": 4,
    "precision": "fp32",
    "dtype": "float16",
}
ROWS = {
    "rows": REQUIRED,
    "every_s": 1.0,
    "part": "video",
    "min_score": 0.0,
    "top": None,
    "grid": None,
    "at_once": 64,
    "precision": "fp32",
    "dtype": "float32",
}


def filled(where: str, given: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """`given` with the defaults of `known`. Raises ValueError that names an unknown or a missing key."""
    if unknown := given.keys() - known.keys():
        raise ValueError(f"{where}: unknown keys {sorted(unknown)}; expected some of {sorted(known)}")
    if missing := [k for k, default in known.items() if default is REQUIRED and k not in given]:
        raise ValueError(f"{where}: missing keys {missing}")
    return {key: given.get(key, default) for key, default in known.items()}


def checked_stage(recipe: dict[str, Any]) -> dict[str, Any]:
    """A stage's whole JSON with every default filled in. Raises ValueError on what cannot be run."""
    recipe = filled("stage", recipe, TRAIN)
    for key, known in (
        ("optimiser", OPTIMISER), ("length", LENGTH), ("batch", BATCH), ("batch_norm", BATCH_NORM),
        ("schedule", SCHEDULE), ("resume", RESUME),
    ):  # fmt: skip
        recipe[key] = filled(f"stage: {key}", recipe[key], known)
    recipe["data"] = [filled(f"stage: data[{i}]", d, SOURCE) for i, d in enumerate(recipe["data"])]
    recipe["start"] = [filled(f"stage: start[{i}]", s, START) for i, s in enumerate(recipe["start"])]
    if recipe["validation"] is not None:
        recipe["validation"] = filled("stage: validation", recipe["validation"], VALIDATION)
        recipe["validation"]["data"] = filled("stage: validation.data", recipe["validation"]["data"], SOURCE)
    length = recipe["length"]
    length["evaluate_every"] = filled("stage: length.evaluate_every", length["evaluate_every"], EVERY)
    for where, unit in (("length", length), ("length.evaluate_every", length["evaluate_every"])):
        if (unit["epochs"] is None) == (unit["steps"] is None):
            raise ValueError(f"stage: {where}: expected exactly one of epochs and steps")
    if length["monitor"] is not None and recipe["validation"] is None:
        raise ValueError(f"stage: length.monitor: {length['monitor']!r} needs a validation")
    if length["patience"] is not None and length["monitor"] is None:
        raise ValueError("stage: length.patience needs a monitor")
    return recipe
