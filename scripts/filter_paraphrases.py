"""The part of METEOR's paraphrases that a data set's captions can use (rule filter_paraphrases)."""

from retake.job import job
from retake.metrics.paraphrases import filter_paraphrases

with job() as j:
    filter_paraphrases(
        annotations=j.input["annotations"],
        table_out=j.output["table"],
        words_out=j.output["words"],
    )
