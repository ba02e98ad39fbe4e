"""Encode one shard's videos anew, as streams of I- and P-frames in groups of one length (rule transcode_video)."""

from retake.data.transcoding import transcode_video
from retake.job import job

with job() as j:
    transcode_video(
        view=j.recipe["view"],
        manifest=j.input["manifest"],
        array_out=j.output["array"],
        packets_out=j.output["packets"],
        index_out=j.output["index"],
        failures_out=j.output["failures"],
    )
