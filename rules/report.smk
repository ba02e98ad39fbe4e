"""One page made from files: tables, claims, figures, curves, costs, provenance."""


rule render_report:
    input:
        tables=every_table,
        figures=every_figure,
        claims=rules.collect_claims.output.csv,
        metrics=lambda wildcards: PLAN.every_metrics_file(),
        records=lambda wildcards: PLAN.every_training_record(),
        failures=lambda wildcards: PLAN.every_failures_file(),
        recipes=lambda wildcards: PLAN.every_recipe_file(),
        labels=lambda wildcards: PLAN.shown_labels(),
        script="scripts/render_report.py",
        code=code_of("render_report"),
    output:
        page=report("<results>/report/index.html", caption="captions/report.rst", category="Report"),
        record="<results>/records/render_report.jsonl",
    log:
        "<results>/logs/render_report.log",
    benchmark:
        "<results>/costs/render_report.jsonl"
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=800,
    params:
        arguments=arguments,
        recipe=lambda wildcards: as_json(PLAN.report_job()),
    shell:
        "python retake/launch.py {input.script} {params.arguments} --recipe {params.recipe:q} > {log} 2>&1"
