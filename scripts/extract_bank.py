"""Write one shard of a foundation's frozen features (rule extract_bank)."""

from retake.job import job
from retake.training.banks import extract_bank

with job() as j:
    extract_bank(
        weights_module=f"retake.weights.{j.recipe['weights']}.model",
        recipe=j.recipe,
        weights=j.input["weights"],
        config=j.input["config"],
        index=j.input["index"],
        array_out=j.output["array"],
        index_out=j.output["index"],
    )
