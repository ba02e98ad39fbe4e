"""Banks: features of frames, or of the boxes or clips of every second, written once and read by every run that wants them."""


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


rule extract_rows:
    input:
        unpack(inputs_of(PLAN.rows_job)),
        script="scripts/extract_rows.py",
        code=lambda wildcards: PLAN.code("extract_rows", *PLAN.rows_code(wildcards)),
    output:
        array="<results>/features/{method}/{bank}/{dataset}/seed{seed}/shard{shard}/features.npy",
        boxes="<results>/features/{method}/{bank}/{dataset}/seed{seed}/shard{shard}/boxes.npy",
        index="<results>/features/{method}/{bank}/{dataset}/seed{seed}/shard{shard}/index.parquet",
        record="<results>/records/extract_rows/{method}/{bank}/{dataset}/seed{seed}/shard{shard}.jsonl",
    log:
        "<results>/logs/extract_rows/{method}/{bank}/{dataset}/seed{seed}/shard{shard}.log",
    benchmark:
        "<results>/costs/extract_rows/{method}/{bank}/{dataset}/seed{seed}/shard{shard}.jsonl"
    wildcard_constraints:
        bank=one_of(PLAN.row_banks),
        dataset=PLAN.bank_place,
    conda:
        "../envs/torch.yaml"
    threads: PLAN.threads
    resources:
        mem_mb=PLAN.training_mb,
        gpu=PLAN.gpu,
    params:
        arguments=arguments,
        recipe=recipe_of(PLAN.rows_job),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule index_rows:
    input:
        unpack(inputs_of(PLAN.index_rows_job)),
        script="scripts/index_rows.py",
        code=code_of("index_rows"),
    output:
        index="<results>/features/{method}/{bank}/{dataset}/seed{seed}/index.parquet",
        record="<results>/records/index_rows/{method}/{bank}/{dataset}/seed{seed}.jsonl",
    log:
        "<results>/logs/index_rows/{method}/{bank}/{dataset}/seed{seed}.log",
    benchmark:
        "<results>/costs/index_rows/{method}/{bank}/{dataset}/seed{seed}.jsonl"
    wildcard_constraints:
        bank=one_of(PLAN.row_banks),
        dataset=PLAN.bank_place,
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=600,
    params:
        arguments=arguments,
        recipe=recipe_of(PLAN.index_rows_job),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule features:
    input:
        PLAN.every_bank_index(),
        PLAN.every_rows_index(),
        PLAN.every_detections_table(),
