"""A checkpoint's answers, written before anything is scored."""


rule predict:
    input:
        unpack(inputs_of(prediction_job)),
        script="scripts/predict.py",
        code=code_of("predict", "retake/methods/{method}"),
    output:
        predictions="<results>/predictions/{method}/{variant}/{dataset}/seed{seed}/{protocol}/{split}.parquet",
        record="<results>/records/predict/{method}/{variant}/{dataset}/seed{seed}/{protocol}/{split}.jsonl",
    log:
        "<results>/logs/predict/{method}/{variant}/{dataset}/seed{seed}/{protocol}/{split}.log",
    benchmark:
        "<results>/costs/predict/{method}/{variant}/{dataset}/seed{seed}/{protocol}/{split}.jsonl"
    wildcard_constraints:
        variant=one_of(PLAN.trained()),
    conda:
        "../envs/torch.yaml"
    threads: PLAN.threads
    resources:
        mem_mb=PLAN.training_mb,
        gpu=PLAN.gpu,
    params:
        arguments=arguments,
        recipe=recipe_of(prediction_job),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule fuse_predictions:
    input:
        unpack(inputs_of(fusion_job)),
        script="scripts/fuse_predictions.py",
        code=code_of("fuse_predictions", "retake/methods/{method}"),
    output:
        predictions="<results>/predictions/{method}/{variant}/{dataset}/seed{seed}/{protocol}/{split}.parquet",
        record="<results>/records/fuse_predictions/{method}/{variant}/{dataset}/seed{seed}/{protocol}/{split}.jsonl",
    log:
        "<results>/logs/fuse_predictions/{method}/{variant}/{dataset}/seed{seed}/{protocol}/{split}.log",
    benchmark:
        "<results>/costs/fuse_predictions/{method}/{variant}/{dataset}/seed{seed}/{protocol}/{split}.jsonl"
    wildcard_constraints:
        variant=one_of(PLAN.fused()),
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=2000,
    params:
        arguments=arguments,
        recipe=recipe_of(fusion_job),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


# The checkpoint is no input: a file that is there, trained here or pulled, is used as it is and never retrained.
# Its digest is a parameter, so another checkpoint under the same name captions anew.
rule caption_videos:
    input:
        unpack(inputs_of(captioning_job)),
        script="scripts/caption_videos.py",
        code=code_of("caption_videos", "retake/methods/{method}"),
    output:
        jsonl="<results>/captions/{videos}/{method}/{variant}/{dataset}/seed{seed}/{protocol}.jsonl",
        csv="<results>/captions/{videos}/{method}/{variant}/{dataset}/seed{seed}/{protocol}.csv",
        record="<results>/records/caption_videos/{videos}/{method}/{variant}/{dataset}/seed{seed}/{protocol}.jsonl",
    log:
        "<results>/logs/caption_videos/{videos}/{method}/{variant}/{dataset}/seed{seed}/{protocol}.log",
    benchmark:
        "<results>/costs/caption_videos/{videos}/{method}/{variant}/{dataset}/seed{seed}/{protocol}.jsonl"
    conda:
        "../envs/torch.yaml"
    threads: PLAN.threads
    resources:
        mem_mb=PLAN.training_mb,
        gpu=PLAN.gpu,
    params:
        arguments=arguments,
        recipe=recipe_of(captioning_job),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


# For a server that alone has a test's labels. Asked for by name: no other rule wants one.
rule write_submission:
    input:
        unpack(inputs_of(PLAN.submission_job)),
        script="scripts/write_submission.py",
        code=lambda wildcards: PLAN.code("write_submission", PLAN.submission_code(wildcards.dataset)),
    output:
        submission="<results>/submissions/{method}/{variant}/{dataset}/seed{seed}/{protocol}/{split}.{form}",
        record="<results>/records/write_submission/{method}/{variant}/{dataset}/seed{seed}/{protocol}/{split}.{form}.jsonl",
    log:
        "<results>/logs/write_submission/{method}/{variant}/{dataset}/seed{seed}/{protocol}/{split}.{form}.log",
    benchmark:
        "<results>/costs/write_submission/{method}/{variant}/{dataset}/seed{seed}/{protocol}/{split}.{form}.jsonl"
    conda:
        "../envs/data.yaml"
    resources:
        mem_mb=2000,
    params:
        arguments=arguments,
        recipe=recipe_of(PLAN.submission_job),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule predictions:
    input:
        PLAN.every_prediction(),
