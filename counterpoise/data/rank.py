"""The order of rows within their class."""

import numpy as np


def rank(labels_N: np.ndarray, priority_N: np.ndarray) -> np.ndarray:
    """Return the rank of each row within its class, by priority, from 0."""
    grouped_N = np.lexsort((priority_N, labels_N))
    counts_C = np.bincount(labels_N)
    rank_N = np.empty(len(labels_N), np.int64)
    rank_N[grouped_N] = np.arange(len(labels_N)) - np.repeat(np.cumsum(counts_C) - counts_C, counts_C)
    return rank_N
