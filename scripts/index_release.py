"""List one shard of a fetched release's media with their digests (rule index_release)."""

from retake.data.release import index_release
from retake.job import job

with job() as j:
    index_release(
        release=j.recipe["release"],
        root=j.recipe["root"],
        shard=j.wildcards["shard"],
        num_shards=j.recipe["num_shards"],
        manifest_out=j.output["manifest"],
    )
