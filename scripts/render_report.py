"""Render the page of all results from files (rule render_report)."""

from retake.job import job
from retake.report.page import render_report

with job() as j:
    render_report(
        scale=j.recipe["config"]["scale"],
        results=j.recipe["results"],
        config=j.recipe["config"],
        tables=j.input["tables"],
        figures=j.input["figures"],
        claims=j.input["claims"],
        metrics=j.input["metrics"],
        records=j.input["records"],
        provenance=j.machine,
        methods=j.input["recipes"],
        out=j.output["page"],
    )
