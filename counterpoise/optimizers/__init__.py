"""Optimisers: `Method(lr=...).build(parameters) -> torch.optim.Optimizer`; the schedule multiplies `lr`."""
