"""Download a foundation's published weights, or take them from a folder (rule fetch_weights)."""

from retake.data.weights import fetch_weights
from retake.job import job

with job() as j:
    fetch_weights(
        weights=j.recipe["weights"],
        folder=j.recipe["folder"],
        weights_out=j.output["weights"],
        config_out=j.output["config"],
        beside_out=j.output,
    )
