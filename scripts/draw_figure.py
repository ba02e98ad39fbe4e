"""Draw a figure and the CSV behind it (rule draw_figure)."""

from retake.job import job
from retake.report.figures import draw_figure

with job() as j:
    draw_figure(
        method=j.recipe["method"],
        figure=j.recipe["figure"],
        spec=j.recipe["spec"],
        inputs=j.input,
        size=j.recipe.get("size", [0, 0]),
        scale=j.recipe["scale"],
        out_svg=j.output["svg"],
        out_csv=j.output["csv"],
    )
