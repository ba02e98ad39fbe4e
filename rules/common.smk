"""The plan, the wildcards' constraints, and every input function. Logic is in retake/plan.py."""

import json
import shlex
import sys
from functools import cache
from pathlib import Path

from retake import environment, guard
from retake.plan import Plan, one_of
from retake.planning.functions import as_json, described, inputs_and_recipe
from retake.schema.strict import SettingError

try:
    PLAN = Plan(config)
    PLAN.check_all()
    PLAN.check_targets(sys.argv[1:] if workflow.is_main_process else [])
except SettingError as error:
    guard.refuse(f"retake: {error}")

guard.enter(workflow)
environment.prepare(workflow.basedir)
environment.parameters_are_text()
if workflow.is_main_process:
    PLAN.refresh_releases()


wildcard_constraints:
    release=one_of(PLAN.releases),
    dataset=one_of(PLAN.datasets),
    videos=one_of(PLAN.datasets),
    method=one_of(PLAN.recipes),
    weights=one_of(PLAN.weights),
    view=one_of(PLAN.views),
    bank=one_of(PLAN.banks),
    detector=one_of(PLAN.detectors),
    labeller=one_of(PLAN.labellers),
    variant=r"[a-z][a-z0-9_]*",
    stage=r"[a-z][a-z0-9_]*",
    protocol=r"(?!training/)[a-z][a-z0-9_]*",
    table=r"[a-z][a-z0-9_]*",
    figure=r"[a-z][a-z0-9_]*",
    cost=r"[a-z][a-z0-9_]*",
    split=r"[a-z][a-z0-9_]*",
    form="csv|json|txt",
    shard=r"\d\d\d+",
    seed=r"\d+",


functions_of = cache(inputs_and_recipe)  # of one job, whichever of its two a rule asks for
NOT_ARGUMENTS = ("script", "code", "arrays")  # watched by Snakemake, found by the job itself


@described
def arguments(wildcards, input, output, threads):
    """What a script is called with: its rule's named inputs and outputs."""
    words = ["--wildcards", json.dumps(dict(wildcards.items()), sort_keys=True)]
    given = [(name, value) for name, value in input.items() if name not in NOT_ARGUMENTS]
    words += ["--listed", json.dumps([name for name, value in given if not isinstance(value, str)])]
    words += ["--threads", str(threads), "--code", json.dumps(plugins_of(input))]
    for kind, named in (("--input", given), ("--output", output.items())):
        for name, value in named:
            words += [kind, name, *([value] if isinstance(value, str) else value)]
    return shlex.join(words)


def plugins_of(named):
    """The files among a job's code that its script reaches by name, not by import."""
    return list(PLAN.found_by_name[named.code]) if "code" in named.keys() else []


def code_of(script, *folders):
    """An input function: digests of the package's files that `script` runs, `folders` filled in by wildcards."""
    return described(lambda wildcards: PLAN.code(script, *(f.format(**wildcards) for f in folders)))


def shard_inputs(wildcards):
    return PLAN.view_inputs(wildcards.view, wildcards.release, wildcards.shard)


def run_of(wildcards):
    return {key: wildcards[key] for key in ("method", "variant", "dataset", "seed")}


def training_job(wildcards):
    return PLAN.trainings.job(run_of(wildcards), wildcards.stage)


def prediction_job(wildcards):
    return PLAN.predict_job(run_of(wildcards), wildcards.protocol, wildcards.split)


def fusion_job(wildcards):
    return PLAN.fuse_job(run_of(wildcards), wildcards.protocol, wildcards.split)


def captioning_job(wildcards):
    return PLAN.caption_job(run_of(wildcards), wildcards.protocol, wildcards.videos)


def scoring_job(wildcards):
    return PLAN.score_job(run_of(wildcards), wildcards.protocol, wildcards.split)


def training_scoring_job(wildcards):
    return PLAN.training_score_job(run_of(wildcards), wildcards.stage)


def figure_job(wildcards):
    return PLAN.figure_job(wildcards.method, wildcards.figure)


def examples_job(wildcards):
    return PLAN.examples_job(wildcards.method, wildcards.figure)


def pretraining_job(wildcards):
    return PLAN.trainings.pretrain_job(wildcards.weights)


def labelling_job(wildcards):
    return PLAN.label_job(wildcards.labeller, wildcards.release, wildcards.shard)


def inputs_of(job):
    """An input function: the named inputs of a job that the plan describes."""
    return functions_of(job)[0]


def recipe_of(job):
    """A params function: the JSON that the job's script reads, and nothing that it does not."""
    return functions_of(job)[1]


def every_table(wildcards):
    return PLAN.table_paths()


def every_figure(wildcards):
    return PLAN.figure_paths()


def every_caption_file(wildcards):
    return PLAN.caption_paths()


def headline_targets(wildcards):
    return PLAN.table_paths(headline=True) + PLAN.figure_paths(headline=True)
