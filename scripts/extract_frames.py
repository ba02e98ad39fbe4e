"""Decode one shard's videos into an array of frames (rule extract_frames)."""

from retake.data.frames import extract_frames
from retake.job import job

with job() as j:
    extract_frames(
        view=j.recipe["view"],
        manifest=j.input["manifest"],
        array_out=j.output["array"],
        index_out=j.output["index"],
        failures_out=j.output["failures"],
        segments=j.input.get("segments"),
    )
