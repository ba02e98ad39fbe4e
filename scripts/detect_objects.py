"""Find the boxes of one shard's frames by a network (rule detect_objects)."""

from retake.job import job
from retake.training.detections import detect_objects

with job() as j:
    detect_objects(
        weights_module=f"retake.weights.{j.recipe['detector']['weights']}.model",
        detector=j.recipe["detector"],
        weights=j.input["weights"],
        config=j.input["config"],
        index=j.input["index"],
        table_out=j.output["table"],
        features_out=j.output["features"],
        failures_out=j.output["failures"],
    )
