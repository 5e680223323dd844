"""Ensembles: experts on shared early layers, `Method().loss(outputs_BEC, ...) -> scalar` and what they say together.

`experts` says how many; each has late layers and a head of its own (`network.build`).
`loss(outputs_BEC, features_BED, labels_B, counts_C, criterion, progress=...)` trains them together, where
`criterion(outputs_BC, features_BD) -> scalar` is the phase's loss for one expert, and
`combine(logits_BEC) -> logits_BC` is the prediction. A method with `keeps_experts = True` has each expert's test
predictions kept, on the images and on two augmented views of them, for corrections that read them. An optional
`check(phase)` raises UserError for a phase of which something would be ignored; planning calls it.

Legend: B batch, C classes, D features, E experts.
"""
