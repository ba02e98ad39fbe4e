"""Which of the jobs that could start is started first: the one that most work waits for. Standard library only.

A build takes as long as its longest chain of jobs, if each job of the chain starts as soon as it can; Snakemake's own
choice, the job with the largest inputs, leaves chains for the end. Only the order of starts changes, nothing that is
made.
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

WORK = {  # seconds, about, as records have them; what is missing takes less than one
    "pretrain_weights": 25.0,
    "measure_cost": 10.0,
    "extract_flow": 6.0,
    "filter_paraphrases": 5.0,
    "detect_objects": 4.0,
    "extract_rows": 3.0,
    "render_videos": 3.0,
    "extract_bank": 1.5,
    "extract_frames": 1.5,
    "transcode_video": 1.5,
}
STEPS_A_SECOND = 12.0  # of a training
STORED_STEPS_A_SECOND = 50.0  # of one that reads stored rows
OTHERS = 0.5
HIGHEST = sys.maxsize  # what --prioritize gives


def start_longest_first(workflow: Any) -> None:
    """Gives each job of the graph that is to run the work of the longest chain that it begins, as its priority.

    What the user prioritises stays ahead of all. Called when the graph stands and no job has started.
    """
    dag = workflow.dag
    jobs = [job for job in dag.jobs if dag.needrun(job)]
    waiting = {job: [later for later in dag.depending.get(job, ()) if dag.needrun(later)] for job in jobs}
    for job, left in work_left(waiting, work_of).items():
        if dag.priority(job) < HIGHEST:
            dag._priority[job] = round(10 * left)  # whole numbers, of tenths of a second


def work_left(waiting: Mapping[Any, Iterable[Any]], work: Callable[[Any], float]) -> dict[Any, float]:
    """Job -> work of the longest chain from it on, its own included.

    waiting  job -> the jobs that wait for it; of a graph without circles
    """
    left: dict[Any, float] = {}
    for first in waiting:
        stack = [first]
        while stack:
            job = stack[-1]
            if job in left:
                stack.pop()
            elif open_ones := [later for later in waiting[job] if later not in left]:
                stack += open_ones
            else:
                left[job] = work(job) + max((left[later] for later in waiting[job]), default=0.0)
    return left


def work_of(job: Any) -> float:
    """About how many seconds a job takes at mini scale; what counts is how jobs compare."""
    if job.rule.name == "train_stage":
        recipe = json.loads(job.params.recipe)
        steps = recipe["length"]["steps"]
        stored = any("stored" in entry for entry in recipe["data"])
        return 5.0 if steps is None else steps / (STORED_STEPS_A_SECOND if stored else STEPS_A_SECOND)
    return WORK.get(job.rule.name, OTHERS)
