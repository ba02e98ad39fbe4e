"""Make a mini release's own annotation files, its manifest and its truth (rule make_release)."""

from retake.data.mini_release import make_release
from retake.job import job

with job() as j:
    make_release(
        release=j.recipe["release"],
        root=j.recipe["root"],
        splits=j.recipe["splits"],
        options=j.recipe["options"],
        num_shards=j.recipe["num_shards"],
        files_out=j.output["files"],
        truth_out=j.output["truth"],
    )
