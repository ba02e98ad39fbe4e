"""Let a labeller caption the stills of a figure several times (rule caption_stills)."""

from retake.job import job
from retake.labelling.stills import caption_stills

with job() as j:
    caption_stills(
        weights_module=f"retake.weights.{j.recipe['spec']['weights']}.model",
        recipe=j.recipe,
        annotations=j.input["annotations"],
        manifests=j.input["manifests"],
        weights=j.input["weights"],
        config=j.input["config"],
        tokenizer=j.input["tokenizer"],
        out=j.output["pictures"],
    )
