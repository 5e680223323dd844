"""Rows dealt into folds, class by class."""

import numpy as np

from counterpoise.errors import ImpossibleCell


def deal(y_N: np.ndarray, folds: int, random: np.random.Generator) -> np.ndarray:
    """Return the fold of each row: rows shuffled within their class, then dealt out one by one."""
    counts_C = np.bincount(y_N)
    for label in np.flatnonzero((counts_C > 0) & (counts_C < folds)).tolist():
        raise ImpossibleCell(
            f"split: class {label} has {counts_C[label]} rows, {folds} folds need one each; use fewer folds, or drop "
            "or merge the class"
        )
    fold_N = np.empty(len(y_N), np.int64)
    fold_N[np.lexsort((random.random(len(y_N)), y_N))] = np.arange(len(y_N)) % folds
    return fold_N
