"""Losses: `Method()(logits_BC, labels_B, counts_C) -> scalar`, differentiable, without state.

`counts_C` holds the training examples of each class as float: what a loss knows of the imbalance.
Legend: B batch, C classes.
"""
