"""Count or time what a method's systems cost (rule measure_cost)."""

from retake.costs.measure import measure_cost
from retake.job import job

with job() as j:
    measure_cost(
        method=j.recipe["method"],
        cost=j.recipe["cost"],
        spec=j.recipe["spec"],
        systems=j.recipe["systems"],
        out=j.output["json"],
    )
