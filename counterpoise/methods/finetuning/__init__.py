"""Fine-tuning strategies: `Method().phases(phase) -> list[Phase]`, what is trained, in which order.

`fresh_head` says whether the head starts anew even if the pretraining has one to give. The strategy receives the
phase that the configuration describes and returns it, or several made from it with `dataclasses.replace`.
`open(net, sample, counts_C)` before training and `close(net, sample, counts_C)` after it, where a strategy has them,
change the network in place: the same for the same network, since a resumed run opens again.
A strategy whose `needs_validation` is true reads a validation part while it trains; planning refuses it without one.

Legend: C classes.
"""
