"""Say how good the captions of a release are, a labeller's and its own (rule judge_labels)."""

from retake.job import job
from retake.metrics.label_quality import judge_labels

with job() as j:
    judge_labels(
        asr=j.input["asr"],
        labels=j.input["labels"],
        truth=j.input.get("truth"),
        judgements=j.input.get("judgements"),
        identity=j.recipe["identity"],
        out=j.output["quality"],
        clips_out=j.output["clips"],
    )
