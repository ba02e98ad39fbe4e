"""Join the shards of a bank into one index (rule index_bank)."""

from retake.data.array_index import index_arrays
from retake.job import job

with job() as j:
    index_arrays(shards=j.input["shards"], index_out=j.output["index"])
