"""Scores of one prediction table, over its split and item by item."""


rule filter_paraphrases:
    input:
        annotations=lambda wildcards: PLAN.annotations(wildcards.dataset),
        script="scripts/filter_paraphrases.py",
        code=code_of("filter_paraphrases"),
    output:
        table="<results>/metrics/paraphrases/{dataset}.gz",
        words="<results>/metrics/paraphrases/{dataset}.txt",
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
        "python {input.script} {params.arguments} > {log} 2>&1"


rule score:
    input:
        unpack(inputs_of(scoring_job)),
        script="scripts/score.py",
        code=code_of("score"),
    output:
        metrics="<results>/metrics/{method}/{variant}/{dataset}/seed{seed}/{protocol}/{split}.json",
        per_item="<results>/metrics/{method}/{variant}/{dataset}/seed{seed}/{protocol}/{split}.items.parquet",
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
        "python {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


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
        "python {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule metrics:
    input:
        PLAN.every_metrics_file(),
