"""Join the shards of a view into one index and judge how many videos failed (rule index_media)."""

from retake.data.array_index import index_arrays
from retake.job import job

with job() as j:
    index_arrays(
        shards=j.input["shards"],
        failures=j.input["failures"],
        max_failures=j.recipe["max_failures"],
        beside=j.recipe.get("beside", ()),
        index_out=j.output["index"],
        failures_out=j.output["failures"],
    )
