"""The stages of the pipeline, in order: preprocess, sample, pretrain, finetune, evaluate, report.

Stages meet through files only. Each is a function `run(cfg, *, ..., out)` that any terminal can call.
"""
