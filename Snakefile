# The pipeline: preprocess -> sample -> pretrain -> finetune -> evaluate -> report, over every case of every study.
# What there is to do is decided once, by counterpoise.planning.plan; the rules below only say how one job is called.
include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        REPORTS,
        HOLES,


onstart:
    stopping.stop_workflow_at_signals()


onsuccess:
    finish(log)


onerror:
    finish(log)
