# The verdicts of one study, and its page.
rule report:
    input:
        parents,
    output:
        report(
            "results/report/{cell}/index.html",
            caption="../workflow/report/study.rst",
            category="Studies",
        ),
        multiext("results/report/{cell}/", "claims.json", "table.parquet"),
    log:
        "results/logs/{cell}.log",
    conda:
        "../envs/evaluate.yaml"
    shell:
        "exec python -m counterpoise report {wildcards.cell:q} > {log:q} 2>&1"
