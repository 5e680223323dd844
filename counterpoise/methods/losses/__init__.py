"""Losses: `Method()(logits_BC, labels_B, counts_C, **given) -> scalar`, differentiable, without state.

`counts_C` holds the training examples of each class as float: what a loss knows of the imbalance. `uses`, where a
method has it, names what else it is given, each by keyword:
`class_weights_C` (a weight of each class, or None, from a strategy such as deferred re-weighting),
`features_BD` (what the encoder returned), `progress` (share of the steps done, in [0, 1)),
`noise` (what its own `draw(labels_B, counts_C, generator) -> Tensor` returned: randomness enters as tensors) and
`extra` (the module that its own `module(features, classes) -> nn.Module` built, trained beside the network at
`extra_lr` times the learning rate, without weight decay).
`outputs(classes) -> int`, where a method has it, makes it a loss of regressions: how many outputs the head then has, of
which the first is the value in standard deviations of the training targets. Such a loss may use `target_B` and
`importance_BK`, what its own `importance(target_N) -> NK` made of all training targets for the rows of the batch.
`scores(outputs_BC) -> logits_BC`, where a method has it, turns the head's outputs into the logits of the model that
the loss fits; `weights(counts_C) -> weights_C` gives the weight of each class of a re-weighting.

Legend: B batch, C classes, D features, K outputs or kinds of importance, N training rows.
"""
