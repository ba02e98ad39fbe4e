"""One stage of one training. What it reads and where it starts stands in the recipe; the plan draws it."""


rule train_stage:
    input:
        unpack(inputs_of(training_job)),
        script="scripts/train_stage.py",
        code=code_of("train_stage", "retake/methods/{method}"),
    output:
        checkpoint="<results>/training/{method}/{variant}/{dataset}/seed{seed}/{stage}/checkpoint.safetensors",
        record="<results>/training/{method}/{variant}/{dataset}/seed{seed}/{stage}/record.jsonl",
    log:
        "<results>/logs/train_stage/{method}/{variant}/{dataset}/seed{seed}/{stage}.log",
    benchmark:
        "<results>/costs/train_stage/{method}/{variant}/{dataset}/seed{seed}/{stage}.jsonl"
    conda:
        "../envs/torch.yaml"
    threads: PLAN.threads
    resources:
        mem_mb=PLAN.training_mb,
        gpu=PLAN.gpu,
    params:
        launcher=PLAN.launcher,
        arguments=arguments,
        recipe=recipe_of(training_job),
    shell:
        "{params.launcher} {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule training:
    input:
        PLAN.every_checkpoint(),
