"""Put our numbers beside the paper's, row by row (rule tabulate)."""

from retake.job import job
from retake.report.tables import tabulate

with job() as j:
    tabulate(
        method=j.recipe["method"],
        table=j.recipe["table"],
        spec=j.recipe["spec"],
        metrics_files=j.input["metrics"],
        reported=j.input["reported"],
        scale=j.recipe["scale"],
        out_csv=j.output["csv"],
        out_md=j.output["md"],
    )
