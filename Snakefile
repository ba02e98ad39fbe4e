"""Raw video data sets in, the papers' tables and figures out. Read the includes from top to bottom."""

from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


report: "rules/captions/workflow.rst"


include: "rules/run.smk"  # what a run does before and after its jobs
include: "rules/common.smk"  # the plan


pathvars:
    results=PLAN.results,
    data=PLAN.data,


include: "rules/releases.smk"  # the mini world, or the network -> a release and its manifests
include: "rules/annotations.smk"  # a release's own files -> one annotation table per data set
include: "rules/media.smk"  # videos -> frames, streams, motion, flow, shard by shard
include: "rules/weights.smk"  # published or pre-trained foundations
include: "rules/detections.smk"  # a detector + frames, or a release's own boxes -> boxes of every second
include: "rules/features.smk"  # a frozen network + frames, clips or boxes -> a bank of features
include: "rules/pseudolabels.smk"  # a frozen captioner + videos -> captions that nobody wrote
include: "rules/training.smk"  # stage after stage -> checkpoint
include: "rules/predictions.smk"  # checkpoint -> one prediction table per split
include: "rules/metrics.smk"  # predictions + annotations -> scores
include: "rules/tables.smk"  # scores + what the paper reports -> tables, claims
include: "rules/figures.smk"  # predictions, scores, frames -> figures
include: "rules/report.smk"  # tables and figures -> one page


rule all:
    default_target: True
    input:
        rules.render_report.output.page,
        every_table,
        lambda wildcards: PLAN.curve_paths(),
        every_figure,
        every_caption_file,


rule headline:
    input:
        headline_targets,
