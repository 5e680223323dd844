"""The test part of data sets that have no official one."""

from __future__ import annotations

import numpy as np

from counterpoise import streams

_SHARE = 0.3


def set_aside(x: np.ndarray, y_N: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return train_x, train_y, test_x, test_y: 30 % of each class (rounded) is the test part, always the same.

    The rows of both parts keep the order of the source.
    """
    random = streams.numpy("preprocess", "test", 0)
    is_test = np.zeros(len(y_N), bool)
    for label in np.unique(y_N):
        rows = random.permutation(np.flatnonzero(y_N == label))
        is_test[rows[: round(_SHARE * len(rows))]] = True
    return x[~is_test], y_N[~is_test], x[is_test], y_N[is_test]
