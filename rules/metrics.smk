"""Scores of one prediction table, over its split and item by item."""


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


rule metrics:
    input:
        PLAN.every_metrics_file(),
