"""Captions nobody wrote: a labeller's sentence for each chunk of a video, shard by shard."""


rule write_pseudolabels:
    input:
        unpack(inputs_of(labelling_job)),
        script="scripts/write_pseudolabels.py",
        code=lambda wildcards: PLAN.code("write_pseudolabels", PLAN.labeller_code(wildcards.labeller)),
    output:
        table="<results>/pseudolabels/{labeller}/{release}/shard{shard}/labels.parquet",
        jsonl="<results>/pseudolabels/{labeller}/{release}/shard{shard}/labels.jsonl",
        failures="<results>/pseudolabels/{labeller}/{release}/shard{shard}/failures.csv",
        shown="<results>/pseudolabels/{labeller}/{release}/shard{shard}/shown.parquet",
        record="<results>/records/write_pseudolabels/{labeller}/{release}/shard{shard}.jsonl",
    log:
        "<results>/logs/write_pseudolabels/{labeller}/{release}/shard{shard}.log",
    benchmark:
        "<results>/costs/write_pseudolabels/{labeller}/{release}/shard{shard}.jsonl"
    conda:
        "../envs/torch.yaml"
    threads: PLAN.threads
    resources:
        mem_mb=PLAN.training_mb,
        gpu=PLAN.gpu,
    params:
        arguments=arguments,
        recipe=recipe_of(labelling_job),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule index_pseudolabels:
    input:
        tables=lambda wildcards: PLAN.label_shards(wildcards.labeller, wildcards.release, "labels.parquet"),
        lines=lambda wildcards: PLAN.label_shards(wildcards.labeller, wildcards.release, "labels.jsonl"),
        failures=lambda wildcards: PLAN.label_shards(wildcards.labeller, wildcards.release, "failures.csv"),
        script="scripts/index_pseudolabels.py",
        code=code_of("index_pseudolabels"),
    output:
        table="<results>/pseudolabels/{labeller}/{release}.parquet",
        jsonl="<results>/pseudolabels/{labeller}/{release}.jsonl",
        failures="<results>/pseudolabels/{labeller}/{release}/failures.csv",
        record="<results>/records/index_pseudolabels/{labeller}/{release}.jsonl",
    log:
        "<results>/logs/index_pseudolabels/{labeller}/{release}.log",
    benchmark:
        "<results>/costs/index_pseudolabels/{labeller}/{release}.jsonl"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=600,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json({}),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule pseudolabels:
    input:
        PLAN.every_label_table(),
