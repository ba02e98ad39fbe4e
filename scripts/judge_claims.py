"""Judge a paper's claims by a paired bootstrap (rule judge_claims)."""

from retake.job import job
from retake.report.claims import judge_claims

with job() as j:
    judge_claims(
        method=j.recipe["method"],
        claims=j.input["claims"],
        metrics_files=j.input["metrics"],
        reported=j.input["reported"],
        scale=j.recipe["scale"],
        out=j.output["csv"],
    )
