"""Augmentation on the batch: `Method()(images_BCHW, generator) -> images_BCHW`, on raw pixel values (0 is black).

Randomness enters as tensors drawn from `generator`, one draw for each example. A method that has `draw(shape,
generator) -> drawn`, of shape ...B..., and `apply(images_BCHW, drawn)` can serve many seeds at once.
One that takes nothing but images says `images = True`, as methods of other kinds do: planning refuses it for tables.

Legend: B batch, C channels, H height, W width.
"""
