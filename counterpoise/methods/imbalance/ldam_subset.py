"""The one subset of CIFAR that the long-tail papers share: the class counts and the very rows that LDAM-DRW draws.

Source: Cao et al. 2019 (LDAM-DRW), github.com/kaidic/LDAM-DRW, imbalance_cifar.py: `IMBALANCECIFAR10`.
Shapes: counts (C,); rows (N,).
Units: examples.
Raises: ImpossibleCell if a class would be empty or lacks examples, as the last of an odd number does under `step`.
Differs from the source: `factor` is the inverse of its `imb_factor`; without `per_class` the largest class has as
many examples as every class can give, not the mean, which is the same where all have as many. Rows are the same for
every seed of a study, so its intervals are conditional on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Interval

from counterpoise.methods.imbalance import _counts


@dataclass(frozen=True)
class Method:
    """Class 0 is the most frequent, the last class the rarest; one legacy generator shuffles class after class."""

    version: ClassVar[int] = 1

    form: Literal["exp", "step"] = "exp"
    """How counts fall: by a constant factor, or to `1 / factor` for the second half of the classes."""
    factor: Annotated[float, Interval(ge=1)] = 100.0
    """Largest count over smallest count."""
    per_class: Annotated[int, Interval(ge=1)] | None = None
    """Examples of the largest class; None: as many as every class can give."""
    seed: Annotated[int, Interval(ge=0, le=2**32 - 1)] = 0
    """The source's `rand_number`."""

    def counts(self, available_C: np.ndarray, order_C: np.ndarray) -> np.ndarray:
        """Return the counts in the order of the classes, truncated as in the source."""
        most, share, classes = _counts.largest(available_C, self.per_class), 1 / self.factor, len(order_C)
        counts_C = np.zeros(classes, np.int64)
        if self.form == "exp":
            counts_C[order_C] = [int(most * share ** (i / (classes - 1.0))) for i in range(classes)]
        else:
            half = classes // 2  # the source has no count for the last of an odd number of classes
            counts_C[order_C[:half]] = most
            counts_C[order_C[half : 2 * half]] = int(most * share)
        return _counts.checked(counts_C, available_C)

    def priority(self, labels_N: np.ndarray) -> np.ndarray:
        """Return the place of each row in the source's shuffle of its class, from 0."""
        random, priority_N = np.random.RandomState(self.seed), np.empty(len(labels_N), np.int64)
        for label in np.unique(labels_N):
            rows = np.flatnonzero(labels_N == label)
            random.shuffle(rows)
            priority_N[rows] = np.arange(len(rows))
        return priority_N
