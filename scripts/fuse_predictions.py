"""Fuse several variants' predictions, item by item (rule fuse_predictions)."""

from retake.job import job
from retake.training.fusion import fuse_predictions

with job() as j:
    fuse_predictions(
        parts=dict(zip(map(str, j.input["parts"]), j.recipe["weights"], strict=True)),
        task=j.recipe["task"],
        combiner=j.recipe["combiner"],
        out=j.output["predictions"],
        annotations=j.input.get("annotations", []),
    )
