"""Write a test split's answers in the form of the server that scores them (rule write_submission)."""

from retake.data.submissions import write_submission
from retake.job import job

with job() as j:
    names = j.recipe["datasets"]
    write_submission(
        dataset=j.wildcards["dataset"],
        split=j.wildcards["split"],
        root=j.recipe["root"],
        predictions=dict(zip(names, j.input["predictions"], strict=True)),
        annotations=dict(zip(names, j.input["annotations"], strict=True)),
        out=j.output["submission"],
    )
