"""`snakemake -n --config scale=paper` plans everything from the downloads to the report."""

from dataclasses import replace

from retake.plan import Plan
from retake.schema.strict import read_yaml
from tests.paper.conftest import PLAN

RULES = {
    "frames": "extract_frames",
    "stream": "transcode_video",
    "motion": "extract_motion",
    "flow": "extract_flow",
}


def shard_jobs(plan):
    """Rule -> jobs, by the cards' shards and what the recipes look at."""
    released = {r: plan.cards[r].shards["paper"] for r in plan.fetched}
    views, banks = set(), set()
    labels = set()
    for run, stage in plan.every_training():
        recipe = plan.recipe_of(run["method"], run["variant"], run["dataset"])
        for source in recipe.stages[stage].data:
            dataset = run["dataset"] if source.dataset == "target" else source.dataset
            release = plan.cards[dataset].release or dataset
            if source.labels != "release":
                labels.add((source.labels, release))
            if source.view:
                views.add((source.view, release))
            if source.bank:
                banks.add((source.bank, release))
                views.add((recipe.banks[source.bank].view, release))
    views |= plan.every_bank_view()
    read = set(views)  # a stream that is only read by another view is never indexed as a whole
    views |= {(of, release) for view, release in views if (of := plan.views[view].get("of"))}
    return {
        "download_release": len(released),
        "index_release": sum(released.values()),
        **{
            rule: len(plan.with_words(plan.weights, words))
            for rule, words in (("", None), ("_bpe", "bpe"), ("_wordpiece", "wordpiece"))
            for rule in [f"fetch_weights{rule}"]
        },
        "build_annotations": len(plan.datasets),
        **{
            rule: sum(released[release] for view, release in views if plan.views[view]["kind"] == kind)
            for kind, rule in RULES.items()
        },
        "index_media": len(read),
        "extract_bank": sum(released[release] for _, release in banks),
        "index_bank": len(banks),
        "detect_objects": sum(released[r] for d, r in plan.detected() if plan.detectors[d].weights),
        "read_detections": sum(released[r] for d, r in plan.detected() if plan.detectors[d].dataset),
        "index_detections": len(plan.detected()),
        "extract_rows": sum(released[plan.release_of(b["dataset"])] for b in plan.every_bank_run()),
        "index_rows": len(plan.every_bank_run()),
        "write_pseudolabels": sum(released[release] for _, release in labels),
        "index_pseudolabels": len(labels),
    }


def test_the_whole_graph_is_planned_and_nothing_is_run(checkout):
    mini = checkout.folder / "results/mini/tables/mine.csv"
    mini.parent.mkdir(parents=True)
    mini.write_text("mine")
    plan = Plan(read_yaml("config.yaml") | {"scale": "paper"})
    rows = [row for m in plan.recipes for table in plan.tables_of(m) for row in plan.rows(m, table)]
    captioned = {row.dataset for row in rows if "meteor" in row.metrics}
    wanted = shard_jobs(plan) | {
        "train_stage": len(plan.every_checkpoint()),
        "score": len(plan.every_metrics_file()) - len(plan.every_training_score()),
        "score_training": len(plan.every_training_score()),
        "filter_paraphrases": len(captioned),
        "measure_cost": len(plan.every_cost_file()),
        "extract_examples": sum(plan.has_examples(m, f) for m in plan.recipes for f in plan.figures_of(m)),
        "tabulate": len(plan.table_paths()),
        "tabulate_curves": len(plan.curve_paths()),
        "draw_figure": len(plan.figure_paths()),
        "judge_labels": len(plan.every_quality_file()),
        "caption_stills": sum(
            figure.kind == "stills" for recipe in plan.recipes.values() for figure in recipe.figures.values()
        ),
        "judge_claims": len(plan.claim_paths()),
        "collect_claims": 1,
        "render_report": 1,
    }

    planned = replace(checkout, arguments=("--config", "scale=paper")).planned()

    answers = planned.pop("predict") + planned.pop("fuse_predictions", 0)
    assert answers >= planned["score"]
    assert planned == {rule: jobs for rule, jobs in wanted.items() if jobs}
    assert [p for p in checkout.folder.glob("results/**/*") if p.is_file()] == [mini]
    assert mini.read_text() == "mine"
    assert not (checkout.folder / "data").exists()


def test_every_release_and_foundation_of_the_plan_is_fetched_not_made():
    assert PLAN.fetched == PLAN.releases
    assert PLAN.published == list(PLAN.weights)
    assert not PLAN.made
    assert not PLAN.pretrained
