"""Read what the codec knows of one shard's frames and store it packed (rule extract_motion)."""

from retake.data.motion_store import extract_motion
from retake.job import job

with job() as j:
    extract_motion(
        view=j.recipe["view"],
        manifest=j.input["manifest"],
        streams=j.input.get("streams"),
        streams_failures=j.input.get("streams_failures"),
        blobs_out=j.output["blobs"],
        table_out=j.output["table"],
        index_out=j.output["index"],
        failures_out=j.output["failures"],
        marked_out=j.output["marked"],
    )
