"""Which training examples an epoch holds, and how often.

Contract of `Method`:

- `draw(labels_N, *, epoch, epochs, fixed, shuffle) -> positions_M`: positions into `labels_N` of one whole epoch,
  in the order of training (int64, on the device of `labels_N`'s CPU copy). `epoch` counts from 0, `epochs` is the
  length of the phase in epochs of this sampler (it need not be whole). `fixed` is a fresh generator with the same
  seed at each call: whatever must not change between epochs (which rows are copied or dropped) is drawn from it.
  `shuffle` is a fresh generator with a seed of its own for each epoch. Nothing else is random, so that a resumed
  run draws the same.
- `by_target` (only where it is true): of a regression `draw` is given the targets in place of `labels_N`.
- `multiple` (only samplers that draw in blocks): a batch must hold a multiple of so many examples.
- `resample(x_ND, y_N, columns, random) -> (x_MD, y_M)` in place of `draw`: rows made, or chosen by their values, once a
  seed, before training; of a table as the preprocessing leaves it (`columns` describes it), images as x_NCHW.
- `redraw(counts_C, available_C) -> counts_C` (only samplers that need other real rows): the counts that the sample
  stage should take instead of those of the imbalance. It must not need torch, which that stage never imports.

Only classes that occur in `labels_N` take part; an absent class has probability 0.

Shapes: N training examples, M examples of an epoch, C classes (at least the largest label + 1).
"""
