"""Train a foundation in the graph, in the published layout (rule pretrain_weights)."""

from retake.job import job
from retake.training.pretrain import pretrain_weights

with job() as j:
    pretrain_weights(
        weights_module=f"retake.weights.{j.wildcards['weights']}.model",
        recipe=j.recipe,
        seed=j.seed,
        out=j.output["weights"],
        config=j.output["config"],
        beside=j.output,
        metric=j.record.metric,
        scratch=j.scratch,
    )
