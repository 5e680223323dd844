"""Semi-supervised learning: a task `Method().objective(step, rows=None) -> (scalar, hits)` that also sees
`step.unlabelled_B`, raw images whose labels are hidden; `unlabelled_ratio` says how many for each labelled one.

State (moving averages, queues, prototypes) lives in the module that `module(features, classes) -> nn.Module` builds,
found at `step.net.extra`, and is checkpointed with the network. `none` learns from labelled examples only.

Legend: B batch, C classes, D features, U unlabelled batch.
"""
