"""Score one prediction table against its references (rule score)."""

from retake.job import job
from retake.metrics.score import score

with job() as j:
    score(
        predictions=j.input["predictions"],
        annotations=j.input["annotations"],
        truth=j.input.get("truth"),
        paraphrases=j.input.get("paraphrases"),
        words=j.input.get("words"),
        split=j.wildcards["split"],
        metrics=j.recipe["metrics"],
        provenance=j.provenance("predicted"),
        out=j.output["metrics"],
        items_out=j.output["per_item"],
    )
