"""Foundations: published weights at paper scale, trained here at mini scale. One folder layout for both.

Files of a tokenizer are outputs of their own, so that whoever reads them waits for them.
"""


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
        weights=one_of(PLAN.with_words(PLAN.published, None)),
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=PLAN.fetching_mb,
        downloads=1,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json(PLAN.weights_job(wildcards.weights)),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


use rule fetch_weights as fetch_weights_bpe with:
    output:
        weights="<data>/weights/{weights}/model.safetensors",
        config="<data>/weights/{weights}/config.json",
        vocab="<data>/weights/{weights}/vocab.json",
        merges="<data>/weights/{weights}/merges.txt",
        record="<results>/records/fetch_weights/{weights}.jsonl",
    wildcard_constraints:
        weights=one_of(PLAN.with_words(PLAN.published, "bpe")),


use rule fetch_weights as fetch_weights_wordpiece with:
    output:
        weights="<data>/weights/{weights}/model.safetensors",
        config="<data>/weights/{weights}/config.json",
        vocab="<data>/weights/{weights}/vocab.txt",
        record="<results>/records/fetch_weights/{weights}.jsonl",
    wildcard_constraints:
        weights=one_of(PLAN.with_words(PLAN.published, "wordpiece")),


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
        weights=one_of(PLAN.with_words(PLAN.pretrained, None)),
    conda:
        "../envs/torch.yaml"
    threads: PLAN.threads
    resources:
        mem_mb=1000,
        gpu=PLAN.gpu,
    params:
        arguments=arguments,
        recipe=recipe_of(pretraining_job),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


use rule pretrain_weights as pretrain_weights_bpe with:
    output:
        weights="<data>/weights/{weights}/model.safetensors",
        config="<data>/weights/{weights}/config.json",
        vocab="<data>/weights/{weights}/vocab.json",
        merges="<data>/weights/{weights}/merges.txt",
        record="<results>/records/pretrain_weights/{weights}.jsonl",
    wildcard_constraints:
        weights=one_of(PLAN.with_words(PLAN.pretrained, "bpe")),


use rule pretrain_weights as pretrain_weights_wordpiece with:
    output:
        weights="<data>/weights/{weights}/model.safetensors",
        config="<data>/weights/{weights}/config.json",
        vocab="<data>/weights/{weights}/vocab.txt",
        record="<results>/records/pretrain_weights/{weights}.jsonl",
    wildcard_constraints:
        weights=one_of(PLAN.with_words(PLAN.pretrained, "wordpiece")),


rule weights:
    input:
        PLAN.every_weights(),
