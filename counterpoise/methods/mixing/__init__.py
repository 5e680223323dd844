"""Mixing: `Method().mix(x_B, others_B, labels_B, other_labels_B, counts_C, generator) -> (mixed_B, share_B)`.

An example is mixed with another; its loss is share * criterion(own label) + (1 - share) * criterion(other label).
`x_B` and `others_B` are inputs, standardised, unless the method's optional `layer(depth, generator) -> int` says how
many of the encoder's `depth` children run first: then they are what those return. Partners are a random permutation
of the batch, unless `partners() -> sampler` names a sampler that draws a second batch. `none` mixes nothing.
An optional `check(phase)` raises UserError for a phase that the method cannot serve; planning calls it.

Legend: B batch, C classes.
"""
