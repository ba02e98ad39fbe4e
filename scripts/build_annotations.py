"""Parse a release's annotation files into one table (rule build_annotations)."""

from retake.data.annotations import build_annotations
from retake.job import job

with job() as j:
    build_annotations(
        dataset=j.recipe["dataset"],
        root=j.recipe["root"],
        out=j.output["table"],
    )
