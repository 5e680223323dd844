"""Pretraining tasks: what a network learns before it is fine-tuned. The one loop of `training.loop` runs them all.

A method says `transfers_head` (does fine-tuning start from its head?), gives `head(features, classes)`, turns a
raw batch into `prepare(images_BCHW, labels_B, augment, generator) -> (inputs, targets)`, and
scores `loss(outputs, targets, criterion, counts_C) -> (scalar, hits)`: `hits` counts right answers, for the
history. `inputs` are raw pixels; the loop standardises them. `none` and `checkpoint` train nothing.

Legend: B batch, C channels or classes, H height, W width, P projection, V = 2B views.
"""
