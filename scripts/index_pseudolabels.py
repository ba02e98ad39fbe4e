"""Join the shards of a release's pseudolabels into one table (rule index_pseudolabels)."""

from retake.job import job
from retake.labelling.index import index_pseudolabels

with job() as j:
    index_pseudolabels(
        tables=j.input["tables"],
        lines=j.input["lines"],
        failures=j.input["failures"],
        table_out=j.output["table"],
        jsonl_out=j.output["jsonl"],
        failures_out=j.output["failures"],
    )
