"""What a mistake costs, from the counts of the classes, as imbalanced-ensemble sets it.

Legend: C classes; a matrix is by given and true class.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

How = Literal["inverse", "log1p_inverse", "uniform"]


def matrix(counts_C: np.ndarray, how: How) -> np.ndarray:
    """Return the count of the given class over that of the true one (1 where they are equal), as it is or by log1p."""
    if how == "uniform":
        return np.ones((len(counts_C), len(counts_C)))
    ratio_CC = counts_C[:, None] / counts_C
    return np.log1p(ratio_CC) if how == "log1p_inverse" else ratio_CC


def vector(counts_C: np.ndarray, how: How) -> np.ndarray:
    """Return the count of the largest class over each class's, as it is or by log1p."""
    if how == "uniform":
        return np.ones(len(counts_C))
    ratio_C = counts_C.max() / counts_C
    return np.log1p(ratio_C) if how == "log1p_inverse" else ratio_C
