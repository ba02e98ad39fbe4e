"""The report: one HTML page made from files, which needs no other file and no network to be read.

Every part is rendered on its own, so that a page that grew too large can name what is large in it. Values
reach the templates as values and are escaped there; only SVG drawn here is passed as markup.
"""

from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from retake.report.page_claims import claim_groups
from retake.report.page_costs import cost_groups, failures
from retake.report.page_curves import training_curves
from retake.report.page_figures import shown_figures
from retake.report.page_labels import labelled_videos
from retake.report.page_tables import shown_tables
from retake.schema.metrics_file import MetricsFile
from retake.schema.record import Record

LIMIT_BYTES = 20_000_000
TEMPLATES = Path(__file__).with_name("templates")


class PageTooLarge(ValueError):
    """The page would be larger than allowed; the message names its biggest parts."""


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    if value < 60:
        return f"{value:.1f} s"
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"


def _memory(value_mb: float | None) -> str:
    if value_mb is None:
        return "–"
    return f"{value_mb / 1024:.1f} GB" if value_mb >= 1024 else f"{value_mb:.0f} MB"


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"seconds": _seconds, "memory": _memory}
    return made


def _papers(methods: list[Path]) -> list[dict[str, Any]]:
    """What each recipe says about its paper; the method is the folder's name."""
    found = []
    for path in methods:
        paper = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("paper")
        if paper is None:
            raise ValueError(f"{path}: paper: missing; expected title, authors, venue")
        found.append({"arxiv": None, **paper, "method": path.parent.name})
    return found


def _head(records: list[Record], wall_s: float, scale: str) -> dict[str, Any]:
    """Commits and dates that the records tell."""
    started = sorted(str(r.job["started"]) for r in records if r.job.get("started"))
    commits = sorted({str(r.job["commit"]) for r in records if r.job.get("commit")})
    return {
        "scale": scale,
        "commits": commits,
        "first": _minute(started[0]) if started else None,
        "last": _minute(started[-1]) if started else None,
        "unfinished": sum(r.end is None or r.end.get("status") != "finished" for r in records),
        "wall_s": wall_s,
    }


def _minute(stamp: str) -> str:
    try:
        return datetime.fromisoformat(stamp).strftime("%Y-%m-%d %H:%M %Z").strip()
    except ValueError:
        return stamp


def _shown(results: Path, config: dict[str, Any]) -> list[Path]:
    """Pictures of the user's own videos that the config's labellers captioned, in the order of the shards."""
    names = (config.get("own") or {}).get("label_with") or []
    return [
        path for name in names for path in sorted(results.glob(f"pseudolabels/{name}/own/*/shown.parquet"))
    ]


def _check_size(parts: dict[str, str], page: str) -> None:
    size = len(page.encode("utf-8"))
    if size <= LIMIT_BYTES:
        return
    largest = sorted(((len(text.encode("utf-8")), name) for name, text in parts.items()), reverse=True)[:5]
    named = ", ".join(f"{name} {part / 1e6:.2f} MB" for part, name in largest)
    raise PageTooLarge(
        f"the report would have {size / 1e6:.2f} MB, more than {LIMIT_BYTES / 1e6:.2f} MB;"
        f" its biggest parts: {named}"
    )


def _origins(config: dict[str, Any], provenance: dict[str, Any], metrics: list[Path]) -> dict[str, Any]:
    """What the section on provenance shows: the config, the machine, and each score's digests."""
    scores = [MetricsFile.model_validate_json(path.read_text(encoding="utf-8")) for path in metrics]
    return {
        "config": yaml.safe_dump(config, sort_keys=False, allow_unicode=True),
        "provenance": provenance,
        "metrics": sorted(
            scores, key=lambda m: (m.method, m.dataset, m.variant, m.protocol, m.split, m.seed)
        ),
    }


def render_report(
    *,
    scale: str,
    tables: list[Path],
    figures: list[Path],
    claims: Path | None,
    metrics: list[Path],
    records: list[Path],
    results: Path,
    config: dict[str, Any],
    provenance: dict[str, Any],
    methods: list[Path],
    out: Path,
) -> None:
    """Write the page.

    tables: CSVs, an .md of the same stem beside each; figures: SVGs, a .csv beside each; claims: the
    collected CSV; records: of jobs, those of trainings with curves; results: the scale's results folder,
    searched for failures.csv and labels and for what all records say of costs; provenance: name -> value or
    mapping; methods: recipe.yaml files. A section without input (no table, figure, claim, cost) says so.
    Raises PageTooLarge over LIMIT_BYTES, ValueError on a file that is not what it should be.
    """
    environment = _environment()
    read = [Record.read(path) for path in records]
    spent, judged, shown = cost_groups(results), claim_groups(claims), shown_figures(figures)
    listed = {
        "tables": {"tables": shown_tables(tables)},
        "claims": {"groups": judged},
        "labels": {"groups": labelled_videos(_shown(Path(results), config))},
        "curves": {"trainings": training_curves(read)},
        "costs": {"groups": spent},
        "failures": {"releases": failures(results)},
        "provenance": _origins(config, provenance, metrics),
    }
    render = {
        name: environment.get_template(f"{name}.html").render(scale=scale, **listed[name]) for name in listed
    }
    pictures = {
        f"figure {f['name']}": environment.get_template("figure.html").render(figure=f) for f in shown
    }
    page = environment.get_template("page.html").render(
        head=_head(read, sum(group["wall_s"] for group in spent), scale),
        papers=_papers(methods),
        counts={
            "tables": len(tables),
            "figures": len(figures),
            "trainings": len(listed["curves"]["trainings"]),
            "jobs": sum(len(group["jobs"]) for group in spent),
        },
        verdicts=[
            (word, sum(group["counts"][word] for group in judged))
            for word in ("holds", "contradicted", "undecided", "not run")
        ],
        css=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
        parts={name: Markup(text) for name, text in render.items()},
        figures=[Markup(text) for text in pictures.values()],
    )
    _check_size(render | pictures, page)
    Path(out).write_text(page, encoding="utf-8", newline="\n")
