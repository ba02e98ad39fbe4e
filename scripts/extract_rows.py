"""Write one shard of a bank of rows (rule extract_rows)."""

from retake.job import job
from retake.training.rows import extract_rows

with job() as j:
    extract_rows(
        recipe=j.recipe,
        index=j.input["index"],
        checkpoint=j.input.get("checkpoint"),
        config=j.input.get("config"),
        detections=j.input.get("detections"),
        annotations=j.input.get("annotations"),
        array_out=j.output["array"],
        boxes_out=j.output["boxes"],
        index_out=j.output["index"],
    )
