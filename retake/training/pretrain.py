"""What mini scale puts in the place of published weights: a small network trained here, in the published
file's layout.
"""

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from retake.training import checkpoint
from retake.training.loop import StageRun
from retake.training.settings import checked_stage


def pretrain_weights(
    *, weights_module: str, recipe: dict[str, Any], seed: int, out: Path, config: Path,
    metric: Callable[[str, float, int], None], scratch: Path, beside: Mapping[str, Path] = MappingProxyType({}),
) -> None:  # fmt: skip
    """Train the network of retake/weights/<name>/model.py and write `out` (model.safetensors) and `config`
    (JSON).

    recipe is a stage's JSON, as of train_stage. The two files have the names and keys that the published
    ones have, so that one reader reads both. Further files that the module publishes, such as a tokenizer's,
    go to the path of that name in `beside`, or beside `out`.
    """
    stage = StageRun(weights_module, checked_stage(recipe), seed, metric, scratch)
    stage.train()
    module = import_module(weights_module)
    tensors, described, *files = module.published(stage.model, stage.recipe["model"])
    checkpoint.write_tensors(out, tensors, {"recipe_sha256": stage.identity})
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(json.dumps(described, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    places = {path.name: path for path in beside.values()}
    for name, text in sorted(files[0].items()) if files else ():
        path = places.get(name, out.parent / name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
