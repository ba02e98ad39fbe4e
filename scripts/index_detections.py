"""Join the shards of a detector into one table (rule index_detections)."""

from retake.data.detections import index_detections
from retake.job import job

with job() as j:
    index_detections(
        tables=j.input["tables"],
        failures=j.input["failures"],
        table_out=j.output["table"],
        failures_out=j.output["failures"],
    )
