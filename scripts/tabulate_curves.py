"""Put a method's training curves into one table (rule tabulate_curves)."""

from retake.job import job
from retake.report.curves import tabulate_curves

with job() as j:
    tabulate_curves(records=j.input["records"], out=j.output["csv"])
