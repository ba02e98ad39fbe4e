"""Compute and store the optical flow of one shard's videos (rule extract_flow)."""

from retake.data.flow import extract_flow
from retake.job import job

with job() as j:
    extract_flow(
        view=j.recipe["view"],
        manifest=j.input["manifest"],
        streams=j.input.get("streams"),
        streams_failures=j.input.get("streams_failures"),
        blobs_out=j.output["blobs"],
        table_out=j.output["table"],
        index_out=j.output["index"],
        failures_out=j.output["failures"],
    )
