"""Take out the frames that a figure shows (rule extract_examples)."""

from retake.data.examples import extract_examples
from retake.job import job

with job() as j:
    extract_examples(
        spec=j.recipe["spec"],
        annotations=j.input["annotations"],
        index=j.input["index"],
        predictions=j.input.get("predictions", []),
        arrays_out=j.output["arrays"],
        table_out=j.output["table"],
    )
