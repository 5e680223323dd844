"""Average pooling of images, the same for every image data set."""

from __future__ import annotations

import numpy as np

from counterpoise.errors import UserError


def check_pool(pool: int, shape: tuple[int, ...]) -> None:
    """Raise UserError if `pool` does not divide both sides of an image of `shape` (C, H, W)."""
    _, height, width = shape
    if height % pool or width % pool:
        valid = [p for p in range(1, min(height, width) + 1) if height % p == width % p == 0]
        raise UserError(
            f"pool: found {pool}, expected a divisor of the image's sides {height} x {width} (valid: {valid})"
        )


def average_pool(x_NCHW: np.ndarray, pool: int) -> np.ndarray:
    """Return the means of `pool` x `pool` squares as float32, in the units of the input, not rounded."""
    n, c, height, width = x_NCHW.shape
    blocks = x_NCHW.reshape(n, c, height // pool, pool, width // pool, pool)
    return blocks.mean(axis=(3, 5), dtype=np.float32)
