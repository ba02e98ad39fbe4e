"""A figure and the CSV that it is drawn from; and what a figure of frames needs of them."""


rule extract_examples:
    input:
        unpack(inputs_of(examples_job)),
        script="scripts/extract_examples.py",
        code=code_of("extract_examples"),
    output:
        arrays="<results>/media/examples/{method}/{figure}.npz",
        table="<results>/media/examples/{method}/{figure}.csv",
        record="<results>/records/extract_examples/{method}/{figure}.jsonl",
    log:
        "<results>/logs/extract_examples/{method}/{figure}.log",
    benchmark:
        "<results>/costs/extract_examples/{method}/{figure}.jsonl"
    conda:
        "../envs/media.yaml"
    resources:
        mem_mb=1000,
    params:
        arguments=arguments,
        recipe=recipe_of(examples_job),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule caption_stills:
    input:
        unpack(lambda wildcards: PLAN.stills_job(wildcards.method, wildcards.figure)["inputs"]),
        script="scripts/caption_stills.py",
        code=lambda wildcards: PLAN.code(
            "caption_stills", PLAN.stills_code(wildcards.method, wildcards.figure)
        ),
    output:
        pictures="<results>/media/examples/{method}/{figure}.stills.parquet",
        record="<results>/records/caption_stills/{method}/{figure}.jsonl",
    log:
        "<results>/logs/caption_stills/{method}/{figure}.log",
    benchmark:
        "<results>/costs/caption_stills/{method}/{figure}.jsonl"
    conda:
        "../envs/torch.yaml"
    threads: PLAN.threads
    resources:
        mem_mb=PLAN.training_mb,
        gpu=PLAN.gpu,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json(PLAN.stills_job(wildcards.method, wildcards.figure)["recipe"]),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule draw_figure:
    input:
        unpack(inputs_of(figure_job)),
        script="scripts/draw_figure.py",
        code=code_of("draw_figure"),
    output:
        svg=report(
            "<results>/figures/{method}/{figure}.svg",
            caption="captions/figures.rst",
            category="Figures",
            labels={"method": "{method}", "figure": "{figure}"},
        ),
        csv="<results>/figures/{method}/{figure}.csv",
        record="<results>/records/draw_figure/{method}/{figure}.jsonl",
    log:
        "<results>/logs/draw_figure/{method}/{figure}.log",
    benchmark:
        "<results>/costs/draw_figure/{method}/{figure}.jsonl"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=800,
    params:
        arguments=arguments,
        recipe=recipe_of(figure_job),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule figures:
    input:
        every_figure,
