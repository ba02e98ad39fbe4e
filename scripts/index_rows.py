"""Join the shards of a bank of rows into one index (rule index_rows)."""

from retake.data.row_index import index_rows
from retake.job import job

with job() as j:
    index_rows(
        shards=j.input["shards"],
        media=j.input["media"],
        checkpoint=j.input.get("checkpoint") or j.recipe.get("checkpoint"),
        detections=j.input.get("detections"),
        index_out=j.output["index"],
    )
