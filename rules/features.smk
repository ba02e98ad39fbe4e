"""Banks: features of a frozen foundation, extracted once and read by every run that wants them."""


rule extract_bank:
    input:
        index=lambda wildcards: PLAN.bank_input(wildcards, "index.parquet"),
        arrays=lambda wildcards: PLAN.bank_input(wildcards, "frames.npy"),
        weights=lambda wildcards: PLAN.weights_path(PLAN.banks[wildcards.bank]["weights"]),
        config=lambda wildcards: PLAN.weights_path(PLAN.banks[wildcards.bank]["weights"], "config.json"),
        script="scripts/extract_bank.py",
        code=lambda wildcards: PLAN.code("extract_bank", PLAN.bank_code(wildcards.bank)),
    output:
        array="<results>/features/{bank}/{release}/shard{shard}/features.npy",
        index="<results>/features/{bank}/{release}/shard{shard}/index.parquet",
        record="<results>/records/extract_bank/{bank}/{release}/shard{shard}.jsonl",
    log:
        "<results>/logs/extract_bank/{bank}/{release}/shard{shard}.log",
    benchmark:
        "<results>/costs/extract_bank/{bank}/{release}/shard{shard}.jsonl"
    conda:
        "../envs/torch.yaml"
    threads: PLAN.threads
    resources:
        mem_mb=PLAN.training_mb,
        gpu=PLAN.gpu,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json(PLAN.banks[wildcards.bank]),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule index_bank:
    input:
        shards=lambda wildcards: PLAN.shard_files(
            "features", wildcards.bank, wildcards.release, "index.parquet"
        ),
        arrays=lambda wildcards: PLAN.shard_files(
            "features", wildcards.bank, wildcards.release, "features.npy"
        ),
        script="scripts/index_bank.py",
        code=code_of("index_bank"),
    output:
        index="<results>/features/{bank}/{release}/index.parquet",
        record="<results>/records/index_bank/{bank}/{release}.jsonl",
    log:
        "<results>/logs/index_bank/{bank}/{release}.log",
    benchmark:
        "<results>/costs/index_bank/{bank}/{release}.jsonl"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=600,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json({}),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule features:
    input:
        PLAN.every_bank_index(),
