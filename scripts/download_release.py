"""Download a release, or adopt a folder that the user has (rule download_release)."""

from retake.data.download import download_release
from retake.job import job

with job() as j:
    download_release(
        release=j.recipe["release"],
        root=j.recipe["root"],
        folder=j.recipe["folder"],
        tables=j.recipe["tables"],
        files_out=j.output["files"],
    )
