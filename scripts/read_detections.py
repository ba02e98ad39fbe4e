"""Read the boxes that a data set brings of one shard's videos (rule read_detections)."""

from retake.data.detections import read_detections
from retake.job import job

with job() as j:
    read_detections(
        detector=j.recipe["detector"],
        root=j.recipe["root"],
        manifest=j.input["manifest"],
        table_out=j.output["table"],
        features_out=j.output["features"],
        failures_out=j.output["failures"],
    )
