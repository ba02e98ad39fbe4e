"""A release: made by the mini world, or fetched. Downstream depends on its manifests, never on a folder."""


rule make_release:
    input:
        script="scripts/make_release.py",
        code=code_of("make_release", "retake/data/datasets/{release}/mini.py"),
    output:
        files="<results>/releases/{release}/files.json",
        truth="<results>/releases/{release}/truth.parquet",
        record="<results>/records/make_release/{release}.jsonl",
    log:
        "<results>/logs/make_release/{release}.log",
    benchmark:
        "<results>/costs/make_release/{release}.jsonl"
    wildcard_constraints:
        release=one_of(PLAN.made),
    conda:
        "../envs/media.yaml"
    resources:
        mem_mb=600,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json(PLAN.release_job(wildcards.release)),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule render_videos:
    input:
        script="scripts/render_videos.py",
        code=code_of("render_videos", "retake/data/datasets/{release}/mini.py"),
    output:
        manifest="<results>/releases/{release}/shard{shard}.json",
        record="<results>/records/render_videos/{release}/shard{shard}.jsonl",
    log:
        "<results>/logs/render_videos/{release}/shard{shard}.log",
    benchmark:
        "<results>/costs/render_videos/{release}/shard{shard}.jsonl"
    wildcard_constraints:
        release=one_of(PLAN.made),
    conda:
        "../envs/media.yaml"
    resources:
        mem_mb=600,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json(PLAN.release_job(wildcards.release)),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


# No code among the inputs: what is fetched is decided by the card's sources and checksums, and an edit of the
# downloader must not fetch terabytes again.
rule download_release:
    input:
        script=ancient("scripts/download_release.py"),
    output:
        files="<results>/releases/{release}/files.json",
        record="<results>/records/download_release/{release}.jsonl",
    log:
        "<results>/logs/download_release/{release}.log",
    benchmark:
        "<results>/costs/download_release/{release}.jsonl"
    wildcard_constraints:
        release=one_of(PLAN.fetched),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=600,
        downloads=1,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json(PLAN.fetch_job(wildcards.release)),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule index_release:
    input:
        files="<results>/releases/{release}/files.json",
        script="scripts/index_release.py",
    output:
        manifest="<results>/releases/{release}/shard{shard}.json",
        record="<results>/records/index_release/{release}/shard{shard}.jsonl",
    log:
        "<results>/logs/index_release/{release}/shard{shard}.log",
    benchmark:
        "<results>/costs/index_release/{release}/shard{shard}.jsonl"
    wildcard_constraints:
        release=one_of(PLAN.fetched),
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=600,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json(PLAN.index_job(wildcards.release)),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule releases:
    input:
        PLAN.every_manifest(),
