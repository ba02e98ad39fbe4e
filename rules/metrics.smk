"""Scores of one prediction table, over its split and item by item; and of a training.

`metrics` holds JSON alone: DVC shows and compares every file that lies there.
"""


rule filter_paraphrases:
    input:
        annotations=lambda wildcards: PLAN.annotations(wildcards.dataset),
        script="scripts/filter_paraphrases.py",
        code=code_of("filter_paraphrases"),
    output:
        table="<results>/paraphrases/{dataset}.gz",
        words="<results>/paraphrases/{dataset}.txt",
        record="<results>/records/filter_paraphrases/{dataset}.jsonl",
    log:
        "<results>/logs/filter_paraphrases/{dataset}.log",
    benchmark:
        "<results>/costs/filter_paraphrases/{dataset}.jsonl"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=800,
    params:
        arguments=arguments,
    shell:
        "python retake/launch.py {input.script} {params.arguments} > {log} 2>&1"


rule score:
    input:
        unpack(inputs_of(scoring_job)),
        script="scripts/score.py",
        code=code_of("score"),
    output:
        metrics="<results>/metrics/{method}/{variant}/{dataset}/seed{seed}/{protocol}/{split}.json",
        per_item="<results>/items/{method}/{variant}/{dataset}/seed{seed}/{protocol}/{split}.parquet",
        record="<results>/records/score/{method}/{variant}/{dataset}/seed{seed}/{protocol}/{split}.jsonl",
    log:
        "<results>/logs/score/{method}/{variant}/{dataset}/seed{seed}/{protocol}/{split}.log",
    benchmark:
        "<results>/costs/score/{method}/{variant}/{dataset}/seed{seed}/{protocol}/{split}.jsonl"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=1400,
    params:
        arguments=arguments,
        recipe=recipe_of(scoring_job),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


# The reserved protocol `training`: in a table a row of it names a stage as its split.
rule score_training:
    input:
        unpack(inputs_of(training_scoring_job)),
        script="scripts/score_training.py",
        code=code_of("score_training", "retake/methods/{method}"),
    output:
        metrics="<results>/metrics/{method}/{variant}/{dataset}/seed{seed}/training/{stage}.json",
        per_item="<results>/items/{method}/{variant}/{dataset}/seed{seed}/training/{stage}.parquet",
        record="<results>/records/score_training/{method}/{variant}/{dataset}/seed{seed}/{stage}.jsonl",
    log:
        "<results>/logs/score_training/{method}/{variant}/{dataset}/seed{seed}/{stage}.log",
    benchmark:
        "<results>/costs/score_training/{method}/{variant}/{dataset}/seed{seed}/{stage}.jsonl"
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=PLAN.training_mb,
    params:
        arguments=arguments,
        recipe=recipe_of(training_scoring_job),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


# Times are taken while nothing else of this build runs: the job takes all processors up to `timing_threads`. What
# it is told does not say how many they are, so that another `--cores` takes no times anew.
rule measure_cost:
    input:
        script="scripts/measure_cost.py",
        code=code_of("measure_cost"),
    output:
        json="<results>/metrics/costs/{method}/{cost}.json",
        record="<results>/records/measure_cost/{method}/{cost}.jsonl",
    log:
        "<results>/logs/measure_cost/{method}/{cost}.log",
    benchmark:
        "<results>/costs/measure_cost/{method}/{cost}.jsonl"
    conda:
        "../envs/costs.yaml"
    threads: PLAN.timing_threads
    resources:
        mem_mb=PLAN.timing_mb,
        gpu=PLAN.gpu,
    params:
        arguments=lambda wildcards, input, output: arguments(wildcards, input, output, 1),
        recipe=lambda wildcards: as_json(PLAN.cost_job(wildcards.method, wildcards.cost)),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


# Of what a labeller says of a data set's release, and of the captions that came with it.
rule judge_labels:
    input:
        unpack(lambda wildcards: PLAN.quality_job(wildcards.labeller, wildcards.dataset)["inputs"]),
        script="scripts/judge_labels.py",
        code=code_of("judge_labels"),
    output:
        quality="<results>/metrics/labels/{labeller}/{dataset}.json",
        clips="<results>/items/labels/{labeller}/{dataset}.parquet",
        record="<results>/records/judge_labels/{labeller}/{dataset}.jsonl",
    log:
        "<results>/logs/judge_labels/{labeller}/{dataset}.log",
    benchmark:
        "<results>/costs/judge_labels/{labeller}/{dataset}.jsonl"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=800,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json(PLAN.quality_job(wildcards.labeller, wildcards.dataset)["recipe"]),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule metrics:
    input:
        PLAN.every_metrics_file(),
