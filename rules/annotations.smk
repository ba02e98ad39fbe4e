"""A release's own annotation files, parsed into the one table that everything downstream reads."""


rule build_annotations:
    input:
        manifests=lambda wildcards: PLAN.annotation_inputs(wildcards.dataset),
        script="scripts/build_annotations.py",
        code=lambda wildcards: PLAN.code("build_annotations", PLAN.parser(wildcards.dataset)),
    output:
        table="<results>/annotations/{dataset}.parquet",
        record="<results>/records/build_annotations/{dataset}.jsonl",
    log:
        "<results>/logs/build_annotations/{dataset}.log",
    benchmark:
        "<results>/costs/build_annotations/{dataset}.jsonl"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=800,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json(PLAN.annotations_job(wildcards.dataset)),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule annotations:
    input:
        expand(rules.build_annotations.output.table, dataset=PLAN.datasets),
