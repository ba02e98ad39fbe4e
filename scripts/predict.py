"""Answer for every item of a split (rule predict)."""

from retake.job import job
from retake.training.inference import predict

with job() as j:
    predict(
        model_module=f"retake.methods.{j.wildcards['method']}.model",
        recipe=j.recipe,
        checkpoint=j.input["checkpoint"],
        seed=j.seed,
        out=j.output["predictions"],
    )
