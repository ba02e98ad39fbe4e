"""Put our numbers beside the paper's, row by row (rule tabulate)."""

from retake.job import job
from retake.report.tables import tabulate

with job() as j:
    tabulate(
        method=j.recipe["method"],
        table=j.recipe["table"],
        spec=j.recipe["spec"],
        metrics_files=j.input["metrics"],
        cost_files=j.input["costs"],
        quality_files=j.input["qualities"],
        reported=j.input["reported"],
        scale=j.recipe["scale"],
        means=j.recipe["means"],
        systems=j.recipe["systems"],
        out_csv=j.output["csv"],
        out_md=j.output["md"],
    )
