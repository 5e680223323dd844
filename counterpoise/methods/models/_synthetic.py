"""Synthetic rows between neighbours of one class: SMOTE's rule, with the neighbours found once for many draws."""

from __future__ import annotations

import numpy as np


def neighbours(x_KD: np.ndarray, count: int) -> np.ndarray:
    """Return positions of the nearest `count` other rows; fewer where there are fewer, none of a row that is alone."""
    from sklearn.neighbors import NearestNeighbors

    count = min(count, len(x_KD) - 1)
    if count < 1:
        return np.zeros((len(x_KD), 1), dtype=np.int64)  # a row alone is its own neighbour: its copies
    return NearestNeighbors(n_neighbors=count, n_jobs=1).fit(x_KD).kneighbors(return_distance=False)


def between(x_KD: np.ndarray, near_KJ: np.ndarray, rows: int, random: np.random.Generator) -> np.ndarray:
    """Return x + u (neighbour - x) for `rows` rows and neighbours drawn evenly, u even in [0, 1)."""
    start_M = random.integers(len(x_KD), size=rows)
    end_M = near_KJ[start_M, random.integers(near_KJ.shape[1], size=rows)]
    return x_KD[start_M] + random.random((rows, 1)) * (x_KD[end_M] - x_KD[start_M])
