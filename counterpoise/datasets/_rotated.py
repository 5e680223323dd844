"""Images turned by angles drawn uniformly, one angle each."""

from __future__ import annotations

from functools import cache

import numpy as np

from counterpoise import streams


@cache
def angles(rows: int, largest: float, draw: int, part: str) -> np.ndarray:
    """Return the angle of each row of a part, in degrees, anticlockwise; not to be changed."""
    return streams.numpy("preprocess", f"angles-{part}", draw).uniform(-largest, largest, rows)


def turned(x_NCHW: np.ndarray, angle_N: np.ndarray) -> np.ndarray:
    """Return the images turned about their centres, with linear interpolation and black beyond the edge, float32."""
    from scipy.ndimage import rotate

    made = [
        rotate(x, angle, axes=(2, 1), reshape=False, order=1)
        for x, angle in zip(x_NCHW.astype(np.float32), angle_N, strict=True)
    ]
    return np.stack(made).astype(np.float32)
