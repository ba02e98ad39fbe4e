"""Judge a paper's claims by a paired bootstrap (rule judge_claims)."""

from retake.job import job
from retake.report.claims import judge_claims

with job() as j:
    judge_claims(
        method=j.recipe["method"],
        claims=j.input["claims"],
        metrics_files=j.input["metrics"],
        cost_files=j.input["costs"],
        quality_files=j.input["qualities"],
        reported=j.input["reported"],
        scale=j.recipe["scale"],
        means=j.recipe["means"],
        out=j.output["csv"],
    )
