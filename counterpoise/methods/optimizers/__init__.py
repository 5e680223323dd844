"""Optimisers: `Method(lr=...).build(parameters) -> torch.optim.Optimizer`; the schedule multiplies `lr`.

`evaluations`, 1 where absent, are the forward and backward passes over a batch that a step takes. Strategies, tasks
of pretraining and semi-supervised methods that take more say so in the same way; published costs multiply them.
"""
