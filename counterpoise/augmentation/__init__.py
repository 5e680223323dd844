"""Augmentation on the batch: `Method()(images_BCHW, generator) -> images_BCHW`, on raw pixel values (0 is black).

Randomness enters as tensors drawn from `generator`, one draw for each example.
Legend: B batch, C channels, H height, W width.
"""
