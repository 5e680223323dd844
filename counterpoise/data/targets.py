"""The target of a regression: bins that stand for its classes, and the scale on which it is learned.

Bins have equal widths over the training part of a data set; they decide what is rare, and no value is rounded to one.

Legend: N rows, E edges of bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from counterpoise.errors import UserError


def edges(target_N: np.ndarray, bins: int) -> np.ndarray:
    """Return the edges of bins of equal width from the least to the greatest of the training targets."""
    return np.linspace(target_N.min(), target_N.max(), bins + 1)


def bins(target_N: np.ndarray, edges_E: np.ndarray) -> np.ndarray:
    """Return the bin of each target, int64; a bin holds its lower edge, and the outer bins all that lies beyond."""
    return np.searchsorted(edges_E[1:-1], target_N, side="right").astype(np.int64)


def classes(target_N: np.ndarray, bins_asked: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the names of the bins and the training rows in each; raise UserError for a bin without rows."""
    edges_E = edges(target_N, bins_asked)
    names = tuple(f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges_E))
    counts_C = np.bincount(bins(target_N, edges_E), minlength=bins_asked)
    if empty := [name for name, count in zip(names, counts_C, strict=True) if not count]:
        raise UserError(f"bins: {bins_asked} bins leave none of the training targets in {empty[0]}; ask for fewer")
    return names, tuple(counts_C.tolist())


class InBins:
    """The classes of a data set that has a target, which are bins of its training targets."""

    bins: int

    def training_targets(self) -> np.ndarray:
        """Return the targets of the training part."""
        raise NotImplementedError

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the bins."""
        return classes(self.training_targets(), self.bins)[0]

    @property
    def train_counts(self) -> tuple[int, ...]:
        """Training rows of each bin."""
        return classes(self.training_targets(), self.bins)[1]


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of the training targets of one seed."""

    mean: float
    std: float

    @classmethod
    def of(cls, target_N: np.ndarray) -> Scale:
        """Return the scale of some targets; raise nothing: equal targets have deviation 1."""
        return cls(float(target_N.mean()), float(target_N.std()) or 1.0)

    def standardised(self, target_N: np.ndarray) -> np.ndarray:
        """Return targets with mean 0 and standard deviation 1, float64."""
        return (np.asarray(target_N, np.float64) - self.mean) / self.std

    def restored(self, value: Any) -> np.ndarray:
        """Return standardised values in the target's units, float64."""
        return np.asarray(value, np.float64) * self.std + self.mean
