"""Train one stage of one variant (rule train_stage)."""

from retake.job import job
from retake.training.loop import train_stage

with job() as j:
    train_stage(
        model_module=f"retake.methods.{j.wildcards['method']}.model",
        recipe=j.recipe,
        seed=j.seed,
        out=j.output["checkpoint"],
        metric=j.record.metric,
        scratch=j.scratch,
    )
