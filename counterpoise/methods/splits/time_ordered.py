"""Trains on the past and tests on what follows: seed s is tested on part s + 1 of `folds` + 1 equal stretches of time.

Source: rolling-origin evaluation, as `TimeSeriesSplit` of scikit-learn.
Shapes: y_N, values_N -> two masks of shape N.
Units: those of the column; only its order counts.
Raises: ImpossibleCell for more seeds than folds, a missing time, or a class that a side lacks.
Differs from the source: rows of the same time are never parted.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Len

from counterpoise.errors import ImpossibleCell


@dataclass(frozen=True)
class Method:
    """The past for training, the next stretch for testing."""

    version: ClassVar[int] = 1
    column: Annotated[str, Len(1)] = "time"
    """The column that orders the rows. It is no input of the model."""
    folds: Annotated[int, Ge(1)] = 4
    """Stretches that are tested on; as many seeds."""

    @property
    def overlap(self) -> float:
        """Rows tested on over rows trained on, on average."""
        return 2 / (self.folds + 1)

    def parts(self, y_N: np.ndarray, seed: int, values_N: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows before the stretch, and those in it."""
        assert values_N is not None
        if seed >= self.folds:
            raise ImpossibleCell(f"split: seed {seed} has no stretch of time, there are {self.folds} folds")
        if missing := int(np.isnan(values_N).sum()):
            raise ImpossibleCell(f"split: column '{self.column}' has no time in {missing} rows; drop them")
        edges = np.quantile(values_N, np.linspace(0, 1, self.folds + 2))[1:-1]
        stretch_N = np.searchsorted(edges, values_N, side="left")
        is_train_N, is_test_N = stretch_N <= seed, stretch_N == seed + 1
        for side, mask in (("training", is_train_N), ("test", is_test_N)):
            for label in np.setdiff1d(np.unique(y_N), y_N[mask]).tolist():
                raise ImpossibleCell(f"split: class {label} has no row for {side} in stretch {seed + 1}; fewer folds")
        return is_train_N, is_test_N
