# Post-hoc methods and metrics: everything that costs no training.
rule evaluate:
    input:
        parents,
    output:
        multiext("results/evaluate/{cell}/{block}/", "metrics.parquet", "confusion.parquet", "run.json"),
    log:
        "results/logs/{cell}/{block}.log",
    conda:
        "../envs/evaluate.yaml"
    shell:
        "exec python -m counterpoise evaluate {wildcards.cell:q} {wildcards.block:q} > {log:q} 2>&1"
