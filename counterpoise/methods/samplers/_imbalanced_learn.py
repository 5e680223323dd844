"""imbalanced-learn's samplers, on the project's generator and for classes that they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from counterpoise.methods.samplers import _rows


def state(random: np.random.Generator) -> np.random.RandomState:
    """Return a view of the generator that the library takes: what is drawn from it moves the generator on.

    Given an integer instead, imbalanced-learn would start each class at the same numbers again.
    """
    return np.random.RandomState(random.bit_generator)


def oversample(
    x_ND: np.ndarray, y_N: np.ndarray, ratio: float, k: int, make: Callable[[dict[int, int], int], Any]
) -> dict[int, np.ndarray]:
    """Return the rows made for each class that lacks some, class by class.

    `make(strategy, k)` gives the library's sampler, with k at most the class's examples less one. A class of one
    example has no neighbours: the example is repeated.
    """
    counts_C, made = np.bincount(y_N), {}
    for label, count in _rows.missing(y_N, ratio).items():
        if counts_C[label] == 1:
            made[label] = np.repeat(x_ND[y_N == label], count, axis=0)
        else:
            sampler = make({label: int(counts_C[label]) + count}, min(k, int(counts_C[label]) - 1))
            made[label] = sampler.fit_resample(x_ND, y_N)[0][len(x_ND) :]
    return made
