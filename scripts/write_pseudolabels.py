"""Caption one shard's videos chunk by chunk with a frozen labeller (rule write_pseudolabels)."""

from retake.job import job
from retake.labelling.write import write_pseudolabels

with job() as j:
    write_pseudolabels(
        weights_module=f"retake.weights.{j.recipe['spec']['weights']}.model",
        recipe=j.recipe,
        manifest=j.input["manifest"],
        weights=j.input["weights"],
        config=j.input["config"],
        tokenizer=j.input["tokenizer"],
        decoders=j.threads,
        scratch=j.scratch,
        metric=j.record.metric,
        out=j.output,
    )
