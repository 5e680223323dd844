# Representation first, then the classifier; checkpoints lie beside the outputs and survive a killed job.
rule pretrain:
    input:
        parents,
    output:
        multiext("results/pretrain/{cell}/{block}/", "model.safetensors", "history.jsonl", "run.json"),
    log:
        "results/logs/{cell}/{block}.log",
    conda:
        "../envs/train.yaml"
    shell:
        "exec python -m counterpoise pretrain {wildcards.cell:q} {wildcards.block:q} > {log:q} 2>&1"


rule finetune:
    input:
        parents,
    output:
        multiext("results/finetune/{cell}/{block}/", "model.safetensors", "predictions.parquet"),
        multiext("results/finetune/{cell}/{block}/", "history.jsonl", "run.json"),
    log:
        "results/logs/{cell}/{block}.log",
    conda:
        "../envs/train.yaml"
    shell:
        "exec python -m counterpoise finetune {wildcards.cell:q} {wildcards.block:q} > {log:q} 2>&1"
