"""Render and encode one shard of a mini release's videos (rule render_videos)."""

from retake.data.mini_release import render_videos
from retake.job import job

with job() as j:
    render_videos(
        release=j.recipe["release"],
        root=j.recipe["root"],
        splits=j.recipe["splits"],
        options=j.recipe["options"],
        num_shards=j.recipe["num_shards"],
        shard=j.wildcards["shard"],
        manifest_out=j.output["manifest"],
    )
