"""Score one stage of a training by its record and its checkpoint (rule score_training)."""

from retake.job import job
from retake.training.scoring import score_training

with job() as j:
    score_training(
        model_module=f"retake.methods.{j.wildcards['method']}.model",
        recipe=j.recipe,
        record=j.input["trained"],
        checkpoint=j.input["checkpoint"],
        out=j.output["metrics"],
        items_out=j.output["per_item"],
    )
