"""Positions of the rows that the members of an ensemble are fitted on.

Shapes: codes_N are positions among the classes; a list has the positions of each class (its rows_K).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

Rows = list[np.ndarray]


def by_class(codes_N: np.ndarray) -> Rows:
    """Return the positions of each class that occurs, in their order."""
    order_N = np.argsort(codes_N, kind="stable")
    groups = np.split(order_N, np.cumsum(np.bincount(codes_N))[:-1])
    return [rows_K for rows_K in groups if len(rows_K)]


def bootstrapped(codes_N: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return as many positions as there are rows, drawn with replacement, again where they are of one class alone."""
    while True:
        positions_N = random.integers(len(codes_N), size=len(codes_N))
        if np.ptp(codes_N[positions_N]):
            return positions_N


def undersampled(groups: Rows, random: np.random.Generator, *, replacement: bool = False) -> np.ndarray:
    """Return as many positions of each class as the smallest has; without replacement all of the smallest."""
    least = min(len(rows_K) for rows_K in groups)
    return np.concatenate([random.choice(rows_K, least, replace=replacement) for rows_K in groups])


def oversampled(groups: Rows, random: np.random.Generator) -> np.ndarray:
    """Return all positions, and copies of those of the smaller classes until all are as large as the largest."""
    most = max(len(rows_K) for rows_K in groups)
    return np.concatenate([np.append(r, random.choice(r, most - len(r))) for r in groups])


def level_bootstrapped(groups: Rows, random: np.random.Generator) -> np.ndarray:
    """Return as many positions of each class as the largest has, drawn with replacement from every class."""
    most = max(len(rows_K) for rows_K in groups)
    return np.concatenate([random.choice(rows_K, most) for rows_K in groups])


def level_subsets(codes_N: np.ndarray, random: np.random.Generator, fits: int, variant: str) -> Iterator[np.ndarray]:
    """Give the positions of each member's rows: of all rows, or in the official code of a bootstrap sample of them."""
    groups = by_class(codes_N)
    for _ in range(fits):
        if variant == "paper":
            yield undersampled(groups, random)
        else:
            positions_N = bootstrapped(codes_N, random)
            yield positions_N[undersampled(by_class(codes_N[positions_N]), random)]
