"""Join every method's judged claims (rule collect_claims)."""

from retake.job import job
from retake.report.claims import collect_claims

with job() as j:
    collect_claims(parts=j.input["parts"], out=j.output["csv"])
