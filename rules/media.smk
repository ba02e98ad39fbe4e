"""Videos, seen through views: arrays that training memory-maps. A rule for each kind; the unit of work is a shard."""


rule extract_frames:
    input:
        unpack(shard_inputs),
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
    wildcard_constraints:
        view=one_of(PLAN.views_of("frames")),
    conda:
        "../envs/media.yaml"
    resources:
        mem_mb=1000,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json({"view": PLAN.views[wildcards.view]}),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule transcode_video:
    input:
        manifest="<results>/releases/{release}/shard{shard}.json",
        script="scripts/transcode_video.py",
        code=code_of("transcode_video"),
    output:
        array="<results>/media/{view}/{release}/shard{shard}/streams.npy",
        packets="<results>/media/{view}/{release}/shard{shard}/packets.npy",
        index="<results>/media/{view}/{release}/shard{shard}/index.parquet",
        failures="<results>/media/{view}/{release}/shard{shard}/failures.csv",
        record="<results>/records/transcode_video/{view}/{release}/shard{shard}.jsonl",
    log:
        "<results>/logs/transcode_video/{view}/{release}/shard{shard}.log",
    benchmark:
        "<results>/costs/transcode_video/{view}/{release}/shard{shard}.jsonl"
    wildcard_constraints:
        view=one_of(PLAN.views_of("stream")),
    conda:
        "../envs/media.yaml"
    resources:
        mem_mb=1000,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json({"view": PLAN.views[wildcards.view]}),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule extract_motion:
    input:
        unpack(shard_inputs),
        script="scripts/extract_motion.py",
        code=code_of("extract_motion"),
    output:
        blobs="<results>/media/{view}/{release}/shard{shard}/packed.npy",
        table="<results>/media/{view}/{release}/shard{shard}/packed_frames.npy",
        index="<results>/media/{view}/{release}/shard{shard}/index.parquet",
        failures="<results>/media/{view}/{release}/shard{shard}/failures.csv",
        marked="<results>/media/{view}/{release}/shard{shard}/marked.csv",
        record="<results>/records/extract_motion/{view}/{release}/shard{shard}.jsonl",
    log:
        "<results>/logs/extract_motion/{view}/{release}/shard{shard}.log",
    benchmark:
        "<results>/costs/extract_motion/{view}/{release}/shard{shard}.jsonl"
    wildcard_constraints:
        view=one_of(PLAN.views_of("motion")),
    conda:
        "../envs/media.yaml"
    resources:
        mem_mb=1000,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json({"view": PLAN.views[wildcards.view]}),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule extract_flow:
    input:
        unpack(shard_inputs),
        script="scripts/extract_flow.py",
        code=code_of("extract_flow"),
    output:
        blobs="<results>/media/{view}/{release}/shard{shard}/packed.npy",
        table="<results>/media/{view}/{release}/shard{shard}/packed_frames.npy",
        index="<results>/media/{view}/{release}/shard{shard}/index.parquet",
        failures="<results>/media/{view}/{release}/shard{shard}/failures.csv",
        record="<results>/records/extract_flow/{view}/{release}/shard{shard}.jsonl",
    log:
        "<results>/logs/extract_flow/{view}/{release}/shard{shard}.log",
    benchmark:
        "<results>/costs/extract_flow/{view}/{release}/shard{shard}.jsonl"
    wildcard_constraints:
        view=one_of(PLAN.views_of("flow")),
    conda:
        "../envs/media.yaml"
    resources:
        mem_mb=1000,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json({"view": PLAN.views[wildcards.view]}),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule index_media:
    input:
        shards=lambda wildcards: PLAN.shard_files("media", wildcards.view, wildcards.release, "index.parquet"),
        failures=lambda wildcards: PLAN.shard_files(
            "media", wildcards.view, wildcards.release, "failures.csv"
        ),
        arrays=lambda wildcards: PLAN.media_arrays(wildcards.view, wildcards.release),
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
        recipe=lambda wildcards: as_json(
            PLAN.media_job(wildcards.view, PLAN.cards[wildcards.release].max_failures)
        ),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule media:
    input:
        PLAN.every_media_index(),
