"""Foundations: published weights at paper scale, trained here at mini scale. One folder layout for both."""


rule fetch_weights:
    input:
        script=ancient("scripts/fetch_weights.py"),
    output:
        weights="<data>/weights/{weights}/model.safetensors",
        config="<data>/weights/{weights}/config.json",
        record="<results>/records/fetch_weights/{weights}.jsonl",
    log:
        "<results>/logs/fetch_weights/{weights}.log",
    benchmark:
        "<results>/costs/fetch_weights/{weights}.jsonl"
    wildcard_constraints:
        weights=one_of(PLAN.published),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=1000,
        downloads=1,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json(PLAN.weights_job(wildcards.weights)),
    shell:
        "python {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule pretrain_weights:
    input:
        unpack(inputs_of(pretraining_job)),
        script="scripts/pretrain_weights.py",
        code=code_of("pretrain_weights", "retake/weights/{weights}"),
    output:
        weights="<data>/weights/{weights}/model.safetensors",
        config="<data>/weights/{weights}/config.json",
        record="<results>/records/pretrain_weights/{weights}.jsonl",
    log:
        "<results>/logs/pretrain_weights/{weights}.log",
    benchmark:
        "<results>/costs/pretrain_weights/{weights}.jsonl"
    wildcard_constraints:
        weights=one_of(PLAN.pretrained),
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=1400,
        gpu=PLAN.gpu,
    params:
        arguments=arguments,
        recipe=recipe_of(pretraining_job),
    shell:
        "python {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule weights:
    input:
        PLAN.every_weights(),
