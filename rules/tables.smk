"""A paper's table, ours beside theirs; its claims, judged; and the curves of what was trained for it."""


rule tabulate:
    input:
        metrics=lambda wildcards: PLAN.metrics_of_table(wildcards.method, wildcards.table),
        costs=lambda wildcards: PLAN.costs_of_table(wildcards.method, wildcards.table),
        qualities=lambda wildcards: PLAN.qualities_of_table(wildcards.method, wildcards.table),
        reported="retake/methods/{method}/reported.csv",
        script="scripts/tabulate.py",
        code=code_of("tabulate"),
    output:
        csv=report(
            "<results>/tables/{method}/{table}.csv",
            caption="captions/tables.rst",
            category="Tables",
            labels={"method": "{method}", "table": "{table}"},
        ),
        md="<results>/tables/{method}/{table}.md",
        record="<results>/records/tabulate/{method}/{table}.jsonl",
    log:
        "<results>/logs/tabulate/{method}/{table}.log",
    benchmark:
        "<results>/costs/tabulate/{method}/{table}.jsonl"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=600,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json(PLAN.table_job(wildcards.method, wildcards.table)),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule tabulate_curves:
    input:
        records=lambda wildcards: PLAN.curves_of(wildcards.method),
        script="scripts/tabulate_curves.py",
        code=code_of("tabulate_curves"),
    output:
        csv="<results>/curves/{method}.csv",
        record="<results>/records/tabulate_curves/{method}.jsonl",
    log:
        "<results>/logs/tabulate_curves/{method}.log",
    benchmark:
        "<results>/costs/tabulate_curves/{method}.jsonl"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=600,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json({}),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule judge_claims:
    input:
        metrics=lambda wildcards: PLAN.claim_inputs(wildcards.method),
        per_item=lambda wildcards: PLAN.claim_items(wildcards.method),
        costs=lambda wildcards: PLAN.claim_costs(wildcards.method),
        qualities=lambda wildcards: PLAN.claim_qualities(wildcards.method),
        claims="retake/methods/{method}/claims.csv",
        reported="retake/methods/{method}/reported.csv",
        script="scripts/judge_claims.py",
        code=code_of("judge_claims"),
    output:
        csv="<results>/claims/{method}.csv",
        record="<results>/records/judge_claims/{method}.jsonl",
    log:
        "<results>/logs/judge_claims/{method}.log",
    benchmark:
        "<results>/costs/judge_claims/{method}.jsonl"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=600,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json(PLAN.claims_job(wildcards.method)),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule collect_claims:
    input:
        parts=lambda wildcards: PLAN.claim_paths(),
        script="scripts/collect_claims.py",
        code=code_of("collect_claims"),
    output:
        csv=report("<results>/claims.csv", caption="captions/claims.rst", category="Claims"),
        record="<results>/records/collect_claims.jsonl",
    log:
        "<results>/logs/collect_claims.log",
    benchmark:
        "<results>/costs/collect_claims.jsonl"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=600,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json({}),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"


rule tables:
    input:
        every_table,
        lambda wildcards: PLAN.curve_paths(),
        rules.collect_claims.output.csv,
