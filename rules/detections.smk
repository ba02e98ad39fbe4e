"""Boxes in every second of the videos: found by a network, or brought by a data set; shard by shard."""


rule detect_objects:
    input:
        unpack(inputs_of(PLAN.detect_job)),
        script="scripts/detect_objects.py",
        code=lambda wildcards: PLAN.code("detect_objects", PLAN.detector_code(wildcards.detector)),
    output:
        table="<results>/detections/{detector}/{release}/shard{shard}/detections.parquet",
        features="<results>/detections/{detector}/{release}/shard{shard}/features.npy",
        failures="<results>/detections/{detector}/{release}/shard{shard}/failures.csv",
        record="<results>/records/detect_objects/{detector}/{release}/shard{shard}.jsonl",
    log:
        "<results>/logs/detect_objects/{detector}/{release}/shard{shard}.log",
    benchmark:
        "<results>/costs/detect_objects/{detector}/{release}/shard{shard}.jsonl"
    wildcard_constraints:
        detector=one_of(PLAN.detectors_that(look=True)),
    conda:
        "../envs/torch.yaml"
    threads: PLAN.threads
    resources:
        mem_mb=PLAN.training_mb,
        gpu=PLAN.gpu,
    params:
        arguments=arguments,
        recipe=recipe_of(PLAN.detect_job),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule read_detections:
    input:
        unpack(inputs_of(PLAN.detect_job)),
        script="scripts/read_detections.py",
        code=lambda wildcards: PLAN.code("read_detections", PLAN.detections_parser(wildcards.detector)),
    output:
        table="<results>/detections/{detector}/{release}/shard{shard}/detections.parquet",
        features="<results>/detections/{detector}/{release}/shard{shard}/features.npy",
        failures="<results>/detections/{detector}/{release}/shard{shard}/failures.csv",
        record="<results>/records/read_detections/{detector}/{release}/shard{shard}.jsonl",
    log:
        "<results>/logs/read_detections/{detector}/{release}/shard{shard}.log",
    benchmark:
        "<results>/costs/read_detections/{detector}/{release}/shard{shard}.jsonl"
    wildcard_constraints:
        detector=one_of(PLAN.detectors_that(look=False)),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=800,
    params:
        arguments=arguments,
        recipe=recipe_of(PLAN.detect_job),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule index_detections:
    input:
        tables=lambda wildcards: PLAN.detection_shards(wildcards, "detections.parquet"),
        failures=lambda wildcards: PLAN.detection_shards(wildcards, "failures.csv"),
        script="scripts/index_detections.py",
        code=code_of("index_detections"),
    output:
        table="<results>/detections/{detector}/{release}/detections.parquet",
        failures="<results>/detections/{detector}/{release}/failures.csv",
        record="<results>/records/index_detections/{detector}/{release}.jsonl",
    log:
        "<results>/logs/index_detections/{detector}/{release}.log",
    benchmark:
        "<results>/costs/index_detections/{detector}/{release}.jsonl"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=600,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json({}),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule detections:
    input:
        PLAN.every_detections_table(),
