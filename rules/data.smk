# Data as the project uses it, and the part of it that each seed trains on.
rule preprocess:
    output:
        multiext("results/preprocess/{cell}/", "train_x.npy", "train_y.npy", "test_x.npy", "test_y.npy"),
        multiext("results/preprocess/{cell}/", "meta.json", "run.json"),
    log:
        "results/logs/{cell}.log",
    conda:
        "../envs/data.yaml"
    shell:
        "exec python -m counterpoise preprocess {wildcards.cell:q} > {log:q} 2>&1"


rule sample:
    input:
        parents,
    output:
        multiext("results/sample/{cell}/{block}/", "split.parquet", "statistics.json", "run.json"),
    log:
        "results/logs/{cell}/{block}.log",
    conda:
        "../envs/data.yaml"
    shell:
        "exec python -m counterpoise sample {wildcards.cell:q} {wildcards.block:q} > {log:q} 2>&1"
