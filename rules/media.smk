"""Videos, seen through views: frames as arrays that training memory-maps. The unit of work is a shard."""


rule extract_frames:
    input:
        manifest="<results>/releases/{release}/shard{shard}.json",
        script="scripts/extract_frames.py",
        code=code_of("extract_frames"),
    output:
        array="<results>/media/{view}/{release}/shard{shard}/frames.npy",
        index="<results>/media/{view}/{release}/shard{shard}/index.parquet",
        failures="<results>/media/{view}/{release}/shard{shard}/failures.csv",
        record="<results>/records/extract_frames/{view}/{release}/shard{shard}.jsonl",
    log:
        "<results>/logs/extract_frames/{view}/{release}/shard{shard}.log",
    benchmark:
        "<results>/costs/extract_frames/{view}/{release}/shard{shard}.jsonl"
    conda:
        "../envs/media.yaml"
    resources:
        mem_mb=1000,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json({"view": PLAN.views[wildcards.view]}),
    shell:
        "python {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule index_media:
    input:
        shards=lambda wildcards: PLAN.shard_files("media", wildcards.view, wildcards.release, "index.parquet"),
        failures=lambda wildcards: PLAN.shard_files(
            "media", wildcards.view, wildcards.release, "failures.csv"
        ),
        arrays=lambda wildcards: PLAN.shard_files("media", wildcards.view, wildcards.release, "frames.npy"),
        script="scripts/index_media.py",
        code=code_of("index_media"),
    output:
        index="<results>/media/{view}/{release}/index.parquet",
        failures="<results>/media/{view}/{release}/failures.csv",
        record="<results>/records/index_media/{view}/{release}.jsonl",
    log:
        "<results>/logs/index_media/{view}/{release}.log",
    benchmark:
        "<results>/costs/index_media/{view}/{release}.jsonl"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=600,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json({"max_failures": PLAN.cards[wildcards.release].max_failures}),
    shell:
        "python {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule media:
    input:
        PLAN.every_media_index(),
