"""Holds out a random share of every class for testing, another for each seed.

Source: the repeated random split of Nadeau and Bengio 2003, "Inference for the Generalization Error".
Shapes: y_N -> two masks of shape N.
Units: `share` of the rows of a class.
Raises: ImpossibleCell for a class with a single row.
Differs from the source: stratified; at least one row of each class on both sides.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Interval

from counterpoise import streams
from counterpoise.data.rank import rank
from counterpoise.errors import ImpossibleCell


@dataclass(frozen=True)
class Method:
    """A stratified random test part for each seed."""

    version: ClassVar[int] = 1
    share: Annotated[float, Interval(gt=0, lt=1)] = 0.25
    """Share of the rows that is tested on."""

    @property
    def overlap(self) -> float:
        """Rows tested on over rows trained on."""
        return self.share / (1 - self.share)

    def parts(self, y_N: np.ndarray, seed: int, values_N: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows kept, and those held out."""
        counts_C = np.bincount(y_N)
        for label in np.flatnonzero(counts_C == 1).tolist():
            raise ImpossibleCell(f"split: class {label} has 1 row, which cannot both be trained and tested on")
        held_C = np.clip(np.floor(self.share * counts_C + 0.5), 1, np.maximum(counts_C - 1, 0)).astype(np.int64)
        priority_N = streams.numpy("sample", "holdout", seed).random(len(y_N))
        is_test_N = rank(y_N, priority_N) < held_C[y_N]
        return ~is_test_N, is_test_N
